"""OpenDocument texts: the body in order, with headings, lists, tables, notes and text boxes.

`content.xml` is read while it is parsed. Tracked deletions and hidden text are left out, the latter
counted; a comment in the margin (office:annotation) is no part of the text.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from corpora.readers import ReadProblem
from corpora.readers.builder import TextBuilder
from corpora.readers.containers import (
    Container,
    attribute,
    damage_reported,
    elements,
    forget,
    integer,
    local,
)
from corpora.readers.ooxml import one_line, rows_text
from corpora.records import Extracted

_CONTENT = "content.xml"
_ALGORITHM = b"encryption-data"
_LEFT_OUT = frozenset(
    {"annotation", "ruby-text", "tracked-changes", "title", "desc", "forms", "event-listeners"}
)
_BLOCKS = frozenset({"p", "h", "table"})
_CODE_STYLES = ("preformatted", "source", "code")
_REPEATED = 64  # columns or rows of equal cells that are really shown; more are padding
_SPACES = 100


@damage_reported("OpenDocument text")
def read(data: bytes, name: str) -> Extracted:
    """The text of an .odt. Raises ReadProblem: `damaged`, `encrypted`, `bomb`, `empty`."""
    container = Container(data)
    if "META-INF/manifest.xml" in container and _ALGORITHM in container.read("META-INF/manifest.xml"):
        raise ReadProblem("encrypted", "password protected; remove the password and ingest again")
    if _CONTENT not in container:
        raise ReadProblem("damaged", "not a whole OpenDocument text: content.xml is missing")
    story = _Story(container)
    if "styles.xml" in container:
        story.learn_styles(container.xml("styles.xml"))
    for element in elements(container.stream(_CONTENT), "{*}style", "{*}p", "{*}h", "{*}table"):
        if local(element) == "style":
            story.learn_style(element)
        elif _outermost(element):
            story.block(element)
            forget(element)
    return story.build()


def _outermost(element: etree._Element) -> bool:
    outside = ("p", "h", "table", "tracked-changes", "annotation", "header", "footer")
    return next(element.iterancestors(*(f"{{*}}{name}" for name in outside)), None) is None


class _Story:
    """Carries one document into a TextBuilder."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._builder = TextBuilder()
        self._hidden: set[str] = set()
        self._code: set[str] = set()
        self._titles: set[str] = set()
        self._code_lines: list[str] = []
        self._last_list: etree._Element | None = None
        self._note_count = 0
        self._notes: list[str] = []
        self._boxes: list[etree._Element] = []

    def learn_styles(self, root: etree._Element) -> None:
        for style in root.iter("{*}style"):
            self.learn_style(style)

    def learn_style(self, style: etree._Element) -> None:
        """Remember which styles hide text, or mark titles and source code, by themselves or their parents."""
        name, parent = attribute(style, "name"), attribute(style, "parent-style-name")
        shown = next((attribute(node, "display") for node in style.iter("{*}text-properties")), "")
        if shown == "none" or (parent in self._hidden and not shown):
            self._hidden.add(name)
        if parent in self._titles or name == "Title":
            self._titles.add(name)
        if parent in self._code or name.lower().startswith(_CODE_STYLES):
            self._code.add(name)

    def block(self, element: etree._Element) -> None:
        """Write a paragraph, heading or table, then the notes and boxes that hang on it."""
        if local(element) == "table":
            self._finish_code()
            self._table(element)
        else:
            self._paragraph(element)
        boxes, notes = self._boxes, self._notes
        self._boxes, self._notes = [], []
        if boxes or notes:
            self._finish_code()
            self._last_list = None
        for box in boxes:
            for child in _outer(box, _BLOCKS):
                self.block(child)
        for note in notes:
            self._builder.paragraph(note)

    def build(self) -> Extracted:
        self._finish_code()
        if not self._builder.length:
            raise ReadProblem("empty", "no visible text")
        return self._builder.build("odt")

    def _paragraph(self, element: etree._Element) -> None:
        style = attribute(element, "style-name")
        text = self._text(element, hidden=style in self._hidden)
        if style in self._code:
            self._code_lines.append(text)
            return
        if not text.strip():
            return
        self._finish_code()
        parent = element.getparent()
        in_list = parent is not None and local(parent) in {"list-item", "list-header"}
        if local(element) == "h" or style in self._titles:
            level = max(1, min(10, integer(attribute(element, "outline-level"), 1)))
            self._builder.heading(level, one_line(text))
        elif in_list:
            self._item(element, text.strip())
        else:
            self._builder.paragraph(text.strip("\n"))
        self._last_list = _top_list(element) if in_list else None

    def _item(self, element: etree._Element, text: str) -> None:
        depth = sum(1 for _ in element.iterancestors("{*}list"))
        first = element.getprevious() is None
        line = "  " * (depth - 1) + ("- " if first else "  ") + text
        if self._last_list is not None and self._last_list is _top_list(element):
            self._builder.add("\n" + line)
        else:
            self._builder.paragraph(line)

    def _finish_code(self) -> None:
        self._builder.block("\n".join(self._code_lines))
        self._code_lines.clear()

    # -- inside a paragraph

    def _text(self, element: etree._Element, *, hidden: bool = False) -> str:
        pieces: list[str] = []
        self._collect(element, pieces, hidden)
        text = "".join(pieces)
        if hidden:
            self._builder.hidden += len(text)
            return ""
        return text

    def _collect(self, element: etree._Element, pieces: list[str], hidden: bool) -> None:
        pieces.append(_collapsed(element.text))
        for child in element:
            name = local(child)
            if name == "span" and not hidden and attribute(child, "style-name") in self._hidden:
                self._text(child, hidden=True)
            elif name in {"hidden-text", "hidden-paragraph"}:
                unseen = attribute(child, "string-value") or "".join(map(str, child.itertext()))
                self._builder.hidden += len(unseen)
            elif name not in _LEFT_OUT:
                self._inline(child, name, pieces, hidden)
            pieces.append(_collapsed(child.tail))

    def _inline(self, child: etree._Element, name: str, pieces: list[str], hidden: bool) -> None:
        if name == "s":
            pieces.append(" " * max(1, min(_SPACES, integer(attribute(child, "c"), 1))))
        elif name == "tab":
            pieces.append("\t")
        elif name == "line-break":
            pieces.append("\n")
        elif name == "note":
            self._note(child)
        elif name == "text-box":
            self._boxes.append(child)
        elif name == "math":
            pieces.append(_math(child))
        elif name == "object" and attribute(child, "href"):
            pieces.append(self._embedded(attribute(child, "href")))
        else:
            self._collect(child, pieces, hidden)

    def _embedded(self, link: str) -> str:
        """The text of an embedded formula; other objects have their picture in the document."""
        part = f"{link.removeprefix('./').rstrip('/')}/content.xml"
        if part not in self._container:
            return ""
        root = self._container.xml(part)
        return _math(root) if local(root) == "math" else ""

    def _note(self, note: etree._Element) -> None:
        body = note.find("{*}note-body")
        found = () if body is None else body.iter("{*}p", "{*}h")
        text = one_line(" ".join(self._text(paragraph) for paragraph in found))
        if text:
            self._note_count += 1
            self._notes.append(f"Note {self._note_count}: {text}")

    # -- tables

    def _table(self, table: etree._Element) -> None:
        rows: list[list[str]] = []
        for row in _outer(table, {"table-row"}):
            cells = list(_outer(row, {"table-cell", "covered-table-cell"}))
            if any(next(cell.iter("{*}table"), None) is not None for cell in cells):
                self._builder.block(rows_text(rows))
                rows.clear()
                for cell in cells:
                    for child in _outer(cell, _BLOCKS):
                        self.block(child)
            else:
                repeated = max(1, min(_REPEATED, integer(attribute(row, "number-rows-repeated"), 1)))
                rows += [self._row(cells)] * repeated
        self._builder.block(rows_text(rows))
        self._last_list = None

    def _row(self, cells: list[etree._Element]) -> list[str]:
        texts: list[str] = []
        for cell in cells:
            paragraphs = (self._text(node) for node in _outer(cell, {"p", "h"}))
            text = "" if local(cell) == "covered-table-cell" else one_line(" ".join(paragraphs))
            times = integer(attribute(cell, "number-columns-repeated"), 1)
            texts += [text] * max(1, min(_REPEATED, times))
        return texts


def _outer(parent: etree._Element, names: frozenset[str] | set[str]) -> Iterator[etree._Element]:
    """The nearest descendants with one of `names`, in order, none inside another."""
    for child in parent:
        if local(child) in names:
            yield child
        elif local(child) not in _LEFT_OUT:
            yield from _outer(child, names)


def _math(element: etree._Element) -> str:
    """The signs of a MathML formula in order, without the annotation that repeats it."""
    nodes = (node for node in element.iter() if local(node) not in {"annotation", "annotation-xml"})
    return one_line(" ".join((node.text or "").strip() for node in nodes))


def _top_list(element: etree._Element) -> etree._Element | None:
    lists = list(element.iterancestors("{*}list"))
    return lists[-1] if lists else None


def _collapsed(text: str | None) -> str:
    """White space in the XML is one blank (ODF 1.3, part 3, 6.1.2); more are written as text:s."""
    if not text:
        return ""
    inner = " ".join(text.split())
    if not inner:
        return " "
    return (" " if text[0].isspace() else "") + inner + (" " if text[-1].isspace() else "")
