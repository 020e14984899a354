"""JSON values of a graph file with the place of each: elements of a list, or one value a line."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from finetune.self_kg.graph_file import GraphFile, lines
from finetune.self_kg.records import Dropped, Row

_WRAPPERS = ("triples", "edges", "relations", "relationships", "links", "data", "records")
# Numbers stay text: they are cells, and a number of a million digits costs nothing as text.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
_BLANK = " \t\n\r,"


def json_items(file: GraphFile, dropped: list[Dropped]) -> Iterator[tuple[Any, Row]]:
    """Each triple or record with the piece of text that it is; what does not parse is dropped."""
    if file.suffix == "json":
        yield from _elements(file, dropped)
        return
    for row in lines(file, dropped):
        try:
            yield _DECODER.decode(row.text), row
        except (ValueError, RecursionError) as error:
            dropped.append(Dropped("not_json", row.file, row.line, _said(error)))


def _elements(file: GraphFile, dropped: list[Dropped]) -> Iterator[tuple[Any, Row]]:
    text = file.text
    breaks = [at for at, character in enumerate(text) if character == "\n"]
    at = _list_start(text)
    single = at is None
    at = 0 if at is None else at
    while True:
        while at < len(text) and text[at] in _BLANK:
            at += 1
        if at >= len(text) or text[at] == "]":
            return
        line = bisect_right(breaks, at - 1) + 1 if at else 1
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            dropped.append(Dropped("not_json", file.name, line, _said(error)))
            return
        yield value, Row(file.name, file.sha256, line, at, text[at:end])
        if single and text[end:].strip() and text[end:].lstrip()[:1] not in "{[":
            dropped.append(Dropped("not_json", file.name, line, "text behind the value"))
            return
        at = end


def _list_start(text: str) -> int | None:
    """The offset behind the "[" of the list of edges, at the top or under a usual name; None: no list."""
    opening = len(text) - len(text.lstrip())
    if text[opening : opening + 1] == "[":
        return opening + 1
    head = text[:10_000]
    for name in _WRAPPERS:
        at = head.find(f'"{name}"')
        if at >= 0:
            rest = head[at + len(name) + 2 :].lstrip()
            if rest.startswith(":") and rest[1:].lstrip().startswith("["):
                return text.index("[", at) + 1
    return None


def _said(error: BaseException) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
