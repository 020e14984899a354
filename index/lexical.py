"""The lexical index: BM25 over stemmed words and character pairs (tantivy: only this file uses it).

A query is built term by term from the words of the text, so nothing in it is syntax. BM25 is tantivy's:
k1 = 1.2, b = 0.75, idf = ln(1 + (N - n + 0.5) / (n + 0.5)) (Robertson and Zaragoza, 2009). Deleted passages
count in N and n until their segment is merged, as in every Lucene-like index.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray

from index.filters import contained
from index.words import index_words, query_words

FORMAT = 1  # raise it when words or schema change: older caches are then rebuilt
_K1 = 1.2  # tantivy's own
_MAX_TERMS = 256  # of a pasted page, its rarest words are enough
_HEAP_BYTES = 64_000_000
_DELETE_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class LexicalHits:
    """Rowids by falling BM25 (equal scores by rowid), and the score no passage can exceed for this query."""

    rowids: NDArray[np.int64]
    scores: NDArray[np.float64]
    ceiling: float


class LexicalIndex:
    """A tantivy index in `folder`, or in memory for None. One process writes at a time; many may read."""

    def __init__(self, folder: Path | None, *, create: bool) -> None:
        self._schema = _schema()
        self._analyzer = _analyzer()
        if create:
            self._index = tantivy.Index(self._schema, None if folder is None else str(folder), reuse=False)
        else:
            self._index = _opened(folder)
            if self._index.schema != self._schema:
                raise ValueError("the lexical index has another schema")
        self._index.register_tokenizer("words", self._analyzer)
        # By itself tantivy watches its files from a thread and reloads them; ours never change.
        self._index.config_reader(reload_policy="manual")
        self._searcher = self._index.searcher()

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def change(self, added: Iterable[tuple[int, str]], removed: Sequence[int] = ()) -> None:
        """Take passages out and add (rowid, indexed text) pairs in one commit; returns when it is on disk."""
        writer = self._index.writer(_HEAP_BYTES, 1)
        for start in range(0, len(removed), _DELETE_BATCH):
            batch = [int(rowid) for rowid in removed[start : start + _DELETE_BATCH]]
            # Not delete_documents_by_term: in 0.27 it takes an int for an i64 term and deletes nothing.
            writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, "rowid", batch))
        for rowid, text in added:
            document = tantivy.Document()
            document.add_unsigned("rowid", rowid)
            document.add_text("body", index_words(text))
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(self, query: str, k: int, allowed: NDArray[np.int64] | None = None) -> LexicalHits:
        """The best `k` passages that share a word with the query; `allowed` (sorted rowids) is exact."""
        terms, ceiling = self._terms(query)
        total = len(self)
        if not terms or not total:
            return LexicalHits(np.empty(0, np.int64), np.empty(0), ceiling)
        boolean = tantivy.Query.boolean_query(terms)
        depth = min(k + 1, total)
        while True:
            rowids, scores = self._top(boolean, depth)
            exhausted = len(rowids) < depth or depth >= total
            if allowed is not None:
                keep = contained(rowids, allowed)
                cut_score = scores[-1] if len(scores) else 0.0
                rowids, scores = rowids[keep], scores[keep]
                complete = len(rowids) >= k and scores[k - 1] > cut_score
            else:
                complete = len(rowids) > k and scores[k - 1] > scores[-1]
            # Passages of equal score are cut by rowid, so the last one must be seen to score less.
            if exhausted or complete:
                break
            depth = min(depth * 16, total)
        order = np.lexsort((rowids, -scores))[:k]
        return LexicalHits(rowids[order], scores[order], ceiling)

    def _top(self, query: tantivy.Query, depth: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        hits = self._searcher.search(query, depth, count=False).hits
        if not hits:
            return np.empty(0, np.int64), np.empty(0)
        rowids = self._searcher.fast_field_values("rowid", [address for _, address in hits])
        return np.asarray(rowids, np.int64), np.asarray([score for score, _ in hits], np.float64)

    def _terms(self, query: str) -> tuple[list[tuple[tantivy.Occur, tantivy.Query]], float]:
        """The rarest `_MAX_TERMS` terms of the query that occur, and the ceiling of all its terms."""
        counts = Counter(self._analyzer.analyze(" ".join(query_words(query))))
        total = len(self)
        ceiling = 0.0
        known: list[tuple[int, str]] = []
        for word, count in counts.items():
            holders = min(self._searcher.doc_freq("body", word), total)
            ceiling += count * (_K1 + 1) * math.log1p((total - holders + 0.5) / (holders + 0.5))
            if holders:
                known.append((holders, word))
        terms = [
            (tantivy.Occur.Should, self._term(word, counts[word])) for _, word in sorted(known)[:_MAX_TERMS]
        ]
        return terms, ceiling

    def _term(self, word: str, count: int) -> tantivy.Query:
        query = tantivy.Query.term_query(self._schema, "body", word, "freq")
        return query if count == 1 else tantivy.Query.boost_query(query, float(count))


def _opened(folder: Path | None) -> tantivy.Index:
    """Open tantivy's files; raises ValueError for broken ones, whichever way tantivy says so."""
    try:
        return tantivy.Index.open(str(folder))
    except (KeyboardInterrupt, SystemExit, OSError):
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        raise ValueError(f"the lexical index cannot be opened: {error}") from error


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("rowid", stored=False, indexed=True, fast=True)
    builder.add_text_field("body", stored=False, tokenizer_name="words", index_option="freq")
    return builder.build()


def _analyzer() -> tantivy.TextAnalyzer:
    """Words come in lower case already; accents are folded and English endings cut (Porter2)."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.ascii_fold()).filter(tantivy.Filter.stemmer("english")).build()
