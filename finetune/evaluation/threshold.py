"""Above which probability of a refusal should a tuned model refuse? Chosen on validation, never on a test.

The value asked of each row is the probability of the first token of the sentence that refuses. It is
calibrated: a logistic curve over its log-odds says how likely a row with that probability is one without an
answer (Platt 1999; the targets and the fit of Lin, Lin and Weng 2007). The threshold is where that is one
half, were there as many rows with an answer as without. A curve of two numbers moves less from one
sample of rows to the next than the place where most of these rows happen to be on the right side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 8  # rows of each sort; with fewer nothing can be said
_NEAREST = 1e-3  # probabilities nearer to 0 or 1 count as this near: their log-odds are rounding
_STEPS = 100


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
    """The threshold for probabilities in [0, 1].

    None for fewer than `LEAST` of either sort, and where a higher probability does not mean that the answer
    is missing.
    """
    if min(len(answerable), len(unanswerable)) < LEAST:
        return None
    slope, offset = _curve([_log_odds(one) for one in answerable], [_log_odds(one) for one in unanswerable])
    if slope <= 0:
        return None
    value = 1 / (1 + math.exp(min(max(offset / slope, -50.0), 50.0)))
    answered = sum(one <= value for one in answerable) / len(answerable)
    refused = sum(one > value for one in unanswerable) / len(unanswerable)
    return Threshold(value, answered, refused, len(answerable) + len(unanswerable))


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _NEAREST), 1 - _NEAREST)
    return math.log(kept / (1 - kept))


def _curve(answerable: Sequence[float], unanswerable: Sequence[float]) -> tuple[float, float]:
    """Slope and offset of the curve, by Newton's method; both sorts weigh the same."""
    # Platt's targets, not quite 0 and 1, keep the curve finite where the two sorts do not overlap at all.
    low = 1 / (min(len(answerable), len(unanswerable)) + 2)
    sorts = [(one, low, 0.5 / len(answerable)) for one in answerable]
    sorts += [(one, 1 - low, 0.5 / len(unanswerable)) for one in unanswerable]
    slope = offset = 0.0
    for _ in range(_STEPS):
        by_slope = by_offset = 0.0
        twice_slope = twice_offset = 1e-9
        mixed = 0.0
        for x, target, weight in sorts:
            said = 1 / (1 + math.exp(-min(max(slope * x + offset, -50.0), 50.0)))
            by_slope += weight * (said - target) * x
            by_offset += weight * (said - target)
            bent = weight * said * (1 - said)
            twice_slope += bent * x * x
            twice_offset += bent
            mixed += bent * x
        held = twice_slope * twice_offset - mixed * mixed
        step_slope = (twice_offset * by_slope - mixed * by_offset) / held
        step_offset = (twice_slope * by_offset - mixed * by_slope) / held
        # Of length 1 at most: a whole step may jump far over the lowest point.
        length = max(abs(step_slope), abs(step_offset), 1.0)
        slope, offset = slope - step_slope / length, offset - step_offset / length
        if max(abs(step_slope), abs(step_offset)) < 1e-10:
            break
    return slope, offset
