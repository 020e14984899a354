"""Percentile bootstrap (Efron 1979) of ratios of sums over questions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95
_AT_ONCE = 4_000_000  # counts in memory

Floats = NDArray[np.float64]


def ratio_intervals(
    tops: Floats, bottoms: Floats, *, seed: int = 0, resamples: int = RESAMPLES
) -> list[tuple[float, float] | None]:
    """95 % intervals of sum(tops) / sum(bottoms), a column each; rows are questions, drawn with replacement.

    The same draws serve all columns. A draw in which a column's bottoms sum to 0 says nothing of it. None
    for fewer than two questions that count.
    """
    draws = [_ratios(weights, tops, bottoms) for weights in resampled(len(tops), resamples, seed)]
    ratios = np.concatenate(draws) if draws else np.empty((0, tops.shape[1]))
    found: list[tuple[float, float] | None] = []
    for column in range(tops.shape[1]):
        values = ratios[:, column]
        values = values[np.isfinite(values)]
        if np.count_nonzero(bottoms[:, column]) < 2 or not len(values):
            found.append(None)
        else:
            low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found.append((float(low), float(high)))
    return found


def resampled(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each of `n` items is drawn, [some resamples, n] at a time."""
    random = np.random.default_rng(seed)
    rows = max(1, _AT_ONCE // max(n, 1))
    for start in range(0, resamples if n else 0, rows):
        size = min(rows, resamples - start)
        yield random.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64)


def _ratios(weights: Floats, tops: Floats, bottoms: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Floats = (weights @ tops) / (weights @ bottoms)
    return ratios
