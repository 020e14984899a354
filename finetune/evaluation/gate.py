"""The gate: is a candidate put to use in place of what answers now?

It is where, on the same held-out questions and with retrieval, it answers better than the incumbent beyond
what chance would give, is not below the plain base, and has paid for it with nothing: not with answers, not
with refusals, not with citations, in no single set of questions, and not with general skills. What is asked
without retrieval is shown beside it and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.bootstrap import RESAMPLES
from finetune.evaluation.forgetting import Forgetting
from finetune.evaluation.paired import ROUNDS, Difference, compare
from finetune.evaluation.scores import Score
from finetune.evaluation.summary import summarise
from finetune.evaluation.table import Standing, table

ALPHA = 0.05  # of candidates that are no better, one in twenty passes the first condition
TOLERATED = 0.05  # a fall beyond noise that is smaller than this is no harm
AS_MUCH = 0.02  # general skills this much below the incumbent's are as good as those


@dataclass(frozen=True, slots=True)
class Runs:
    """What one system answered, with the passages of the library and (where it was asked) without."""

    retrieval: tuple[Score, ...]
    closed_book: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True)
class Contest:
    """Three systems on one set of questions, such as "held-out" or a file of the user's.

    Where no adapter answers now, the incumbent is the base: the same object.
    """

    name: str
    base: Runs
    incumbent: Runs
    candidate: Runs


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold, with the figures it was judged by."""

    name: str
    passed: bool
    line: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate decided and why; `table` is for people, `row` for the card."""

    promoted: bool
    conditions: tuple[Condition, ...]
    standings: tuple[Standing, ...]
    gain: Difference  # of the mean F1, candidate minus incumbent, over all questions
    forgetting: Forgetting | None

    def lines(self) -> list[str]:
        """The table, a line for each condition, and the verdict."""
        marks = {True: "ok  ", False: "FAIL"}
        failed = [condition.name for condition in self.conditions if not condition.passed]
        last = "promoted" if self.promoted else f"not promoted: {', '.join(failed)}"
        return [
            *table(self.standings),
            "",
            *(f"{marks[condition.passed]}  {condition.line}" for condition in self.conditions),
            f"verdict: {last}",
        ]

    def row(self) -> dict[str, Any]:
        """As JSON."""
        gain = self.gain
        return {
            "promoted": self.promoted,
            "questions": gain.n,
            "gain": round(gain.mean, 4),
            "interval": [round(gain.low, 4), round(gain.high, 4)],
            "p": round(gain.p_better, 6),
            "conditions": [
                {"name": one.name, "passed": one.passed, "line": one.line} for one in self.conditions
            ],
            "systems": [standing.row() for standing in self.standings],
            "forgetting": self.forgetting.row() if self.forgetting else None,
        }


def decide(
    contests: Sequence[Contest],
    forgetting: Forgetting | None,
    *,
    since_incumbent: Forgetting | None = None,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> Verdict:
    """Judge a candidate. `forgetting` is None where nothing could be probed (a model elsewhere).

    It is measured from the plain base, so that small losses cannot add up over many tunings;
    `since_incumbent` excuses what the incumbent had forgotten already. Answers are paired by question; one
    that a system failed to answer counts for none of them. Raises
    ValueError where no question is left, or where systems were told different things of a question.
    """
    trials = [_Trial(contest) for contest in contests]
    pooled = _Trial.pooled(trials)
    if not pooled.candidate:
        raise ValueError("no question was answered by all systems")

    def against(trial: _Trial, kind: _Kind) -> Difference:
        return compare(*trial.values(kind), seed=seed, rounds=rounds)

    gain = against(pooled, _F1)
    conditions = [_better(gain), _above_base(pooled)]
    conditions += [_kept(kind, against(pooled, kind)) for kind in (_ANSWERS, _REFUSALS, _CITATIONS)]
    if len(trials) > 1:
        conditions += [
            _kept(_Kind(f"F1 on {one.name}", _F1.of, _F1.counts), against(one, _F1)) for one in trials
        ]
    if forgetting is not None:
        conditions.append(_remembers(forgetting, since_incumbent))
    return Verdict(
        promoted=all(condition.passed for condition in conditions),
        conditions=tuple(conditions),
        standings=tuple(one for contest in contests for one in _standings(contest, seed, rounds)),
        gain=gain,
        forgetting=forgetting,
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """A value of a question, and of which pairs of answers it is compared."""

    name: str
    of: Callable[[Score], float]
    counts: Callable[[Score, Score], bool]


_F1 = _Kind("F1", lambda one: one.f1, lambda _a, _b: True)
_ANSWERS = _Kind("answers", lambda one: one.f1, lambda one, _: not one.must_refuse)
_REFUSALS = _Kind("refusals", lambda one: float(one.refused), lambda one, _: one.must_refuse)
_CITATIONS = _Kind(
    "citations",
    lambda one: one.right_passages / one.citations if one.citations else 0.0,
    lambda one, other: not one.must_refuse and not one.refused and not other.refused,
)


class _Trial:
    """The answers with retrieval of the three systems to the questions that all of them answered."""

    def __init__(self, contest: Contest | None) -> None:
        self.name = contest.name if contest else "all"
        self.base: list[Score] = []
        self.incumbent: list[Score] = []
        self.candidate: list[Score] = []
        if contest is None:
            return
        base, incumbent = _by_id(contest.base), _by_id(contest.incumbent)
        for score in contest.candidate.retrieval:
            if score.id in base and score.id in incumbent:
                trio = (base[score.id], incumbent[score.id], score)
                if len({one.must_refuse for one in trio}) > 1:
                    raise ValueError(f"question {score.id} has an answer for one system and none for another")
                self.base.append(trio[0])
                self.incumbent.append(trio[1])
                self.candidate.append(trio[2])

    @classmethod
    def pooled(cls, trials: Sequence[_Trial]) -> _Trial:
        whole = cls(None)
        for trial in trials:
            whole.base += trial.base
            whole.incumbent += trial.incumbent
            whole.candidate += trial.candidate
        return whole

    def values(self, kind: _Kind) -> tuple[list[float], list[float]]:
        """Of the candidate and of the incumbent, where the kind counts."""
        pairs = [pair for pair in zip(self.candidate, self.incumbent, strict=True) if kind.counts(*pair)]
        return [kind.of(one) for one, _ in pairs], [kind.of(other) for _, other in pairs]


def _by_id(runs: Runs) -> dict[str | int, Score]:
    return {score.id: score for score in runs.retrieval}


def _better(gain: Difference) -> Condition:
    passed = gain.mean > 0 and gain.p_better <= ALPHA
    return Condition(
        "better",
        passed,
        f"F1 with retrieval, candidate against incumbent: {_told(gain)}, p = {gain.p_better:.4f}"
        f" (at most {ALPHA})",
    )


def _above_base(trial: _Trial) -> Condition:
    ours, plain = (sum(one.f1 for one in some) / len(some) for some in (trial.candidate, trial.base))
    return Condition(
        "above the base", ours >= plain, f"F1 with retrieval, candidate {ours:.3f}, plain base {plain:.3f}"
    )


def _kept(kind: _Kind, change: Difference) -> Condition:
    lost = change.mean < -TOLERATED and change.p_worse <= ALPHA
    what = _told(change) if change.n else "no questions to compare"
    return Condition(kind.name, not lost, f"{kind.name} kept: {what}")


def _remembers(forgetting: Forgetting, since_incumbent: Forgetting | None) -> Condition:
    kept, line = not forgetting.lost, forgetting.line()
    if not kept and since_incumbent is not None:
        change = since_incumbent.change.mean
        refused = since_incumbent.refused_after - since_incumbent.refused_before
        kept = change >= -AS_MUCH and refused <= AS_MUCH
        line += f"; against the incumbent {change:+.3f}, refused {refused:+.0%}"
    return Condition("general skills", kept, line)


def _told(change: Difference) -> str:
    return f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}] over {change.n} questions"


def _standings(contest: Contest, seed: int, rounds: int) -> list[Standing]:
    systems = [("plain base", contest.base), ("candidate", contest.candidate)]
    if contest.incumbent is contest.base:  # no adapter answers now
        systems[0] = ("plain base, incumbent", contest.base)
    else:
        systems.insert(1, ("incumbent", contest.incumbent))
    return [
        Standing(contest.name, system, way, summarise(scores, seed=seed, resamples=min(rounds, RESAMPLES)))
        for system, runs in systems
        for way, scores in (("closed-book", runs.closed_book), ("with retrieval", runs.retrieval))
        if scores
    ]
