"""Above which probability of a refusal should a tuned model refuse? Chosen on validation, never on a test.

The value asked of each row is the probability of the first token of the sentence that refuses. The
threshold is the one at which the share of answerable rows that are answered and the share of unanswerable
rows that are refused have the highest mean (Youden's J), so that neither side is bought with the other
whatever the mix of the rows is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LEAST = 8  # rows of each sort; with fewer nothing can be said


@dataclass(frozen=True, slots=True)
class Threshold:
    """Rows with a probability above `value` are refused; shares of the rows it was chosen on."""

    value: float
    answered: float  # of those with an answer
    refused: float  # of those without
    rows: int

    def line(self) -> str:
        """For the terminal."""
        return (
            f"refuses above {self.value:.3f} of probability: of {self.rows} validation rows"
            f" {self.answered:.0%} of those with an answer are answered,"
            f" {self.refused:.0%} of those without refused"
        )


def choose(answerable: Sequence[float], unanswerable: Sequence[float]) -> Threshold | None:
    """The best threshold for probabilities in [0, 1], or None for fewer than `LEAST` of either sort.

    Between two neighbouring probabilities all thresholds are equal, and the middle is taken; of several best
    places the one with the widest gap, which another sample is least likely to move across.
    """
    if min(len(answerable), len(unanswerable)) < LEAST:
        return None
    places = sorted({0.0, 1.0, *answerable, *unanswerable})
    best: tuple[float, float, float] | None = None
    for low, high in pairwise(places):
        value = (low + high) / 2
        answered, refused = _shares(value, answerable, unanswerable)
        found = (round(answered + refused, 9), high - low, value)
        best = found if best is None or found[:2] > best[:2] else best
    if best is None:  # pragma: no cover - 0 and 1 are always two places
        return None
    answered, refused = _shares(best[2], answerable, unanswerable)
    return Threshold(best[2], answered, refused, len(answerable) + len(unanswerable))


def _shares(value: float, answerable: Sequence[float], unanswerable: Sequence[float]) -> tuple[float, float]:
    answered = sum(one <= value for one in answerable) / len(answerable)
    return answered, sum(one > value for one in unanswerable) / len(unanswerable)
