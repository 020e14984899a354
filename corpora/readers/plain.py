"""Text files that are kept verbatim: txt, Markdown, rst, CSV, JSON, JSON lines and source code.

The text is the decoded file itself; the readers only mark where headings, tables and code blocks lie.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import PurePath

from corpora.readers.encoding import decode
from corpora.readers.outline import Outline, asciidoc_outline, markdown_outline, org_outline, rst_outline
from corpora.records import Extracted, Mark

_OUTLINES = {
    "adoc": asciidoc_outline,
    "asc": asciidoc_outline,
    "asciidoc": asciidoc_outline,
    "org": org_outline,
}
_DEFINITION = re.compile(
    r"^(?:(?:export|default|public|private|protected|internal|static|async|pub(?:\([a-z]+\))?|abstract|final|sealed"
    r"|unsafe|const|inline|extern|virtual|partial|data|case|open|override|declare)[ \t]+){0,6}"
    r"(class|def|function|fn|func|fun|interface|struct|enum|trait|impl|module|namespace|protocol|object|sub)"
    r"[ \t*]+(?:\([^)\n]{0,80}\)[ \t]*)?([\w$][\w$.:]{0,80})",
    re.M,
)


def read_txt(data: bytes, name: str) -> Extracted:
    """Plain text; AsciiDoc and Org files (by suffix) get their headings marked."""
    decoded = decode(data, markup=_suffix(name) in {"xml", "svg"})
    outline = _OUTLINES.get(_suffix(name), _no_outline)(decoded.text)
    return Extracted(decoded.text, "txt", outline.marks, outline.blocks, notes=decoded.notes)


def read_md(data: bytes, name: str) -> Extracted:
    """Markdown: ATX and setext headings, fenced code, tables."""
    decoded = decode(data)
    outline = markdown_outline(decoded.text)
    return Extracted(decoded.text, "md", outline.marks, outline.blocks, notes=decoded.notes)


def read_rst(data: bytes, name: str) -> Extracted:
    """reStructuredText: underlined headings, code and literal blocks, tables."""
    decoded = decode(data)
    outline = rst_outline(decoded.text)
    return Extracted(decoded.text, "rst", outline.marks, outline.blocks, notes=decoded.notes)


def read_csv(data: bytes, name: str) -> Extracted:
    """CSV and TSV; where the first row names the columns, it is the heading of the rows below it."""
    decoded = decode(data)
    return Extracted(decoded.text, "csv", _column_names(decoded.text), notes=decoded.notes)


def read_json(data: bytes, name: str) -> Extracted:
    """JSON; a file that does not parse is kept as text, with a note."""
    decoded = decode(data)
    notes = decoded.notes
    try:
        json.loads(decoded.text, parse_int=str)  # a number of a million digits costs nothing as text
    except ValueError as error:
        notes += (f"not valid JSON: {error}",)
    except RecursionError:
        notes += ("JSON nested too deeply to be checked",)
    return Extracted(decoded.text, "json", notes=notes)


def read_jsonl(data: bytes, name: str) -> Extracted:
    """One JSON value a line; lines that do not parse are counted in a note."""
    decoded = decode(data)
    wrong = [number for number, line in enumerate(decoded.text.split("\n"), 1) if not _is_json(line)]
    notes = decoded.notes
    if wrong:
        notes += (f"{len(wrong)} lines are not JSON, the first is line {wrong[0]}",)
    return Extracted(decoded.text, "jsonl", notes=notes)


def read_code(data: bytes, name: str) -> Extracted:
    """Source code and configuration; definitions at the margin are its headings."""
    decoded = decode(data, markup=_suffix(name) in {"xml", "svg", "xsl", "xslt", "xsd", "rss", "atom"})
    marks: list[Mark] = []
    for found in _DEFINITION.finditer(decoded.text):
        marks.append(Mark(found.start(), heading=f"{found[1]} {found[2].rstrip(':.')}"))
    return Extracted(decoded.text, "code", tuple(marks), notes=decoded.notes)


def _no_outline(text: str) -> Outline:
    return Outline()


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower().lstrip(".")


def _is_json(line: str) -> bool:
    if not line.strip():
        return True
    try:
        json.loads(line, parse_int=str)
    except ValueError:
        return False
    except RecursionError:
        pass
    return True


def _column_names(text: str) -> tuple[Mark, ...]:
    """A mark after the first line if it reads as column names: at least two, none empty or a number."""
    first, _, rest = text.partition("\n")
    if not rest.strip() or len(first) > 2000:
        return ()
    delimiter = max(",;\t|", key=first.count)
    try:
        cells = [cell.strip() for cell in next(csv.reader([first.rstrip(delimiter)], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return ()
    names = all(cell and not re.fullmatch(r"[\d\s.,:/%$€-]+", cell) for cell in cells)
    if len(cells) < 2 or not names or any(len(cell) > 60 for cell in cells):
        return ()
    heading = ", ".join(cells)
    return (Mark(len(first) + 1, heading=heading),) if len(heading) <= 300 else ()
