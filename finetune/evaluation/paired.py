"""Two systems on the same questions: how much better is one, and could that be chance?

The interval is a paired percentile bootstrap over questions; the probability comes from the randomisation
test (Fisher 1935; for answers: Dror et al. 2018), which flips the signs of the differences as it would be if
the two systems were one. Its rank counts the observed order too (Phipson and Smyth 2010), so that the test
keeps its level at any number of rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.evaluation.bootstrap import LEVEL, Floats, resampled

ROUNDS = 10_000
_EXACT_UP_TO = 12  # differences that are not 0: all 4,096 signs are tried


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second, over `n` questions: the mean, its 95 % interval, and one-sided probabilities.

    `p_better` is the probability of a mean as high as this one where the systems differ by chance alone;
    `p_worse` of one as low.
    """

    n: int
    mean: float
    low: float
    high: float
    p_better: float
    p_worse: float


def compare(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0, rounds: int = ROUNDS
) -> Difference:
    """Compare the values of two systems, question by question. Raises ValueError for unequal lengths.

    Without questions there is no difference, and every probability is 1.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values against {len(second)}")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if not len(differences):
        return Difference(0, 0.0, 0.0, 0.0, 1.0, 1.0)
    means = np.concatenate(
        [weights @ differences / len(differences) for weights in resampled(len(differences), rounds, seed)]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    better, worse = _tails(differences[differences != 0], rounds, seed)
    return Difference(len(differences), float(differences.mean()), float(low), float(high), better, worse)


def _tails(differences: Floats, rounds: int, seed: int) -> tuple[float, float]:
    """How often signs at random give a sum as high as the observed one, and as low."""
    if not len(differences):
        return 1.0, 1.0
    observed = differences.sum()
    slack = 1e-9 * np.abs(differences).sum()  # sums in another order may differ in the last bits
    high = low = total = 0
    exact = len(differences) <= _EXACT_UP_TO
    for signs in _all_signs(len(differences)) if exact else _random_signs(len(differences), rounds, seed):
        sums = signs @ differences
        high += int(np.count_nonzero(sums >= observed - slack))
        low += int(np.count_nonzero(sums <= observed + slack))
        total += len(signs)
    if not exact:  # the observed signs are one of the possible ones
        high, low, total = high + 1, low + 1, total + 1
    return high / total, low / total


def _all_signs(n: int) -> Iterator[Floats]:
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    yield (2 * bits - 1).astype(np.float64)


def _random_signs(n: int, rounds: int, seed: int) -> Iterator[Floats]:
    random = np.random.default_rng([seed, 1])
    rows = max(1, 4_000_000 // n)
    for start in range(0, rounds, rows):
        bits = random.integers(0, 2, size=(min(rows, rounds - start), n))
        yield (2 * bits - 1).astype(np.float64)
