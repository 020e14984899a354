"""Scores of many answers to measures with 95 % intervals.

Every measure is a ratio of two sums over questions, so that one bootstrap over questions serves them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finetune.evaluation.bootstrap import RESAMPLES, ratio_intervals
from finetune.evaluation.scores import Score

Ratio = tuple[float, float]


def _answerable(value: Callable[[Score], float]) -> Callable[[Score], Ratio]:
    return lambda one: (0.0, 0.0) if one.must_refuse else (value(one), 1.0)


def _answered(one: Score) -> bool:
    return not one.must_refuse and not one.refused


# What a question adds above and below the line of each measure.
MEASURES: Mapping[str, Callable[[Score], Ratio]] = {
    "em": lambda one: (one.em, 1.0),
    "f1": lambda one: (one.f1, 1.0),
    "answerable_em": _answerable(lambda one: one.em),
    "answerable_f1": _answerable(lambda one: one.f1),
    "refusal_precision": lambda one: (one.refused and one.must_refuse, one.refused),
    "refusal_recall": lambda one: (one.refused and one.must_refuse, one.must_refuse),
    "refusal_f1": lambda one: (2 * (one.refused and one.must_refuse), one.refused + one.must_refuse),
    "over_refusal": _answerable(lambda one: one.refused),
    "cited": lambda one: (_answered(one) and one.citations > 0, _answered(one)),
    "citation_precision": lambda one: (one.right_passages, one.citations),
    "quote_precision": lambda one: (one.right_quotes, one.citations),
    "recall@k": lambda one: (bool(one.found), one.found is not None),
    "perplexity": lambda one: (
        (0.0, 0.0) if one.log_likelihood is None else (-one.log_likelihood, 1.0)  # to be raised
    ),
}
_OF_REFUSALS = ("refusal_precision", "refusal_recall", "refusal_f1")


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its 95 % interval; None where it has no meaning, or too few questions for an interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Measures of `n` answers by the names of `MEASURES`; latencies in seconds an answer."""

    n: int
    answerable: int
    must_refuse: int
    citations: int
    measures: Mapping[str, Measure]
    median_seconds: float | None
    slowest_seconds: float | None  # 95th percentile

    def value(self, name: str) -> float | None:
        """The value of a measure."""
        return self.measures[name].value

    def row(self) -> dict[str, Any]:
        """As JSON: the values by name, and the intervals in an object of their own."""
        intervals = {
            name: None if one.low is None or one.high is None else [round(one.low, 4), round(one.high, 4)]
            for name, one in self.measures.items()
        }
        return {
            "n": self.n,
            "answerable": self.answerable,
            "must_refuse": self.must_refuse,
            **{name: _rounded(one.value) for name, one in self.measures.items()},
            "citations": self.citations,
            "intervals": intervals,
            "seconds": {"p50": _rounded(self.median_seconds), "p95": _rounded(self.slowest_seconds)},
        }


def summarise(scores: Sequence[Score], *, seed: int = 0, resamples: int = RESAMPLES) -> Summary:
    """The measures of `scores`. Equal scores in equal order and an equal seed give equal intervals."""
    must_refuse = sum(one.must_refuse for one in scores)
    latencies = [one.seconds for one in scores]
    return Summary(
        n=len(scores),
        answerable=len(scores) - must_refuse,
        must_refuse=must_refuse,
        citations=sum(one.citations for one in scores),
        measures=_measures(scores, must_refuse, seed, resamples),
        median_seconds=float(np.quantile(latencies, 0.5)) if latencies else None,
        slowest_seconds=float(np.quantile(latencies, 0.95)) if latencies else None,
    )


def _measures(scores: Sequence[Score], must_refuse: int, seed: int, resamples: int) -> dict[str, Measure]:
    cells = np.array([[of(one) for of in MEASURES.values()] for one in scores], dtype=np.float64)
    cells = cells.reshape(len(scores), len(MEASURES), 2)
    tops, bottoms = cells[..., 0], cells[..., 1]
    intervals = ratio_intervals(tops, bottoms, seed=seed, resamples=resamples)
    found: dict[str, Measure] = {}
    for name, top, bottom, interval in zip(
        MEASURES, tops.sum(axis=0), bottoms.sum(axis=0), intervals, strict=True
    ):
        if not bottom or (name in _OF_REFUSALS and not must_refuse):
            found[name] = Measure(None)
            continue
        raised = math.exp if name == "perplexity" else float
        low, high = interval if interval is not None else (None, None)
        found[name] = Measure(
            raised(top / bottom),
            None if low is None else raised(low),
            None if high is None else raised(high),
        )
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
