"""`assistant search QUERY`: ranked passages, for one query or for a file of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.commands.options import (
    JsonOption,
    KOption,
    LibraryOption,
    OfflineOption,
    TypeOption,
    WithinOption,
    typed,
)
from corpora.errors import NothingToDo, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assistant.runtime import Runtime
    from corpora.records import ScoredPassage
    from index.retriever import Retriever


class Mode(StrEnum):
    """How passages are found."""

    hybrid = "hybrid"
    dense = "dense"
    lexical = "lexical"


def search(
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="What to look for.")] = None,
    k: KOption = None,
    mode: Annotated[Mode | None, typer.Option("--mode", help="By meaning and words, or one of them.")] = None,
    within: WithinOption = None,
    type_: TypeOption = None,
    per_source: Annotated[
        int | None, typer.Option("--per-source", min=1, metavar="N", help="Most passages of one document.")
    ] = None,
    reranker: Annotated[
        str | None,
        typer.Option("--reranker", metavar="M", help="Cross-encoder (hub id or folder) to reorder with."),
    ] = None,
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE.jsonl", help='Many queries, {"id","query"} a line; - is stdin.'
        ),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Show the passages that fit a query best."""
    from assistant.runtime import opened

    if (query is None) == (input_ is None):
        raise UsageError("Give a query or --input, one of them.", hint='assistant search "your query"')
    if query is not None and not query.strip():
        raise UsageError("Empty query.", hint='assistant search "your query"')
    flags = {
        "k": k,
        "mode": mode.value if mode else None,
        "per_source": per_source,
        "reranker": reranker,
        "offline": offline or None,
    }
    with opened(library, flags) as runtime:
        queries = _Queries(None if query is None else typed(query), input_)
        retriever = _retriever(runtime)
        settings = runtime.settings
        for name, words in queries:
            hits = retriever.search(
                words, settings.k, settings.mode, within, type_, per_source=settings.per_source or None
            )
            _show(runtime, name, words, hits, as_json=json, titled=input_ is not None)
        if not queries.read:
            raise NothingToDo(
                f"{input_} holds no queries.", hint='one a line: {"id": "1", "query": "…"}', code="no_input"
            )
        if queries.bad:
            raise typer.Exit(4)


class _Queries:
    """(id, query) pairs of the command line or of a JSONL file; counts the lines that are neither."""

    def __init__(self, query: str | None, source: Path | None) -> None:
        self._query = query
        self._source = source
        self.bad = self.read = 0

    def __iter__(self) -> Iterator[tuple[object, str]]:
        if self._source is None:
            self.read = 1
            yield None, self._query or ""
            return
        from assistant.terminal import say

        for number, line in enumerate(_lines(self._source), 1):
            if not line.strip():
                continue
            self.read += 1
            problem, name, words = _parsed(line)
            if problem:
                self.bad += 1
                say(f"{self._source}:{number}: {problem}")
            else:
                yield name, words


def _lines(source: Path) -> Iterator[bytes]:
    import sys

    if str(source) == "-":
        yield from sys.stdin.buffer
        return
    try:
        with source.open("rb") as file:
            yield from file
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"{source}: {error.strerror}.", hint="name a JSONL file, or - for stdin") from error


def _parsed(line: bytes) -> tuple[str | None, object, str]:
    """What is wrong with a line (None when nothing is), its id and its query."""
    import json

    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return "not a JSON object", None, ""
    if not isinstance(row, dict):
        return "not a JSON object", None, ""
    words, name = row.get("query"), row.get("id")
    if not isinstance(words, str) or not words.strip():
        return 'no "query" in it, or an empty one', None, ""
    if not isinstance(name, str | int | float | None):
        return '"id" is neither text nor a number', None, ""
    return None, name, words


def _retriever(runtime: Runtime) -> Retriever:
    from assistant.terminal import say
    from index.retriever import Retriever

    settings, library = runtime.settings, runtime.library
    empty = library.manifest("encoder") is None
    encoder = None if empty or settings.mode == "lexical" else runtime.encoder()
    reranker = None
    if settings.reranker:
        from index.rerank import CrossEncoder

        reranker = CrossEncoder(settings.reranker, offline=settings.offline)
    return Retriever(
        library,
        encoder,
        reranker=reranker,
        notice=lambda passages: say(f"Indexing {passages} passages ..."),
    )


def _show(
    runtime: Runtime, name: object, query: str, hits: list[ScoredPassage], *, as_json: bool, titled: bool
) -> None:
    if as_json:
        from assistant.answer.rows import passage_row
        from assistant.output import emit_json

        emit_json({"id": name, "query": query, "results": [passage_row(hit) for hit in hits]})
        return
    from assistant.hits import HitScreen

    HitScreen(runtime.library.root, links=runtime.settings.links).show(query, hits, titled=titled)
