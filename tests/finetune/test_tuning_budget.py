"""What fits into the minutes of a user: the order in which things are given up, and what is never changed."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from finetune.tuning.budget import (
    CLOSED_BOOK,
    FEW_QUESTIONS,
    GateWork,
    Offer,
    TrainingWork,
    gate_fits,
    plan,
)


@dataclass(frozen=True)
class Pace:
    a_token: float
    a_pass: float = 0.0

    def seconds(self, tokens: int) -> float:
        return self.a_pass + tokens * self.a_token


OFFERS = (Offer(4, 440, 700.0), Offer(3, 440, 550.0), Offer(2, 440, 400.0))
WORK = TrainingWork(OFFERS, validation_rows=50, epochs=2.0)
GATE = GateWork(questions=60, seconds=6.0, closed_book_seconds=9.0, once_seconds=60.0)


def test_without_a_limit_all_is_done() -> None:
    found = plan(None, Pace(0.01), WORK, GATE)
    assert (found.passages, found.rows, found.validation_rows, found.epochs) == (4, 440, 50, 2.0)
    assert (found.questions, found.closed_book, found.left_out) == (60, CLOSED_BOOK, ())


def test_with_time_enough_all_is_done_too() -> None:
    found = plan(24 * 3600, Pace(0.001), WORK, GATE)
    assert (found.epochs, found.questions, found.left_out) == (2.0, 60, ())
    assert found.seconds < 24 * 3600


def test_epochs_go_first_then_passages_then_rows() -> None:
    seen = [plan(3600, Pace(cost), WORK, GATE) for cost in (0.002, 0.005, 0.008, 0.011, 0.02)]
    assert [(one.passages, one.epochs >= 1, one.rows) for one in seen[:4]] == [
        (4, True, 440),
        (4, True, 440),
        (3, True, 440),
        (2, True, 440),
    ]
    assert seen[0].epochs == 2 > seen[1].epochs > 1 == pytest.approx(seen[4].epochs)
    assert seen[4].passages == 2 and seen[4].rows < 440
    assert seen[4].left_out[:3] == ("1 of 2 epochs", "2 of 4 passages a row", f"{seen[4].rows} of 440 rows")


def test_what_the_user_has_set_stays() -> None:
    fixed = TrainingWork((OFFERS[0],), validation_rows=0, epochs=5.0, epochs_fixed=True)
    found = plan(3600, Pace(0.01), fixed, GATE)
    assert (found.passages, found.epochs) == (4, 5.0)
    assert found.rows < 440


def test_the_gate_takes_no_more_than_its_share_but_asks_a_few_questions_at_least() -> None:
    many = GateWork(questions=5000, seconds=6.0, closed_book_seconds=9.0, once_seconds=60.0)
    found = plan(3600, Pace(0.003), WORK, many)
    assert found.gate_seconds <= 0.4 * 3600 + 1
    assert FEW_QUESTIONS < found.questions < 5000
    assert f"{found.questions} of 5000 gate questions" in found.left_out
    short = plan(300, Pace(0.003), WORK, many)
    assert short.questions == FEW_QUESTIONS


def test_without_questions_all_of_the_time_is_for_training() -> None:
    found = plan(3600, Pace(0.006), WORK, GateWork())
    assert (found.questions, found.closed_book, found.gate_seconds) == (0, 0, 0.0)
    assert found.training_seconds > plan(3600, Pace(0.006), WORK, GATE).training_seconds


def test_no_plan_takes_longer_than_the_time_wherever_that_can_be_kept() -> None:
    draw = random.Random(5)
    for _ in range(500):
        work = TrainingWork(
            tuple(
                Offer(k, draw.randrange(20, 3000), 150.0 + 120 * k)
                for k in range(draw.randrange(1, 7), 0, -1)
            ),
            validation_rows=draw.randrange(0, 400),
            epochs=draw.choice([0.5, 1.0, 2.0, 3.0]),
            epochs_fixed=draw.random() < 0.3,
        )
        gate = GateWork(draw.randrange(0, 400), draw.uniform(0, 12), draw.uniform(0, 20), draw.uniform(0, 90))
        pace = Pace(draw.uniform(0.0005, 0.02), draw.uniform(0, 0.5))
        seconds = draw.uniform(600, 7200)
        found = plan(seconds, pace, work, gate)
        least = found.questions <= FEW_QUESTIONS or found.rows <= 16 or found.validation_rows <= 4
        assert least or found.seconds <= seconds * 1.02, (found, seconds)
        assert 0 < found.rows <= max(one.rows for one in work.offers)
        assert found.questions <= gate.questions and found.closed_book <= found.questions


def test_what_is_left_out_is_told_whenever_something_is() -> None:
    found = plan(600, Pace(0.02), WORK, GATE)
    assert any("rows" in line for line in found.left_out)
    assert any("closed-book" in line for line in found.left_out)


def test_questions_that_fit_what_is_left() -> None:
    assert gate_fits(0.0, GATE) == (0, 0)
    questions, closed_book = gate_fits(1000.0, GATE)
    assert questions == 60 and 0 < closed_book <= CLOSED_BOOK
    assert gate_fits(200.0, GATE)[0] < 60
