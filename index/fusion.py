"""One score out of two: the cosine of the meaning and the coverage of the words.

    score = (dense + LEXICAL_WEIGHT * coverage ** 1.5) / (1 + LEXICAL_WEIGHT), in [0, 1]
    dense = (cosine - floor) / (1 - floor), cut to [0, 1]
    coverage = BM25 / (the BM25 no passage can exceed for this query), in [0, 1]

Both are absolute: neither looks at what else was found, so that a side that finds nothing good says so, and
scores compare across queries. Ranks and min-max scaling lose just that: they give a side's best passage full
marks however bad it is. The power makes half of the words count for a third: a few words in common are mostly
chance, and leave the order to the cosine. `floor` is the cosine of unrelated texts under the encoder.
Measured by tests/bench/retrieval.py. Compare Bruch et al., "An Analysis of Fusion Functions for Hybrid
Retrieval", 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEXICAL_WEIGHT = 1.2
COVERAGE_POWER = 1.5
# The E5 family was trained with a temperature of 0.01, which leaves all its cosines between 0.7 and 1.0
# (so says its model card); encoders trained at the usual 0.05 have unrelated texts near 0.
_FLOORS = {"multilingual-e5-small": 0.7, "all-minilm-l6-v2": 0.0}


def known_floor(encoder_name: str) -> float | None:
    """The cosine of unrelated texts under this encoder, None for one that was not measured."""
    return _FLOORS.get(encoder_name)


def estimated_floor(vectors: NDArray[np.float32]) -> float:
    """The floor of any encoder, from some of the library's unit vectors, shape (n, dimension).

    The lowest hundredth of the cosines between different passages: unrelated in any library but the
    narrowest, where a higher floor only trusts the encoder a little more.
    """
    if len(vectors) < 20:
        return 0.0
    cosines = vectors @ vectors.T
    pairs = cosines[np.triu_indices(len(vectors), 1)]
    return float(np.clip(np.quantile(pairs, 0.01), 0.0, 0.9))


def fuse(
    cosines: NDArray[np.float64], bm25: NDArray[np.float64], ceiling: float, floor: float
) -> NDArray[np.float64]:
    """Fused scores in [0, 1] of candidates, given each one's cosine and BM25 (0 where no word matched)."""
    dense = dense_score(cosines, floor)
    words = lexical_score(bm25, ceiling) ** COVERAGE_POWER
    fused: NDArray[np.float64] = (dense + LEXICAL_WEIGHT * words) / (1.0 + LEXICAL_WEIGHT)
    return fused


def dense_score(cosines: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Cosines as scores in [0, 1]."""
    return np.clip((cosines - floor) / (1.0 - floor), 0.0, 1.0)


def lexical_score(bm25: NDArray[np.float64], ceiling: float) -> NDArray[np.float64]:
    """BM25 as the share of the best that any passage could have, in [0, 1]."""
    if ceiling <= 0.0:
        return np.zeros_like(bm25)
    share: NDArray[np.float64] = np.clip(bm25, 0.0, ceiling) / ceiling
    return share
