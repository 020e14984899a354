"""Retrieval measures over binary relevance, as trec_eval defines them, averaged over queries by the caller.

`ranking` is a list of ids, best first, each at most once; `relevant` is the set of gold ids. A query with
no gold ids has no measure: leave it out before calling.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def ndcg(ranking: Sequence[str], relevant: Collection[str], k: int = 10) -> float:
    """nDCG@k in [0, 1]: gains of 1 discounted by log2(rank + 1), over the best order possible (`ndcg_cut`).

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002.
    """
    gained = sum(1.0 / math.log2(rank + 1) for rank, item in enumerate(ranking[:k], 1) if item in relevant)
    ideal = sum(1.0 / math.log2(rank + 1) for rank in range(1, min(len(relevant), k) + 1))
    return gained / ideal


def recall(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of the gold ids that are among the first k (`recall`)."""
    return sum(item in relevant for item in ranking[:k]) / len(relevant)


def reciprocal_rank(ranking: Sequence[str], relevant: Collection[str]) -> float:
    """1 / the rank of the first gold id, 0 without one (`recip_rank`; its mean over queries is MRR)."""
    return next((1.0 / rank for rank, item in enumerate(ranking, 1) if item in relevant), 0.0)
