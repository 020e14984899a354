"""Excel workbooks (OOXML): a heading per sheet, a line per row, cells joined by " | ".

Values are those stored in the file: formulas are never evaluated. Sheets are read while their XML is
parsed; how many cells and rows are read is bounded, and a note says so where the bound is met.
"""

from __future__ import annotations

import re

from lxml import etree

from corpora.readers import ReadProblem
from corpora.readers.builder import TextBuilder
from corpora.readers.containers import Container, attribute, damage_reported, elements, forget, integer, local
from corpora.readers.ooxml import drawing_paragraphs, main_part, one_line, parts_of, relation_id, relations
from corpora.readers.xlsx_formats import NumberFormats
from corpora.records import Extracted

_CELLS = 1_000_000
_SHEET_BYTES = 256 << 20
_GAP = 20  # empty cells between two filled ones that are still shown as empty cells


@damage_reported("Excel workbook")
def read(data: bytes, name: str) -> Extracted:
    """The text of an .xlsx, hidden sheets included (and named in a note).

    Raises ReadProblem: `damaged`, `encrypted`, `bomb`, `empty`.
    """
    workbook = _Workbook(Container(data))
    workbook.write_sheets()
    if not workbook.builder.length:
        raise ReadProblem("empty", "no filled cell in any sheet")
    return workbook.builder.build("xlsx", tuple(workbook.notes))


class _Workbook:
    """Carries a workbook into a TextBuilder, sheet by sheet."""

    def __init__(self, container: Container) -> None:
        self.builder = TextBuilder()
        self.notes: list[str] = []
        self._container = container
        self._main = main_part(container, "xl/workbook.xml", "Excel workbook")
        self._root = container.xml(self._main)
        self._links = relations(container, self._main)
        properties = self._root.find("{*}workbookPr")
        from_1904 = properties is not None and attribute(properties, "date1904") in {"1", "true"}
        styles = next(iter(parts_of(self._links, "styles")), "")
        looks = container.xml(styles) if styles in container else None
        self._formats = NumberFormats(looks, from_1904=from_1904)
        self._strings = self._shared_strings()
        self._cells_left = _CELLS

    def write_sheets(self) -> None:
        hidden = []
        for sheet in self._root.iterfind("{*}sheets/{*}sheet"):
            title = one_line(attribute(sheet, "name"))
            link = self._links.get(relation_id(sheet))
            if link is None or link.part not in self._container or link.kind != "worksheet":
                continue
            if self._write_sheet(title, link.part) and attribute(sheet, "state", "visible") != "visible":
                hidden.append(title)
        if hidden:
            self.notes.append(f"hidden, but read: sheet {', '.join(hidden[:20])}")
        if self._cells_left <= 0:
            self.notes.append(f"only the first {_CELLS:,} filled cells were read")

    def _shared_strings(self) -> list[str]:
        part = next(iter(parts_of(self._links, "sharedStrings")), "")
        strings: list[str] = []
        if part in self._container:
            for item in elements(self._container.stream(part), "{*}si"):
                strings.append(_rich_text(item))
                forget(item)
        return strings

    def _write_sheet(self, title: str, part: str) -> bool:
        """Write one sheet under its name; False where it holds nothing."""
        rows = _Rows(self.builder, title)
        for element in elements(self._container.stream(part, _SHEET_BYTES), "{*}row"):
            if self._cells_left > 0:
                rows.add(integer(attribute(element, "r"), rows.last + 1), self._cells(element))
            forget(element)
        rows.finish()
        for text in self._drawing_texts(part):
            rows.begin_sheet()
            self.builder.paragraph(text)
        return rows.begun

    def _cells(self, row: etree._Element) -> dict[int, str]:
        cells: dict[int, str] = {}
        column = -1
        for cell in row:
            if local(cell) == "c":
                column = _column(attribute(cell, "r"), column + 1)
                value = self._value(cell)
                if value:
                    cells[column] = value
        self._cells_left -= len(cells)
        return cells

    def _value(self, cell: etree._Element) -> str:
        kind = attribute(cell, "t", "n")
        if kind == "inlineStr":
            return one_line(_rich_text(cell))
        stored = cell.find("{*}v")
        text = "" if stored is None else stored.text or ""
        if kind == "s":
            index = integer(text, -1)
            return one_line(self._strings[index]) if 0 <= index < len(self._strings) else ""
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(text, text)
        if kind == "n" and text:
            return self._formats.shown(text, integer(attribute(cell, "s")))
        return one_line(text[:10]) if kind == "d" and text.endswith("T00:00:00") else one_line(text)

    def _drawing_texts(self, part: str) -> list[str]:
        """The text boxes that lie on a sheet."""
        drawings = parts_of(relations(self._container, part), "drawing")
        found = (self._container.xml(one) for one in drawings if one in self._container)
        return [text for text in ("\n".join(drawing_paragraphs(root)) for root in found) if text]


class _Rows:
    """Writes the rows of one sheet; a run of rows without a gap is a table, kept as a block."""

    def __init__(self, builder: TextBuilder, title: str) -> None:
        self.begun = False
        self.last = 0
        self._builder, self._title = builder, title
        self._lines: list[str] = []
        self._first_column = 0

    def add(self, number: int, cells: dict[int, str]) -> None:
        if not cells:
            return
        if number != self.last + 1:
            self.finish()
        if not self._lines:
            self._first_column = min(cells)
        self.last = number
        self._lines.append(_row_text(cells, min(self._first_column, *cells)))

    def finish(self) -> None:
        """Write the table that has come so far."""
        if self._lines:
            self.begin_sheet()
            self._builder.block("\n".join(self._lines))
            self._lines = []

    def begin_sheet(self) -> None:
        if not self.begun:
            self.begun = True
            self._builder.heading(1, self._title)


def _row_text(cells: dict[int, str], first: int) -> str:
    pieces: list[str] = []
    expected = first
    for column in sorted(cells):
        pieces += [""] * min(_GAP, column - expected)
        pieces.append(cells[column])
        expected = column + 1
    return " | ".join(pieces)


def _rich_text(item: etree._Element) -> str:
    """The text of a string item; its phonetic guide (rPh) left out."""
    pieces = []
    for node in item.iter("{*}t"):
        parent = node.getparent()
        if parent is None or local(parent) != "rPh":
            pieces.append(node.text or "")
    return "".join(pieces)


_REFERENCE = re.compile(r"\$?([A-Za-z]{1,3})")


def _column(reference: str, expected: int) -> int:
    """The 0-based column of "BC12"; `expected` where the cell does not say."""
    found = _REFERENCE.match(reference)
    if found is None:
        return expected
    column = 0
    for letter in found[1].upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1
