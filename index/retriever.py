"""Question in, ranked passages out.

    retriever = Retriever(library, load_encoder(library.manifest("encoder")))
    retriever.search("how do I renew the licence?", k=8, glob="docs/**")

Each side brings its best candidates; each candidate gets its exact cosine, from the stored float32 vectors,
and its BM25, and is ranked by the fused score (`fusion`). Without an encoder only mode "lexical" works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray

from corpora.errors import Conflict, UsageError
from corpora.records import ScoredPassage, indexed_text
from corpora.store import Library
from index.cache import Notice, open_caches
from index.filters import Filter
from index.fusion import dense_score, estimated_floor, fuse, known_floor, lexical_score

if TYPE_CHECKING:
    from index.encoder import Encoder
    from index.rerank import Reranker

Mode = Literal["hybrid", "dense", "lexical"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
DEPTH = 100  # candidates of each side; 50 and 200 give the same nDCG@10 to 0.002
_RERANKED = 50  # passages shown to a reranker


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Candidates by falling score, equal ones by rowid. NaN: a side was not asked or missed it."""

    rowids: NDArray[np.int64]
    scores: NDArray[np.float64]
    dense: NDArray[np.float64]
    lexical: NDArray[np.float64]
    exhausted: bool  # no side has more candidates


class Retriever:
    """Searches one open library; it follows the library's changes. Not for several threads at once."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder | None,
        *,
        reranker: Reranker | None = None,
        notice: Notice | None = None,
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._reranker = reranker
        self._caches = open_caches(library, notice)
        self._filter = Filter(library)
        self._floor: float | None = None if encoder is None else known_floor(encoder.name)

    def search(
        self,
        query: str,
        k: int = 8,
        mode: str = "hybrid",
        glob: str | None = None,
        kind: str | None = None,
        per_source: int | None = None,
    ) -> list[ScoredPassage]:
        """The best `k` passages, rank 1 first; fewer when there are fewer, none for a blank query.

        `glob` and `kind` limit the documents (exactly: no result is lost to them), `per_source` the
        passages of one document. Raises UsageError for an unknown mode, Conflict when the library was
        embedded by another encoder.
        """
        _check(k, mode, per_source)
        if not query.strip() or self._library.manifest("dimension") is None:
            return []
        allowed = self._filter.allowed(glob, kind)
        if allowed is not None and not len(allowed):
            return []
        wanted = max(k, _RERANKED) if self._reranker is not None else k
        depth = max(DEPTH, wanted)
        while True:
            ranked = self._ranked(query, cast("Mode", mode), depth, allowed)
            found = self._passages(ranked, wanted, per_source)
            enough = wanted if per_source is None else min(wanted, per_source * self._library.counts()[0])
            if len(found) >= enough or ranked.exhausted:
                break
            depth *= 4  # the cap left out many: look further down
        if self._reranker is not None:
            found = _reranked(self._reranker, query, found)
        return [_with_rank(hit, rank) for rank, hit in enumerate(found[:k], 1)]

    def search_many(
        self,
        queries: Iterable[str],
        k: int = 8,
        mode: str = "hybrid",
        glob: str | None = None,
        kind: str | None = None,
        per_source: int | None = None,
    ) -> list[list[ScoredPassage]]:
        """`search` for each query, in their order."""
        return [self.search(query, k, mode, glob, kind, per_source) for query in queries]

    def _ranked(self, query: str, mode: Mode, depth: int, allowed: NDArray[np.int64] | None) -> _Ranked:
        empty = np.empty(0, np.int64)
        near, words, bm25, ceiling = empty, empty, np.empty(0), 0.0
        vector = None
        if mode != "lexical":
            vector = self._encoded(query)
            near, _ = self._caches.dense().search(vector, depth, allowed)
        if mode != "dense":
            hits = self._caches.lexical().search(query, depth, allowed)
            words, bm25, ceiling = hits.rowids, hits.scores, hits.ceiling
        exhausted = len(near) < depth and len(words) < depth
        best = near if mode == "dense" else near[:depth]
        candidates = np.asarray(sorted({*best.tolist(), *words.tolist()}), np.int64)
        cosines = np.full(len(candidates), np.nan)
        if vector is not None:
            candidates, cosines = self._cosines(vector, candidates)
        lexical = np.full(len(candidates), np.nan)
        places = np.searchsorted(candidates, words)
        known = places < len(candidates)
        known[known] = candidates[places[known]] == words[known]
        lexical[places[known]] = bm25[known]
        scores = self._scores(mode, cosines, np.nan_to_num(lexical), ceiling)
        order = np.lexsort((candidates, -scores))
        return _Ranked(candidates[order], scores[order], cosines[order], lexical[order], exhausted)

    def _scores(
        self, mode: Mode, cosines: NDArray[np.float64], bm25: NDArray[np.float64], ceiling: float
    ) -> NDArray[np.float64]:
        if mode == "lexical":
            return lexical_score(bm25, ceiling)
        floor = self._encoder_floor()
        if mode == "dense":
            return dense_score(cosines, floor)
        return fuse(cosines, bm25, ceiling, floor)

    def _encoded(self, query: str) -> NDArray[np.float32]:
        if self._encoder is None:
            raise UsageError("Without an encoder only lexical search works.", hint="--mode lexical")
        stored = self._library.manifest("encoder_fingerprint")
        if stored != self._encoder.fingerprint:
            built_with = self._library.manifest("encoder")
            raise Conflict(
                f"The library was embedded by {built_with}, not by this {self._encoder.name}.",
                hint=f"assistant reindex --encoder {self._encoder.name}",
                code="wrong_encoder",
            )
        return self._encoder.encode_query(query)

    def _encoder_floor(self) -> float:
        if self._floor is None:
            vectors = np.frombuffer(self._library.vectors(0, 256)[1], "<f4")
            dimension = int(self._library.manifest("dimension") or 1)
            self._floor = estimated_floor(vectors.reshape(-1, dimension))
        return self._floor

    def _cosines(
        self, vector: NDArray[np.float32], candidates: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Exact cosines of the candidates that are still in the library, which are returned with them."""
        present, data = self._library.vectors_of(candidates.tolist())
        matrix = np.frombuffer(data, "<f4").reshape(len(present), len(vector))
        return np.asarray(present, np.int64), (matrix @ vector).astype(np.float64)

    def _passages(self, ranked: _Ranked, wanted: int, per_source: int | None) -> list[ScoredPassage]:
        """The first `wanted` candidates as passages, at most `per_source` of each document."""
        found: list[ScoredPassage] = []
        taken: Counter[str] = Counter()
        step = wanted if per_source is None else max(4 * wanted, 50)
        for start in range(0, len(ranked.rowids), step):
            block = slice(start, start + step)
            passages = {p.rowid: p for p in self._library.passages(ranked.rowids[block].tolist())}
            for rowid, score, dense, lexical in zip(
                ranked.rowids[block].tolist(),
                ranked.scores[block].tolist(),
                ranked.dense[block].tolist(),
                ranked.lexical[block].tolist(),
                strict=True,
            ):
                passage = passages.get(rowid)
                if passage is None or (per_source is not None and taken[passage.document_id] >= per_source):
                    continue
                taken[passage.document_id] += 1
                found.append(ScoredPassage(0, score, passage, _known(dense), _known(lexical)))
                if len(found) == wanted:
                    return found
        return found


def _check(k: int, mode: str, per_source: int | None) -> None:
    if mode not in MODES:
        raise UsageError(f"There is no mode {mode}.", hint=f"--mode {'|'.join(MODES)}")
    if k < 1 or (per_source is not None and per_source < 1):
        raise UsageError("At least one passage must be wanted.", hint="-k 8")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _with_rank(hit: ScoredPassage, rank: int) -> ScoredPassage:
    return ScoredPassage(rank, hit.score, hit.passage, hit.dense, hit.lexical)


def _reranked(reranker: Reranker, query: str, found: Sequence[ScoredPassage]) -> list[ScoredPassage]:
    scores = reranker.scores(query, [indexed_text(hit.passage.heading, hit.passage.text) for hit in found])
    order = np.lexsort((np.asarray([hit.passage.rowid for hit in found]), -scores))
    return [
        ScoredPassage(0, float(scores[at]), found[at].passage, found[at].dense, found[at].lexical)
        for at in order.tolist()
    ]
