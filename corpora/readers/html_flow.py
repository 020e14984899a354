"""How the text of a page or of a table cell flows: white space, lines, headings, `pre`, tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from textwrap import dedent

from corpora.readers.builder import TextBuilder
from corpora.records import Extracted

_SPACES = re.compile(r"[ \t\n\f\r\xa0]+")
_LONGEST_CELL = 2000


class Flow:
    """Collapses white space as a browser does and turns block boundaries into newlines."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self._newlines = 0  # owed before the next text
        self._space = False  # owed before the next word
        self._prefix = ""  # bullet or number owed to a list item
        self._heading: tuple[int, list[str]] | None = None
        self._pre: list[str] | None = None

    @property
    def is_empty(self) -> bool:
        return self.builder.length == 0 and not self.builder.marks

    @property
    def takes_tables(self) -> bool:
        """A table inside a heading or `pre` is only text."""
        return self._heading is None and self._pre is None

    def text(self, text: str) -> None:
        """Text as it stands in the markup."""
        if self._pre is not None:
            self._pre.append(text)
        elif self._heading is not None:
            self._heading[1].append(text)
        else:
            self._words(_SPACES.sub(" ", text))

    def _words(self, text: str) -> None:
        words = text.strip(" ")
        if not words:
            self._space = self._space or bool(text)
            return
        if self._newlines and self.builder.length:
            self.builder.add("\n" * self._newlines)
        elif (self._space or text[0] == " ") and self.builder.length:
            self.builder.add(" ")
        self.builder.add(self._prefix + words)
        self._newlines, self._space, self._prefix = 0, text[-1] == " ", ""

    def break_before(self, newlines: int) -> None:
        """At least so many newlines come before the next text."""
        if self._pre is not None:
            return
        if self._heading is not None:
            self._heading[1].append(" ")
        elif not self._prefix:  # a paragraph right after a bullet stays on its line
            self._newlines = max(self._newlines, newlines)

    def line_break(self) -> None:
        """A `br`: the second in a row makes an empty line."""
        if self._pre is not None:
            self._pre.append("\n")
        else:
            self.break_before(min(2, self._newlines + 1))

    def begin_item(self, prefix: str) -> None:
        self.break_before(1)
        self._prefix = prefix

    def begin_heading(self, level: int) -> None:
        if self._pre is None:
            self.end_heading()
            self._heading = (level, [])

    def end_heading(self) -> None:
        if self._heading is not None:
            level, parts = self._heading
            self._heading = None
            title = " ".join("".join(parts).split()).rstrip("¶ ")
            self.builder.heading(level, title)
            self._newlines, self._space, self._prefix = 2, False, ""

    def begin_pre(self) -> None:
        if self._heading is None and self._pre is None:
            self._pre = []

    def end_pre(self) -> None:
        if self._pre is not None:
            text = "".join(self._pre).replace("\r\n", "\n")
            self._pre = None
            self.builder.block(dedent("\n".join(line.rstrip() for line in text.split("\n"))).strip("\n"))
            self._newlines, self._space, self._prefix = 2, False, ""

    def table(self, table: Table) -> None:
        """Put a finished table here."""
        table.write(self.builder)
        self._newlines, self._space, self._prefix = 2, False, ""

    def finish(self, kind: str = "html", notes: tuple[str, ...] = ()) -> Extracted:
        self.end_heading()
        self.end_pre()
        return self.builder.build(kind, notes)


@dataclass(slots=True)
class Table:
    """Rows of cells; a cell is a small document of its own, so that headings in it are not lost."""

    is_layout: bool = False
    rows: list[list[Extracted]] = field(default_factory=list)
    _spanning: dict[int, tuple[int, int, Extracted]] = field(default_factory=dict)  # column: rows from, to

    def row(self) -> None:
        self.rows.append([])
        self._fill()

    def cell(self, content: Extracted, rowspan: int = 1) -> None:
        """The next cell; one that spans rows is repeated in each, so that every row says it all."""
        if not self.rows:
            self.rows.append([])
        column = len(self.rows[-1])
        self.rows[-1].append(content)
        if rowspan > 1:
            repeated = content if len(content.text) <= 100 else Extracted("", content.kind)
            self._spanning[column] = (len(self.rows), len(self.rows) + rowspan - 2, repeated)
        self.is_layout = self.is_layout or bool(content.marks) or len(content.text) > _LONGEST_CELL
        self._fill()

    def _fill(self) -> None:
        """Put in the cells that reach down from the rows above, as far as this row has come."""
        row = len(self.rows) - 1
        while (column := len(self.rows[-1])) in self._spanning:
            first, last, repeated = self._spanning[column]
            if not first <= row <= last:
                return
            self.rows[-1].append(repeated)

    def write(self, into: TextBuilder) -> None:
        """As a block of lines "a | b", or cell after cell where the table only lays out the page."""
        rows = [[" ".join(cell.text.split()) for cell in row] for row in self.rows]
        filled = {column for row in rows for column, text in enumerate(row) if text}
        if self.is_layout or len(filled) < 2:
            for cell in (cell for row in self.rows for cell in row):
                into.append(cell)
            return
        # A row that only begins the next one ("2025" over "2025 | January") says nothing of its own.
        said = [row for row, below in zip(rows, [*rows[1:], []], strict=True) if row != below[: len(row)]]
        lines = [" | ".join(text for at, text in enumerate(row) if at in filled) for row in said if any(row)]
        into.block("\n".join(lines))
