"""The files of a user's graph as text and rows. They are untrusted: sizes are bounded, bad lines reported.

The text of a file is the same as `ingest` extracts from it, so that the place of a row in the one is its
place in the other.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from corpora.errors import NothingToDo, StorageError, UsageError
from corpora.readers import ReadProblem
from corpora.readers.encoding import decode
from corpora.readers.hidden import visible
from finetune.self_kg.records import Dropped, Row

LARGEST_FILE = 128 << 20  # bytes
LONGEST_LINE = 64 << 10  # characters
_MOST_LINES_OF_A_ROW = 20
_SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".json", ".jsonl", ".ndjson")
_NOT_GRAPHS = re.compile(r"licen[cs]e|readme|changelog", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GraphFile:
    """One file: its shown name, the hash of its bytes, its text and the lines that could not be decoded."""

    name: str
    suffix: str
    sha256: str
    text: str
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class CsvRow:
    """The cells of one row, stripped, and where it stands."""

    cells: tuple[str, ...]
    row: Row


def graph_paths(path: Path) -> list[Path]:
    """The files of a graph: `path` itself, or those of a folder that can be one, by name.

    Raises NothingToDo where there is none, UsageError for what is no file.
    """
    if path.is_dir():
        found = sorted(
            child
            for child in path.iterdir()
            if child.suffix.lower() in _SUFFIXES and child.is_file() and not _NOT_GRAPHS.match(child.name)
        )
        if not found:
            raise NothingToDo(
                f"{path} holds no CSV, TSV, text or JSON file.", hint="name the graph's file", code="no_input"
            )
        return found
    if not path.exists():
        raise NothingToDo(f"There is no {path}.", hint="name the graph's file or folder", code="no_input")
    if not path.is_file():
        raise UsageError(f"{path} is neither a file nor a folder.", hint="name the graph's file or folder")
    return [path]


def load(path: Path) -> GraphFile:
    """Read and decode one file. Raises UsageError where it is too large or no text, StorageError on I/O."""
    try:
        with path.open("rb") as handle:
            data = handle.read(LARGEST_FILE + 1)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}.", hint="check the file's permissions") from error
    if len(data) > LARGEST_FILE:
        raise UsageError(
            f"{path} is over {LARGEST_FILE >> 20} MB.", hint="split it into files, and name their folder"
        )
    digest = hashlib.sha256(data).hexdigest()
    suffix = path.suffix.lower().lstrip(".")
    try:
        return GraphFile(path.name, suffix, digest, visible(decode(data).text))
    except ReadProblem:
        return GraphFile(path.name, suffix, digest, *_line_by_line(data, path.name))


def _line_by_line(data: bytes, name: str) -> tuple[str, tuple[Dropped, ...]]:
    """The text of the lines that are UTF-8; the others are left empty, so that lines keep their numbers."""
    lines: list[str] = []
    dropped: list[Dropped] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            lines.append(line.decode("utf-8").replace("\r", ""))
        except UnicodeDecodeError:
            lines.append("")
            dropped.append(Dropped("undecodable", name, number))
    return visible("\n".join(lines)), tuple(dropped)


def lines(file: GraphFile, dropped: list[Dropped]) -> Iterator[Row]:
    """The lines of `file` that are not blank; those too long are dropped."""
    start = 0
    number = 1
    while start < len(file.text):
        end = file.text.find("\n", start)
        end = len(file.text) if end < 0 else end
        if end - start > LONGEST_LINE:
            dropped.append(Dropped("line_too_long", file.name, number, f"{end - start:,} characters"))
        else:
            text = file.text[start:end]
            if text.strip():
                yield Row(file.name, file.sha256, number, start, text)
        start = end + 1
        number += 1


def csv_rows(file: GraphFile, dropped: list[Dropped]) -> Iterator[CsvRow]:
    """The rows of a file with a delimiter; a quoted cell may run over a few lines."""
    found = list(lines(file, dropped))
    delimiter = _delimiter(file, [row.text for row in islice(found, 50)])
    at = 0
    while at < len(found):
        row, taken = _closed(found, at)
        if row is None:
            dropped.append(Dropped("quote_not_closed", file.name, found[at].line))
        else:
            cells = _cells(row.text, delimiter)
            yield CsvRow(tuple(cell.strip() for cell in cells), row)
        at += taken


def _closed(found: list[Row], at: int) -> tuple[Row | None, int]:
    """The row that begins with line `at`, all its quotes closed, and how many lines it takes."""
    first = found[at]
    text = first.text
    if '"' not in text or _quotes_are_letters(text):
        return first, 1
    for more in range(_MOST_LINES_OF_A_ROW):
        if text.count('"') % 2 == 0:
            return Row(first.file, first.sha256, first.line, first.start, text), more + 1
        if at + more + 1 >= len(found):
            break
        following = found[at + more + 1]
        text += "\n" * (following.start - first.start - len(text)) + following.text
    return None, 1


def _quotes_are_letters(text: str) -> bool:
    """Whether no cell is quoted: inches, or the quotes of somebody's TSV without any quoting."""
    return not re.search(r'(?:^|[,;|\t])\s*"', text)


def _cells(text: str, delimiter: str) -> list[str]:
    if _quotes_are_letters(text):
        return text.split(delimiter)
    try:  # a quoted cell with a line break in it comes as one text here, which csv.reader takes as it is
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def _delimiter(file: GraphFile, sample: list[str]) -> str:
    """Tab for .tsv; else the sign that cuts most lines of the sample alike, into two cells or more."""
    if file.suffix in ("tsv", "tab"):
        return "\t"

    def alike(sign: str) -> tuple[int, int]:
        counts = Counter(text.count(sign) for text in sample if sign in text)
        cells, times = counts.most_common(1)[0] if counts else (0, 0)
        return times, cells

    return max("\t,;|", key=alike)
