"""How much of the data and of the questions fits into the minutes that a user gives: a pure function.

The clock is shared by training and gate. What does not fit is given up in this order: closed-book questions
(they decide nothing), gate questions over a share of the time, the second time through the rows, passages
beside the gold one, and at last rows. A row that is seen once teaches more than another that is seen twice,
and rows should look as answers will be asked for. What a user has set is never changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

GATE_SHARE = 0.4  # of the time, that the gate may take
FEW_QUESTIONS = 24  # below, the gate takes more than its share: with fewer it can hardly say anything
CLOSED_BOOK = 24  # questions asked without retrieval too
_EVALUATION_SHARE = 0.1  # of the training, that validation may take
_FORWARD_SHARE = 0.4  # of the time of a training step
_SPARE = 1.15  # of every estimate: the machine is seldom quieter later
_AT_ONCE = 4096  # padded tokens of a pass
_PADDING = 1.04  # seen with length-sorted batches
_LEAST_ROWS = 16
_LEAST_VALIDATION = 4


class Pace(Protocol):
    """How long a training pass of so many padded tokens takes (`finetune.tuning.probe.Pace`)."""

    def seconds(self, tokens: int) -> float: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What `examples` examples give with at most `passages` passages a row, measured on a sample."""

    passages: int
    rows: int
    tokens: float  # of a row, the mean


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """What could be trained. `offers` begin with the most passages; one alone leaves no choice of passages.

    `epochs` are wanted at most; `epochs_fixed` says that the user has set them.
    """

    offers: Sequence[Offer]
    validation_rows: int
    epochs: float
    epochs_fixed: bool = False
    evaluations: int = 5


@dataclass(frozen=True, slots=True)
class GateWork:
    """What could be asked, and measured seconds: of one question put to all systems with retrieval, of one
    without, and of all that comes once (loading, general tasks, threshold)."""

    questions: int = 0
    seconds: float = 0.0
    closed_book_seconds: float = 0.0
    once_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """What is going to be done; `left_out` says in words what is not. Seconds are estimates.

    `rows` and `validation_rows` are the most that are taken, drawn evenly.
    """

    passages: int
    rows: int
    validation_rows: int
    epochs: float
    questions: int
    closed_book: int
    training_seconds: float
    gate_seconds: float
    left_out: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of training and gate."""
        return self.training_seconds + self.gate_seconds


def plan(seconds: float | None, pace: Pace, work: TrainingWork, gate: GateWork) -> BudgetPlan:
    """What fits into `seconds` that are left (None: everything is done)."""
    best = work.offers[0]
    room = math.inf if seconds is None else max(seconds, 0.0)
    questions, closed_book, gate_seconds = _gate(room, gate)
    left = room - gate_seconds
    offer, epochs, rows = _training(left, pace, work)
    trained = _SPARE * epochs * _seconds(pace, rows * offer.tokens)
    validation = work.validation_rows
    one = _SPARE * _FORWARD_SHARE * work.evaluations * offer.tokens * _per_token(pace)
    if trained + one * validation > left:
        validation = min(validation, max(_LEAST_VALIDATION, int((left - trained) / one)))
    found = BudgetPlan(
        passages=offer.passages,
        rows=rows,
        validation_rows=validation,
        epochs=epochs,
        questions=questions,
        closed_book=closed_book,
        training_seconds=trained + one * validation,
        gate_seconds=gate_seconds,
    )
    return _told(found, best, offer, work, gate)


def gate_fits(seconds: float, gate: GateWork) -> tuple[int, int]:
    """How many questions, with retrieval and closed-book, fit into the `seconds` that are left."""
    left = seconds - _SPARE * gate.once_seconds
    each = _SPARE * gate.seconds
    questions = gate.questions if each <= 0 else max(min(gate.questions, int(left / each)), 0)
    left -= questions * each
    alone = _SPARE * gate.closed_book_seconds
    closed_book = CLOSED_BOOK if alone <= 0 else max(int(left / alone), 0)
    return questions, min(closed_book, CLOSED_BOOK, questions)


def _gate(room: float, gate: GateWork) -> tuple[int, int, float]:
    """Questions with retrieval, closed-book ones, and seconds for both."""
    if not gate.questions:
        return 0, 0, 0.0
    questions, closed_book = gate.questions, min(CLOSED_BOOK, gate.questions)
    if math.isfinite(room):
        questions, closed_book = gate_fits(GATE_SHARE * room, gate)
    questions = max(questions, min(FEW_QUESTIONS, gate.questions))
    seconds = gate.once_seconds + questions * gate.seconds + closed_book * gate.closed_book_seconds
    return questions, closed_book, _SPARE * seconds


def _training(left: float, pace: Pace, work: TrainingWork) -> tuple[Offer, float, int]:
    """The offer to take, how often its rows are gone through, and how many of them."""
    if math.isinf(left):
        return work.offers[0], work.epochs, work.offers[0].rows
    for_training = left * (1 - _EVALUATION_SHARE) if work.validation_rows else left
    fixed = work.epochs_fixed or work.epochs < 1
    for offer in work.offers:
        once = _SPARE * _seconds(pace, offer.rows * offer.tokens)
        if fixed and once * work.epochs <= for_training:
            return offer, work.epochs, offer.rows
        if not fixed and once <= for_training:
            fitting = work.epochs if once <= 0 else for_training / once
            return offer, min(work.epochs, math.floor(fitting * 100) / 100), offer.rows
    offer, epochs = work.offers[-1], work.epochs if fixed else 1.0
    cost = _SPARE * epochs * offer.tokens * _PADDING * _per_token(pace)
    rows = int(for_training / cost) if cost > 0 else offer.rows
    return offer, epochs, min(offer.rows, max(rows, _LEAST_ROWS))


def _seconds(pace: Pace, tokens: float) -> float:
    """Of training on so many tokens once, in passes that are full but for the last."""
    full, rest = divmod(math.ceil(tokens * _PADDING), _AT_ONCE)
    return full * pace.seconds(_AT_ONCE) + (pace.seconds(rest) if rest else 0.0)


def _per_token(pace: Pace) -> float:
    return pace.seconds(_AT_ONCE) / _AT_ONCE


def _told(plan: BudgetPlan, best: Offer, offer: Offer, work: TrainingWork, gate: GateWork) -> BudgetPlan:
    lines = []
    if plan.epochs < work.epochs:
        lines.append(f"{plan.epochs:g} of {work.epochs:g} epochs")
    if offer.passages < best.passages:
        lines.append(f"{offer.passages} of {best.passages} passages a row")
    for name, taken, there in (
        ("rows", plan.rows, offer.rows),
        ("validation rows", plan.validation_rows, work.validation_rows),
        ("gate questions", plan.questions, gate.questions),
        ("closed-book questions", plan.closed_book, min(CLOSED_BOOK, gate.questions)),
    ):
        if taken < there:
            lines.append(f"{taken} of {there} {name}")
    return replace(plan, left_out=tuple(lines))
