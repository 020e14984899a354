"""Where a user's edges stand in the library: as rows of the graph's own file, or in a sentence of a document.

An edge that names a document is looked for in that one only. A sentence grounds an edge where it holds the
subject, the object and a word of the relation; that both names stand there is not enough.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from corpora.records import Document, Passage, Span
from corpora.store import Library
from finetune.candidates import Claimed
from finetune.self_kg.asking import relation_words
from finetune.self_kg.chinese import in_chinese
from finetune.self_kg.names import NameIndex
from finetune.self_kg.records import Dropped, Edge, Row, node_key
from index.evidence.sentences import sentences
from index.evidence.words import stem, words

_LONGEST_SENTENCE = 600  # characters
_LINES = ("csv", "json", "jsonl", "xlsx")  # kinds whose sentences are their lines
_SAYS_KIND = frozenset("is are was were kind type form such including other 是 为 属于 一种".split())


@dataclass(frozen=True, slots=True)
class Located:
    """`edges` are all edges, grounded or not (not: `quotes` is empty); `dropped` says why for the latter."""

    edges: tuple[Edge, ...]
    dropped: tuple[Dropped, ...]

    @property
    def grounded(self) -> int:
        return sum(bool(edge.quotes) for edge in self.edges)


def locate(edges: Sequence[Edge], library: Library, progress: Callable[[int], None] | None = None) -> Located:
    """Give each edge of a user's graph its quotes from `library`; `progress` hears of passages read."""
    documents = library.documents()
    in_files = _by_rows(edges, library, documents)
    left = [at for at in range(len(edges)) if at not in in_files]
    in_text = _by_sentences({at: edges[at] for at in left}, library, documents, progress)
    found: list[Edge] = []
    dropped: list[Dropped] = []
    for at, edge in enumerate(edges):
        quotes = in_files.get(at) or in_text.get(at) or ()
        found.append(replace(edge, quotes=quotes))
        if not quotes:
            row = edge.rows[0] if edge.rows else None
            file, line = (row.file, row.line) if row else ("", 0)
            detail = f"{edge.subject} {edge.relation} {edge.object}"[:120]
            dropped.append(Dropped("span_not_found", file, line, detail))
    return Located(tuple(found), tuple(dropped))


# -- rows of the ingested graph file -----------------------------------------------------------------


class _Passages:
    """The passages of one document, by the place in its text."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._starts = [passage.start for passage in passages]

    def around(self, start: int, end: int) -> Passage | None:
        """A passage that holds the whole span, None where none does."""
        for at in range(bisect_right(self._starts, start) - 1, -1, -1):
            passage = self._passages[at]
            if passage.end >= end:
                return passage
            if passage.end <= start:
                return None
        return None

    def over(self, start: int, end: int) -> Iterator[Passage]:
        """The passages that share something with the span."""
        first = max(0, bisect_right(self._starts, start) - 2)
        for passage in self._passages[first:]:
            if passage.start >= end:
                return
            if passage.end > start:
                yield passage


def _by_rows(
    edges: Sequence[Edge], library: Library, documents: Sequence[Document]
) -> dict[int, tuple[Claimed, ...]]:
    """Quotes of the edges whose file is a document of the library: the rows themselves."""
    wanted = {row.sha256 for edge in edges for row in edge.rows}
    files = {
        document.sha256: _Passages(library.passages_of(document.id))
        for document in documents
        if document.sha256 in wanted
    }
    found: dict[int, tuple[Claimed, ...]] = {}
    for at, edge in enumerate(edges):
        if edge.document or not edge.rows or any(row.sha256 not in files for row in edge.rows):
            continue
        quotes = [_row_quotes(row, edge, files[row.sha256]) for row in edge.rows]
        if all(quotes):
            found[at] = tuple(quote for some in quotes for quote in some)
    return found


def _row_quotes(row: Row, edge: Edge, passages: _Passages) -> list[Claimed]:
    """The row as a quote; a record that is cut into passages gives the lines of its subject and object."""
    whole = passages.around(row.start, row.start + len(row.text))
    if whole is not None:
        at = row.start - whole.start
        return [Claimed(whole, row.text, at)] if whole.text.startswith(row.text, at) else []
    quotes: list[Claimed] = []
    for name in (edge.subject, edge.object):
        for passage in passages.over(row.start, row.start + len(row.text)):
            at = passage.text.find(f'"{name}"', max(0, row.start - passage.start))
            if 0 <= at < row.start + len(row.text) - passage.start:
                quotes.append(Claimed(passage, f'"{name}"', at))
                break
        else:
            return []
    return quotes


# -- sentences of documents --------------------------------------------------------------------------


def _by_sentences(
    edges: dict[int, Edge],
    library: Library,
    documents: Sequence[Document],
    progress: Callable[[int], None] | None,
) -> dict[int, tuple[Claimed, ...]]:
    """A sentence for each edge that has one: the shortest of the first document that has any."""
    if not edges:
        return {}
    graph_files = {row.sha256 for edge in edges.values() for row in edge.rows}
    names = NameIndex(node_key(name) for edge in edges.values() for name in (edge.subject, edge.object))
    by_pair: dict[tuple[str, str], list[int]] = {}
    for at, edge in edges.items():
        by_pair.setdefault((node_key(edge.subject), node_key(edge.object)), []).append(at)
    found: dict[int, Claimed] = {}
    for document in documents:
        if document.sha256 in graph_files:
            continue
        for passage in library.passages_of(document.id):
            for span, there in _named(passage, names):
                for at in _pairs(there, by_pair):
                    _take(found, at, edges[at], passage, span)
            if progress is not None:
                progress(1)
    return {at: (quote,) for at, quote in found.items()}


def _named(passage: Passage, names: NameIndex) -> Iterator[tuple[Span, list[str]]]:
    """The sentences (lines, in tables) of a passage that hold two names or more, with the names."""
    if len(names.found(passage.text)) < 2:
        return
    spans: Iterable[Span] = _lines(passage.text) if passage.kind in _LINES else sentences(passage.text)
    for span in spans:
        if span.end - span.start <= _LONGEST_SENTENCE:
            there = names.found(passage.text[span.start : span.end])
            if len(there) > 1:
                yield span, there


def _lines(text: str) -> Iterator[Span]:
    start = 0
    for line in text.split("\n"):
        if line.strip():
            yield Span(start, start + len(line))
        start += len(line) + 1


def _pairs(names: Sequence[str], by_pair: dict[tuple[str, str], list[int]]) -> Iterator[int]:
    for subject in names:
        for object_ in names:
            yield from by_pair.get((subject, object_), ())


def _take(found: dict[int, Claimed], at: int, edge: Edge, passage: Passage, span: Span) -> None:
    text = passage.text[span.start : span.end]
    if edge.document and edge.document.casefold() not in passage.path.casefold():
        return
    if edge.span and node_key(edge.span) not in node_key(text):
        return
    known = found.get(at)
    if known is not None and (
        known.passage.document_id != passage.document_id or len(known.text) <= len(text)
    ):
        return
    if edge.span or _says_relation(
        edge, f"{passage.heading or ''} {text}" if passage.kind in _LINES else text
    ):
        found[at] = Claimed(passage, text, span.start)


def _says_relation(edge: Edge, text: str) -> bool:
    """Whether a word of the relation is in the text; a relation without content words is one of kind."""
    said = {stem(word) for word in relation_words(edge.relation)}
    names = [edge.relation, in_chinese(edge.relation)]
    wanted = {term for name in names for term in words(" ".join(relation_words(name))).terms}
    if not wanted or said <= {stem(word) for word in ("isa", "instance", "subclass", "of", "kind", "type")}:
        low = text.casefold()
        return any(word in low for word in _SAYS_KIND if not word.isascii()) or bool(
            _SAYS_KIND & set(low.replace(",", " ").split())
        )
    return bool(wanted & words(text).terms)
