"""Tables in the extracted text of a document: Markdown, CSV, JSON records, and rows of "a | b" cells."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LARGEST_TEXT = 20_000_000  # characters; what is longer is not looked through for tables
_LONGEST_ROW = 4000  # characters
_SUFFICIENT = 2  # rows below the header
_JOINED = frozenset("html docx xlsx pptx odt rtf pdf epub eml".split())  # readers join cells by " | "
_LAID_OUT = frozenset("html epub eml".split())
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_NUMBER = re.compile(r"[\s\d.,:/%$€£¥+()-]*")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)

Line = tuple[int, str]  # where it starts in the document's text, and the line


@dataclass(frozen=True, slots=True)
class TableRow:
    """Cells without white space around them; the row is `text[start:end]` of the document."""

    start: int
    end: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the names of its columns; all rows have as many cells as names."""

    header: tuple[str, ...]
    rows: tuple[TableRow, ...]


def tables(text: str, kind: str) -> list[Table]:
    """The tables of a document of this kind, in order; those without a row of column names are left out."""
    if len(text) > LARGEST_TEXT:
        return []
    if kind == "csv":
        return [table for table in [_csv(text)] if table is not None]
    if kind in ("json", "jsonl"):
        return [table for table in [_json(text, kind)] if table is not None]
    return [table for block in _blocks(text) for table in [_piped(block, kind)] if table is not None]


def is_number(cell: str) -> bool:
    """Whether a cell is a figure, a price or a date in figures, or empty."""
    return _NUMBER.fullmatch(cell) is not None


def _table(header: Sequence[str], rows: Sequence[TableRow]) -> Table | None:
    """The table, if its header names columns; rows of another width are left out."""
    names = tuple(re.sub(r"(?<=\w):\w+(?:\(\w*\))?$", "", name).strip() for name in header)
    if len(names) < 2 or len(set(names)) < len(names) or any(len(name) > 60 for name in names):
        return None
    if any(not name or name[-1] in ".:：。" for name in names[1:]):
        return None
    if any(name and is_number(name) for name in names):
        return None
    same = tuple(row for row in rows if len(row.cells) == len(names))
    return Table(names, same) if len(same) >= max(_SUFFICIENT, len(rows) // 2) else None


def _lines(text: str) -> Iterator[Line]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


# -- CSV ---------------------------------------------------------------------------------------------


def _csv(text: str) -> Table | None:
    lines = [(start, line) for start, line in _lines(text) if line.strip() and len(line) <= _LONGEST_ROW]
    if len(lines) <= _SUFFICIENT:
        return None
    sample = [line for _, line in lines[:20]]
    sign = max(",;\t|", key=lambda one: sum(one in line for line in sample) * 1000 + sample[0].count(one))
    rows = [_csv_row(start, line, sign) for start, line in lines]
    for at, row in enumerate(rows[:3]):  # a title may stand above the names
        if sum(bool(cell) for cell in row.cells) > 1:
            return _table(row.cells, rows[at + 1 :])
    return None


def _csv_row(start: int, line: str, sign: str) -> TableRow:
    try:
        cells = next(csv.reader([line], delimiter=sign, skipinitialspace=True), [])
    except csv.Error:
        cells = []
    return TableRow(start, start + len(line), tuple(cell.strip() for cell in cells))


# -- JSON --------------------------------------------------------------------------------------------


def _json(text: str, kind: str) -> Table | None:
    header: tuple[str, ...] = ()
    rows: list[TableRow] = []
    for start, end, value in _json_lines(text) if kind == "jsonl" else _json_elements(text):
        if not isinstance(value, dict) or end - start > _LONGEST_ROW:
            continue
        header = header or tuple(value)
        if tuple(value) == header:
            rows.append(TableRow(start, end, tuple(_cell(content) for content in value.values())))
    return _table(header, rows) if header else None


def _cell(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _json_lines(text: str) -> Iterator[tuple[int, int, Any]]:
    for start, line in _lines(text):
        try:
            yield start, start + len(line), _DECODER.decode(line)
        except (ValueError, RecursionError):
            continue


def _json_elements(text: str) -> Iterator[tuple[int, int, Any]]:
    at = text.find("[") + 1
    while at:
        found = re.compile(r"[\s,]*(?=\{)").match(text, at)
        if found is None:
            return
        try:
            value, end = _DECODER.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            return
        yield found.end(), end, value
        at = end


# -- rows of cells with bars -------------------------------------------------------------------------


def _blocks(text: str) -> Iterator[list[Line]]:
    """Runs of neighbouring lines with a bar between cells."""
    block: list[Line] = []
    for start, line in _lines(text):
        if "|" in line and len(line) <= _LONGEST_ROW:
            block.append((start, line))
        else:
            if len(block) > _SUFFICIENT:
                yield block
            block = []
    if len(block) > _SUFFICIENT:
        yield block


def _piped(block: list[Line], kind: str) -> Table | None:
    if _RULE.fullmatch(block[1][1]) and "-" in block[1][1]:
        return _table(_bars(*block[0]).cells, [_bars(*line) for line in block[2:]])
    if kind not in _JOINED:
        return None
    rows = [
        TableRow(start, start + len(line), tuple(cell.strip() for cell in line.split(" | ")))
        for start, line in block
    ]
    if len({len(row.cells) for row in rows}) > 1:  # merged cells: no telling which column is which
        return None
    if kind in _LAID_OUT and len(rows[0].cells) == 2:  # a box of facts: its first row is one of them
        return None
    return _table(rows[0].cells, rows[1:])


def _bars(start: int, line: str) -> TableRow:
    """A Markdown row: cells between bars, escaped ones apart, without marks of emphasis."""
    inner = re.sub(r"^\s*\||\|\s*$", "", line)
    cells = (re.sub(r"^[*_`\s]+|[*_`\s]+$", "", cell) for cell in re.split(r"(?<!\\)\|", inner))
    left = len(line) - len(line.lstrip())
    return TableRow(start + left, start + len(line.rstrip()), tuple(cells))
