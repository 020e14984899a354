"""EPUB books: the chapters of the spine in order, read as web pages, under the titles of the contents."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

from lxml import etree

from corpora.readers import ReadProblem, html
from corpora.readers.builder import TextBuilder
from corpora.readers.containers import Container, attribute, damage_reported, local
from corpora.readers.ooxml import one_line
from corpora.records import Extracted

_PAGES = {"application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/x-dtbook+xml"}
# Fonts mangled by these are still no locked book.
_FONT_MANGLING = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
_CHAPTER_BYTES = 32 << 20
_TITLE = re.compile(rb"<title[^>]{0,200}>([^<]{0,1000})</title", re.I)


@damage_reported("EPUB book")
def read(data: bytes, name: str) -> Extracted:
    """The text of an .epub. Raises ReadProblem: `damaged`, `encrypted` (DRM), `bomb`, `empty`."""
    book = _Book(Container(data))
    unread = book.write_chapters()
    if not book.builder.length:
        raise ReadProblem("empty", "no text in any chapter")
    return book.builder.build("epub", (f"chapters that could not be read: {unread}",) if unread else ())


class _Book:
    """Carries the chapters of one book into a TextBuilder."""

    def __init__(self, container: Container) -> None:
        self.builder = TextBuilder()
        self._container = container
        self._package_part = _package_part(container)
        self._package = container.xml(self._package_part)
        title = next((node for node in self._package.iter("{*}title") if node.text), None)
        self._title = "" if title is None else one_line(title.text or "")
        self._items = {attribute(item, "id"): item for item in self._package.iterfind("{*}manifest/{*}item")}

    def write_chapters(self) -> int:
        """Write each chapter; how many could not be read."""
        locked, titles, unread, current = _locked_parts(self._container), self._contents(), 0, ""
        for part in self._reading_order():
            if part.lower() in locked:
                raise ReadProblem("encrypted", "its chapters are locked (DRM); ingest a copy without")
            current = titles.get(part.lower(), current)
            try:
                data = self._container.read(part, _CHAPTER_BYTES)
                chapter = html.read(data, part)
            except (KeyError, etree.LxmlError):
                unread += 1
            except ReadProblem as problem:
                if problem.code == "bomb":
                    raise
                unread += problem.code != "empty"
            else:
                self._append(chapter, _page_title(data), current)
        return unread

    def _append(self, chapter: Extracted, page_title: str, title: str) -> None:
        """Add a chapter under its own headings; `title` of the contents stands in where it has none."""
        fallback = title or (page_title if page_title != self._title else "") or None
        if not (chapter.marks and chapter.marks[0].start == 0):
            self.builder.blank_line()
            self.builder.mark(heading=fallback)
        paths = (_without(mark.heading or "", page_title) or fallback for mark in chapter.marks)
        marks = tuple(replace(mark, heading=path) for mark, path in zip(chapter.marks, paths, strict=True))
        self.builder.append(replace(chapter, marks=marks))

    def _reading_order(self) -> list[str]:
        spine = [attribute(item, "idref") for item in self._package.iterfind("{*}spine/{*}itemref")]
        chosen = [self._items[name] for name in spine if name in self._items] or list(self._items.values())
        pages = [item for item in chosen if attribute(item, "media-type").lower() in _PAGES]
        # The contents are a list of titles that the chapters have themselves.
        read = [item for item in pages if "nav" not in attribute(item, "properties").split()] or pages
        return list(dict.fromkeys(self._part(attribute(item, "href"), self._package_part) for item in read))

    def _part(self, href: str, base: str) -> str:
        path = unquote(href.partition("#")[0])
        return posixpath.normpath(posixpath.join(posixpath.dirname(base), path)).lstrip("/")

    def _contents(self) -> dict[str, str]:
        """The first title that the contents (EPUB 3 nav, else EPUB 2 NCX) give each part, lower case."""
        titles: dict[str, str] = {}
        for item in self._items.values():
            part = self._part(attribute(item, "href"), self._package_part)
            is_nav = "nav" in attribute(item, "properties").split()
            is_ncx = attribute(item, "media-type") == "application/x-dtbncx+xml"
            if (is_nav or is_ncx) and part in self._container:
                for href, title in _entries(self._container, part, is_nav):
                    titles.setdefault(self._part(href, part).lower(), title)
        return titles


def _page_title(data: bytes) -> str:
    """What the chapter's own <title> says: mostly the book's name or a file's."""
    found = _TITLE.search(data[:20_000])
    return one_line(unescape(found[1].decode("utf-8", "replace"))) if found else ""


def _without(heading: str, page_title: str) -> str:
    """A path of headings less the title of its page."""
    return "" if heading == page_title else heading.removeprefix(f"{page_title} > ")


def _package_part(container: Container) -> str:
    if "META-INF/container.xml" in container:
        for node in container.xml("META-INF/container.xml").iter("{*}rootfile"):
            part = posixpath.normpath(unquote(attribute(node, "full-path")))
            if part in container:
                return part
    found = next((name for name in container.names() if name.endswith(".opf")), None)
    if found is None:
        raise ReadProblem("damaged", "not a whole EPUB book: its package document is missing")
    return found


def _entries(container: Container, part: str, is_nav: bool) -> Iterator[tuple[str, str]]:
    """Pairs of link and title; none where the contents are no well-formed XML."""
    try:
        root = container.xml(part)
    except (etree.LxmlError, ReadProblem):
        return
    if is_nav:
        navs = [node for node in root.iter("{*}nav") if attribute(node, "type") in {"", "toc"}]
        links = [(attribute(link, "href"), link) for nav in navs for link in nav.iter("{*}a")]
    else:
        points = ((point.find("{*}content"), point.find("{*}navLabel")) for point in root.iter("{*}navPoint"))
        links = [(attribute(to, "src"), name) for to, name in points if to is not None and name is not None]
    for href, label in links:
        title = one_line("".join(map(str, label.itertext())))
        if href and title:
            yield href, title


def _locked_parts(container: Container) -> set[str]:
    if "META-INF/encryption.xml" not in container:
        return set()
    locked = set()
    for entry in container.xml("META-INF/encryption.xml").iter("{*}EncryptedData"):
        methods = {attribute(node, "Algorithm") for node in entry if local(node) == "EncryptionMethod"}
        if not methods & _FONT_MANGLING:
            parts = (unquote(attribute(node, "URI")) for node in entry.iter("{*}CipherReference"))
            locked |= {part.lstrip("/").lower() for part in parts}
    return locked
