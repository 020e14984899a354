"""Jupyter notebooks: Markdown cells, code cells as blocks, and the short text among their outputs."""

from __future__ import annotations

import json
import re
from typing import Any

from corpora.readers import ReadProblem
from corpora.readers.builder import TextBuilder
from corpora.readers.encoding import decode
from corpora.readers.outline import markdown_outline
from corpora.records import Extracted, Mark, Span

_LONGEST_OUTPUT = 2000
_ANSI = re.compile(r"\x1b\[[0-9;]{0,40}m")


def read(data: bytes, name: str) -> Extracted:
    """A notebook of format 3 or 4. Raises ReadProblem `damaged` if it is no notebook."""
    decoded = decode(data)
    try:
        notebook = json.loads(decoded.text, parse_int=str)
    except ValueError as error:
        raise ReadProblem("damaged", f"not a notebook: {error}") from error
    builder = TextBuilder()
    for cell in _cells(notebook):
        _add_cell(builder, cell)
    return builder.build("ipynb", decoded.notes)


def _cells(notebook: Any) -> list[dict[str, Any]]:
    if not isinstance(notebook, dict):
        raise ReadProblem("damaged", "not a notebook: no object at its top")
    cells = notebook.get("cells")
    if cells is None:  # format 3 keeps them in worksheets
        sheets = _list(notebook.get("worksheets"))
        cells = [cell for sheet in sheets for cell in _list(_field(sheet, "cells"))]
    return [cell for cell in _list(cells) if isinstance(cell, dict)]


def _add_cell(builder: TextBuilder, cell: dict[str, Any]) -> None:
    source = _text(cell.get("source", cell.get("input")))
    kind = cell.get("cell_type")
    if kind == "markdown":
        _add_markdown(builder, source)
    elif kind == "heading":
        level = str(cell.get("level", 1))
        builder.heading(int(level) if level.isdecimal() and len(level) == 1 else 1, source)
    elif kind == "code":
        builder.block(source)
        for output in _list(cell.get("outputs")):
            builder.paragraph(_output(output))
    else:
        builder.paragraph(source)


def _add_markdown(builder: TextBuilder, source: str) -> None:
    source = source.strip("\n")
    builder.blank_line()
    shift = builder.length
    outline = markdown_outline(source, builder.headings)  # its headings stay open for the cells after it
    builder.add(source)
    builder.marks.extend(Mark(mark.start + shift, heading=mark.heading) for mark in outline.marks)
    builder.blocks.extend(Span(span.start + shift, span.end + shift) for span in outline.blocks)


def _output(output: Any) -> str:
    """The text of an output: printed lines, a plain-text value or the name of an error; cut when long."""
    if not isinstance(output, dict):
        return ""
    if output.get("output_type") in {"error", "pyerr"}:
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    data = output.get("data", {})
    text = _text(output.get("text") or (data.get("text/plain") if isinstance(data, dict) else ""))
    text = _ANSI.sub("", text)
    return text if len(text) <= _LONGEST_OUTPUT else text[:_LONGEST_OUTPUT].rsplit("\n", 1)[0] + "\n…"


def _text(value: Any) -> str:
    """A string, or the lines that stand for one in a notebook."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
