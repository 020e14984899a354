"""HTML to the text that a person sees, in one pass over parser events (no tree, so depth costs nothing).

Headings become marks below the page's title, data tables rows of "a | b", `pre` and tables blocks.
Scripts, styles and form controls are no text. Text that is not shown (`hidden`, `display:none`,
`visibility:hidden`, zero size or opacity, off the page, white on white, `template`, `noscript`) is left out
and counted. Only inline styles are looked at, not style sheets: what a page's own tabs fold away is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from corpora.readers.builder import TextBuilder
from corpora.readers.encoding import decode
from corpora.readers.html_flow import Flow, Table
from corpora.readers.styles import background, is_hidden
from corpora.records import Extracted

_NO_TEXT = {
    "script", "style", "head", "svg", "annotation", "annotation-xml", "iframe", "object", "embed",
    "applet", "canvas", "audio", "video", "select", "datalist", "textarea", "input", "meter", "progress",
    "map", "area", "rp", "frameset",
}  # fmt: skip
_UNSEEN = frozenset({"template", "noscript", "noframes"})
_PARAGRAPHS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "ul", "ol", "dl", "table", "figure",
    "form", "fieldset", "section", "article", "main", "header", "footer", "nav", "aside", "address",
    "details", "hr", "body", "center", "dir", "menu",
}  # fmt: skip
_LINES = {
    "div", "li", "dt", "dd", "tr", "caption", "figcaption", "summary", "legend", "dialog",
}  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MOST_TABLES = 12  # nested deeper, a table is laid out as plain lines


def read(data: bytes, name: str) -> Extracted:
    """An HTML or XHTML file."""
    decoded = decode(data, markup=True)
    return extract(decoded.text, notes=decoded.notes)


def extract(markup: str, *, notes: tuple[str, ...] = ()) -> Extracted:
    """The visible text of `markup`; its title heads the path of every heading."""
    from lxml import etree

    page = _Page()
    parser = etree.HTMLParser(  # its stubs want str or bytes; on Python 3 it calls with str only
        target=page,  # type: ignore[arg-type]
        encoding="utf-8",
        recover=True,
        no_network=True,
        huge_tree=False,
    )
    # As UTF-8 bytes, for lxml refuses a str that declares an encoding of its own.
    parser.feed(markup.encode("utf-8", "replace"))
    parser.close()
    return page.finish(notes)


@dataclass(slots=True)
class _Element:
    tag: str
    silent: bool  # holds no text
    hidden: bool  # holds text that is not shown
    ground: str | None


class _Page:
    """Parser target: keeps the open elements and sends visible text into the flow of the page or cell."""

    def __init__(self) -> None:
        self._open: list[_Element] = []
        self._open_tags: Counter[str] = Counter()
        self._flow = Flow(TextBuilder())
        self._tables: list[tuple[Table, Flow]] = []  # each with the flow around it
        self._lists: list[int | None] = []  # the next number of an ordered list
        self._title: list[str] | None = None
        self._hidden = 0
        self._rowspan = 1  # of the innermost open cell; that of a cell around a table is of no use

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        outer = self._open[-1] if self._open else _Element("", False, False, None)
        hidden = outer.hidden or tag in _UNSEEN or is_hidden(attributes, outer.ground)
        silent = outer.silent or tag in _NO_TEXT
        element = _Element(tag, silent, hidden, background(attributes) or outer.ground)
        self._open.append(element)
        self._open_tags[tag] += 1
        if tag == "title" and self._title is None and "svg" not in self._open_tags:
            self._title = []
        if not (element.silent or element.hidden):
            self._begin(tag, attributes)

    def _begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "br":
            self._flow.line_break()
        elif tag in _HEADINGS:
            self._flow.begin_heading(_HEADINGS[tag])
        elif tag == "pre":
            self._flow.begin_pre()
        elif tag in {"ul", "ol"}:
            self._lists.append(_number(attributes, "start") if tag == "ol" else None)
            self._flow.break_before(1 if len(self._lists) > 1 else 2)
        elif tag == "li":
            self._flow.begin_item(self._item_prefix())
        elif tag in {"table", "tr", "td", "th"}:
            self._begin_table_part(tag, attributes)
        elif tag == "rt":
            self._flow.text("(")
        else:
            self._break(tag)

    def _item_prefix(self) -> str:
        indent = "  " * min(len(self._lists) - 1, 8)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return f"{indent}- "
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _begin_table_part(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "table" and len(self._tables) < _MOST_TABLES and self._flow.takes_tables:
            self._flow.break_before(2)
            if self._tables:
                self._tables[-1][0].is_layout = True
            role = attributes.get("role", "").lower()
            self._tables.append((Table(is_layout=role in {"presentation", "none"}), self._flow))
        elif tag == "table":
            self._flow.break_before(1)
        elif tag == "tr":
            self._end_cell()
            if self._tables:
                self._tables[-1][0].row()
            self._flow.break_before(1)
        elif self._tables and self._flow.takes_tables:
            self._end_cell()
            self._flow = Flow(TextBuilder())
            self._rowspan = _number(attributes, "rowspan")
        else:
            self._flow.text(" ")

    def end(self, tag: str) -> None:
        if not self._open_tags[tag]:
            return
        while self._open:
            element = self._open.pop()
            self._open_tags[element.tag] -= 1
            if element.tag == "title":
                self._take_title()
            elif not (element.silent or element.hidden):
                self._finish_element(element.tag)
            if element.tag == tag:
                return

    def _finish_element(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._flow.end_heading()
        elif tag == "pre":
            self._flow.end_pre()
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
            self._flow.break_before(1 if self._lists else 2)
        elif tag in {"td", "th"}:
            self._end_cell()
        elif tag == "table":
            self._end_table()
        elif tag == "rt":
            self._flow.text(")")
        elif tag != "br":
            self._break(tag)

    def _break(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._flow.break_before(2)
        elif tag in _LINES:
            self._flow.break_before(1)

    def _end_cell(self) -> None:
        if self._tables and self._flow is not self._tables[-1][1]:
            table, _ = self._tables[-1]
            table.cell(self._flow.finish(), self._rowspan)
            self._flow = self._tables[-1][1]

    def _end_table(self) -> None:
        if self._open_tags["table"] < len(self._tables):  # else it was one of those laid out as lines
            self._end_cell()
            table, self._flow = self._tables.pop()
            self._flow.table(table)

    def _take_title(self) -> None:
        title = " ".join("".join(self._title or []).split())[:200]
        if title and self._flow.is_empty and not self._tables:
            self._flow = Flow(TextBuilder(title))

    def data(self, text: str) -> None:
        element = self._open[-1] if self._open else None
        if element is not None and element.tag == "title" and self._title is not None:
            self._title.append(text)
        elif element is None or not (element.silent or element.hidden):
            self._flow.text(text)
        elif element.hidden and not element.silent:
            self._hidden += len(" ".join(text.split()))

    def comment(self, text: str) -> None:
        """Comments are no text."""

    def close(self) -> None:
        while self._tables:
            self._end_cell()
            table, self._flow = self._tables.pop()
            self._flow.table(table)

    def finish(self, notes: tuple[str, ...]) -> Extracted:
        """The whole page."""
        self.close()
        self._flow.builder.hidden += self._hidden
        return self._flow.finish("html", notes)


def _number(attributes: Mapping[str, str], name: str) -> int:
    value = attributes.get(name, "1")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 7 else 1
