"""Word documents (OOXML): the body in order, with headings, lists, tables, notes and text boxes.

Read straight from the XML while it is parsed, so that a large document needs little memory. Tracked
deletions are left out and insertions kept; hidden text is left out and counted.
"""

from __future__ import annotations

from lxml import etree

from corpora.readers import ReadProblem
from corpora.readers.builder import TextBuilder
from corpora.readers.containers import Container, attribute, damage_reported, elements, forget, local
from corpora.readers.docx_inline import DELETED, LEFT_OUT, InlineReader, Line
from corpora.readers.docx_styles import Numbering, Place, Styles
from corpora.readers.ooxml import main_part, one_line, parts_of, relations, rows_text
from corpora.records import Extracted

_LAYOUT_CELL = 2_000  # characters; a cell with more is a column of a page, not a value
_HEADING_LENGTH = 300  # characters; a longer "heading" is a paragraph in a heading's style


@damage_reported("Word document")
def read(data: bytes, name: str) -> Extracted:
    """The text of a .docx; each line of its headers and footers comes once, at the end.

    Raises ReadProblem: `damaged`, `encrypted`, `bomb`, `empty`.
    """
    container = Container(data)
    story = _Story(container, main_part(container, "word/document.xml", "Word document"))
    story.read_body()
    story.read_headers_and_footers()
    return story.build()


class _Story:
    """Carries one document from its parts into a TextBuilder."""

    def __init__(self, container: Container, main: str) -> None:
        self._container, self._main = container, main
        self._links = relations(container, main)
        self._styles = Styles(self._part("styles"))
        self._numbering = Numbering(self._part("numbering"))
        notes = {**self._notes("footnote"), **self._notes("endnote")}
        self._inline = InlineReader(container, self._links, self._styles, notes)
        self._builder = TextBuilder()
        self._in_list = False
        self._code: list[str] = []

    def read_body(self) -> None:
        rows: list[list[str]] = []
        for element in elements(self._container.stream(self._main), "{*}p", "{*}tr", "{*}tbl"):
            inside = _outside(element)
            if inside == ["tbl"] and local(element) == "tr":
                self._row(element, rows)
                forget(element)
            elif not inside and local(element) != "tr":
                if local(element) == "tbl":
                    self._finish_table(rows)
                else:
                    self._paragraph(element)
                forget(element)
        self._finish_code()

    def read_headers_and_footers(self) -> None:
        lines: dict[str, None] = {}
        for part in (*parts_of(self._links, "header"), *parts_of(self._links, "footer")):
            if part in self._container:
                text = self._inline.aside(self._container.xml(part))
                told = (line for line in text.split("\n") if any(map(str.isalpha, line)))  # not page numbers
                lines.update(dict.fromkeys(told))
        if lines:
            self._builder.blank_line()
            self._builder.mark(heading=None)
            self._builder.add("\n".join(lines))

    def build(self) -> Extracted:
        self._builder.hidden += self._inline.hidden
        if not self._builder.length:
            raise ReadProblem("empty", "no visible text")
        return self._builder.build("docx", ("tracked deletions left out",) if self._inline.deleted else ())

    def _part(self, kind: str) -> etree._Element | None:
        part = next(iter(parts_of(self._links, kind)), None)
        return self._container.xml(part) if part is not None and part in self._container else None

    def _notes(self, kind: str) -> dict[str, etree._Element]:
        root = self._part(f"{kind}s")
        found = () if root is None else root.findall(f"{{*}}{kind}")
        usual = (note for note in found if attribute(note, "type", "normal") == "normal")
        return {kind + attribute(note, "id"): note for note in usual}

    def _blocks(self, parent: etree._Element) -> None:
        for child in parent:
            name = local(child)
            if name == "p":
                self._paragraph(child)
            elif name == "tbl":
                self._table(child)
            elif name in DELETED:
                self._inline.deleted = True
            elif name not in LEFT_OUT:
                self._blocks(child)

    # -- paragraphs

    def _paragraph(self, element: etree._Element) -> None:
        line = self._inline.line(element)
        self._write(line.text.strip("\n"), line.place)
        if line.boxes or line.extras or line.notes:
            self._finish_code()
            self._in_list = False
        for box in line.boxes:
            self._blocks(box)
        for extra in line.extras:
            self._builder.block(extra)
        for note in line.notes:
            self._builder.paragraph(note)

    def _write(self, text: str, place: Place) -> None:
        look = self._styles[place.style]
        if look.code:
            self._code.append(text)
            return
        if not text.strip():
            return
        self._finish_code()
        level = look.heading
        if place.outline is not None:
            level = place.outline + 1 if place.outline < 9 else None
        label = self._label(place)
        if level is not None and len(text) <= _HEADING_LENGTH:
            self._builder.heading(level, label + one_line(text))
        elif label and self._in_list:
            self._builder.add("\n" + label + text)
        else:
            self._builder.paragraph(label + text)
        self._in_list = bool(label) and level is None

    def _label(self, place: Place) -> str:
        list_id, level = place.item or self._styles[place.style].numbering or ("0", 0)
        return "" if list_id == "0" else self._numbering.label(list_id, level)

    def _finish_code(self) -> None:
        if self._code:
            self._builder.block("\n".join(self._code))
            self._in_list = False
            self._code.clear()

    # -- tables

    def _table(self, table: etree._Element) -> None:
        rows: list[list[str]] = []
        for row in table.iter("{*}tr"):
            if next(row.iterancestors("{*}tbl"), None) is table:
                self._row(row, rows)
        self._finish_table(rows)

    def _row(self, row: etree._Element, rows: list[list[str]]) -> None:
        self._finish_code()
        self._in_list = False
        if row.find("{*}trPr/{*}del") is not None:
            self._inline.deleted = True
            return
        cells = [cell for cell in row.iter("{*}tc") if next(cell.iterancestors("{*}tr"), None) is row]
        if _is_layout(cells, first=not rows):
            self._finish_table(rows)
            for cell in cells:
                self._blocks(cell)
                self._finish_code()
            return
        self._inline.in_table += 1
        lines = [self._cell(cell) for cell in cells]
        self._inline.in_table -= 1
        rows.append([text for text, _ in lines])
        rows.extend([note] for _, notes in lines for note in notes)

    def _cell(self, cell: etree._Element) -> tuple[str, list[str]]:
        """The text of a cell on one line, and its notes; nothing for the rest of a merged cell."""
        merged = cell.find("{*}tcPr/{*}vMerge")
        if merged is not None and attribute(merged, "val") != "restart":
            return "", []
        texts: list[str] = []
        notes: list[str] = []
        for paragraph in cell.iter("{*}p"):
            if next(paragraph.iterancestors("{*}p", "{*}tc"), None) is cell:
                line = self._inline.line(paragraph)
                texts += self._cell_line(line)
                notes += line.notes
        return one_line(" ".join(texts)), notes

    def _cell_line(self, line: Line) -> list[str]:
        label = self._label(line.place) if line.text.strip() else ""
        return [label + line.text, *(self._inline.aside(box) for box in line.boxes), *line.extras]

    def _finish_table(self, rows: list[list[str]]) -> None:
        self._builder.block(rows_text(rows))
        rows.clear()


def _outside(element: etree._Element) -> list[str]:
    """The names of the blocks that an element of the body lies in, from the inside out."""
    parent = element.getparent()
    if parent is None or local(parent) == "body":
        return []
    blocks = element.iterancestors("{*}tbl", "{*}p", "{*}txbxContent", "{*}del", "{*}moveFrom")
    return [local(block) for block in blocks]


def _is_layout(cells: list[etree._Element], *, first: bool) -> bool:
    """Whether a row places text on the page instead of holding values: tables or long text in its cells."""
    if any(next(cell.iter("{*}tbl"), None) is not None for cell in cells):
        return True
    if any(sum(len(node.text or "") for node in cell.iter("{*}t")) > _LAYOUT_CELL for cell in cells):
        return True
    return first and len(cells) == 1 and sum(1 for _ in cells[0].iter("{*}p")) > 2
