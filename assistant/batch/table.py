"""CSV: rows of a table as if they had been JSON objects, and rows of results as lines of a table."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpora.errors import UsageError
from finetune.formats.lines import LONGEST_LINE, Line

_SUFFIXES = (".csv", ".tsv")
_LINES = (".jsonl", ".ndjson", ".json")
_DELIMITERS = ",;\t"
_QUOTED = re.compile(rb'(?:\A|[,;\t])"')
_NUMBERS = frozenset({"k"})
_LISTS = frozenset({"expected", "answers"})
# Spreadsheets run a cell that begins like this as a formula; a plain number is none.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?!\d+(?:[.,]\d+)?\Z)")


def is_table(data: bytes, name: str) -> bool:
    """Whether the file is a CSV: by its name, else by its first line."""
    low = name.lower()
    if low.endswith(_SUFFIXES + _LINES):
        return low.endswith(_SUFFIXES)
    first = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return first not in (b"{", b"[", b"") and b"question" in data.partition(b"\n")[0]


def read_table(data: bytes, name: str, columns: Sequence[str]) -> Iterator[Line]:
    """The rows behind the first line, which names the columns; delimited by comma, semicolon or tab.

    Raises UsageError where there is no column "question", or one of `columns` twice.
    """
    records = split_records(data.removeprefix(b"\xef\xbb\xbf"))
    first = next((raw for _, raw in records if raw.strip()), b"")
    header, delimiter = _header(first, name, columns)
    for number, raw in records:
        if raw.strip():
            yield _line(str(number), raw, header, delimiter)


def split_records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(number of its first line, bytes) of each record: a line break within quotation marks ends none."""
    start, open_, size = 1, False, 0
    record: list[bytes] = []
    for number, line in enumerate(io.BytesIO(data), start=1):
        record.append(line)
        open_ = _still_open(line, open_)
        size += len(line)
        if open_ and size <= LONGEST_LINE:
            continue
        yield start, b"".join(record)
        start, open_, size, record = number + 1, False, 0, []
    if record:
        yield start, b"".join(record)


def _still_open(line: bytes, open_: bool) -> bool:
    """Whether a quoted cell goes on behind `line`; a mark inside a cell that began without one is text."""
    at = 0
    while True:
        if open_:
            close = line.find(b'"', at)
            if close < 0:
                return True
            open_ = line[close + 1 : close + 2] == b'"'
            at = close + (2 if open_ else 1)
        else:
            begins = _QUOTED.search(line, at)
            if begins is None:
                return False
            open_, at = True, begins.end()


def table_line(cells: Sequence[Any]) -> bytes:
    """A line of a table, with its line break; what a spreadsheet would run as a formula is made text."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return out.getvalue().encode("utf-8", "replace")


def parse_line(raw: bytes, delimiter: str = ",") -> list[str]:
    """The cells of one record. Raises ValueError."""
    try:
        (cells,) = csv.reader([raw.decode("utf-8").rstrip("\r\n")], delimiter=delimiter, strict=True)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error
    return cells


def _header(raw: bytes, name: str, columns: Sequence[str]) -> tuple[list[str], str]:
    for delimiter in _DELIMITERS:
        try:
            header = [cell.strip() for cell in parse_line(raw, delimiter)]
        except ValueError:
            continue
        if "question" not in header:
            continue
        twice = next((one for one in columns if header.count(one) > 1), None)
        if twice is not None:
            raise UsageError(f"{name} has two columns {twice}.", hint="leave one of them out")
        return header, delimiter
    raise UsageError(
        f"{name} has no column question in its first line.", hint=f"columns are {', '.join(columns)}"
    )


def _line(place: str, raw: bytes, header: Sequence[str], delimiter: str) -> Line:
    try:
        cells = parse_line(raw, delimiter)
    except ValueError as error:
        lines = raw.count(b"\n") + (not raw.endswith(b"\n"))
        more = f"; is a quotation mark not closed? This is {lines} lines" if lines > 1 else ""
        return Line(place, problem=f"{error}{more}")
    if len(cells) > len(header):
        return Line(place, problem="more cells than columns")
    given = {column: cell for column, cell in zip(header, cells, strict=False) if column and cell.strip()}
    return Line(place, {column: _value(column, cell) for column, cell in given.items()})


def _value(column: str, cell: str) -> Any:
    if column in _NUMBERS and cell.strip().isdecimal() and len(cell) < 20:
        return int(cell)
    if column in _LISTS and cell.lstrip().startswith("["):
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        return found if isinstance(found, list) else cell
    return cell


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | Mapping) else value
