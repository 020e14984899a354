"""The contest of three systems, and the threshold of a refusal: with answerers made for the test."""

from __future__ import annotations

import math
import random

import pytest
from evaluation_makers import answer, passage

from corpora.records import Answer
from finetune.evaluation.contest import Paper, System, hold
from finetune.evaluation.forgetting import Forgetting
from finetune.evaluation.gate import decide
from finetune.evaluation.paired import compare
from finetune.evaluation.questions import EvalQuestion
from finetune.evaluation.threshold import LEAST, choose


class Says:
    """An answerer that always says the same, and notes what it was asked."""

    def __init__(self, text: str, asked: list[str], name: str = "") -> None:
        self._text, self._asked, self._name = text, asked, name

    def answer(self, question: str) -> Answer:
        self._asked.append(f"{self._name}{question}")
        return answer(self._text, passage(1, "It was 1874."))


def paper(name: str, count: int) -> Paper:
    return Paper(name, tuple(EvalQuestion(n, f"{name} {n}?", ("1874",)) for n in range(count)))


def systems(asked: list[str], *, incumbent: bool = True) -> dict[str, System]:
    found = {"base": System(Says("no", asked, "b:"), Says("no", asked, "B:"))}
    if incumbent:
        found["incumbent"] = System(Says("no", asked, "i:"), Says("no", asked, "I:"))
    found["candidate"] = System(Says("1874", asked, "c:"), Says("no", asked, "C:"))
    return found


def test_every_question_goes_to_all_systems_before_the_next() -> None:
    asked: list[str] = []
    held = hold([paper("a", 5)], systems(asked), closed_book=2, left=lambda: math.inf)  # type: ignore[arg-type]
    assert (held.asked, held.of, held.cut_short, held.stopped) == (5, 5, False, False)
    for start in range(0, 15, 3):
        assert {one[2:] for one in asked[start : start + 3]} == {asked[start][2:]}
    assert [one[0] for one in asked[15:]] == list("BICBIC")
    (contest,) = held.contests
    assert len(contest.candidate.retrieval) == 5 and len(contest.candidate.closed_book) == 2
    assert decide(held.contests, None).promoted


def test_without_an_incumbent_the_base_stands_for_it() -> None:
    asked: list[str] = []
    held = hold([paper("a", 8)], systems(asked, incumbent=False), closed_book=0, left=lambda: math.inf)  # type: ignore[arg-type]
    assert not any(one.startswith("i:") for one in asked)
    (contest,) = held.contests
    assert contest.incumbent is contest.base
    lines = decide(held.contests, None).lines()
    assert any("plain base, incumbent" in line for line in lines)


def test_a_clock_ends_it_with_a_fair_sample_of_all_papers() -> None:
    asked: list[str] = []
    time_left = iter([1.0] * 22 + [-1.0] * 400)
    held = hold(
        [paper("a", 40), paper("b", 20)],
        systems(asked),  # type: ignore[arg-type]
        closed_book=5,
        left=lambda: next(time_left),
    )
    assert held.cut_short and 0 < held.asked < 60
    counts = [len(contest.candidate.retrieval) for contest in held.contests]
    assert sum(counts) == held.asked
    assert counts[0] == pytest.approx(2 * counts[1], abs=2)
    assert all(len(one.base.retrieval) == len(one.candidate.retrieval) for one in held.contests)


def test_a_stop_is_told() -> None:
    held = hold([paper("a", 4)], systems([]), closed_book=0, left=lambda: math.inf, stop=lambda: True)  # type: ignore[arg-type]
    assert held.stopped and held.asked == 0


# -- forgetting against the incumbent --------------------------------------------------------------------


def change(mean: float) -> Forgetting:
    values = [mean + step for step in (-0.01, 0.0, 0.01)]
    return Forgetting(compare(values, [0.0] * 3), 0.0, mean, 0.0, 0.0)


@pytest.mark.parametrize(
    ("from_base", "from_incumbent", "kept"),
    [(-0.05, None, True), (-0.3, None, False), (-0.3, 0.0, True), (-0.3, -0.1, False), (-0.05, -0.09, True)],
)
def test_what_the_incumbent_had_forgotten_is_not_held_against_the_candidate(
    from_base: float, from_incumbent: float | None, kept: bool
) -> None:
    held = hold([paper("a", 6)], systems([]), closed_book=0, left=lambda: math.inf)  # type: ignore[arg-type]
    since = None if from_incumbent is None else change(from_incumbent)
    verdict = decide(held.contests, change(from_base), since_incumbent=since)
    (skills,) = [one for one in verdict.conditions if one.name == "general skills"]
    assert skills.passed is kept


# -- threshold -------------------------------------------------------------------------------------------


def test_a_threshold_parts_what_can_be_parted() -> None:
    found = choose([0.01, 0.02, 0.03, 0.1, 0.05, 0.04, 0.02, 0.2], [0.6, 0.9, 0.8, 0.7, 0.95, 0.99, 0.9, 0.8])
    assert found is not None
    assert 0.2 < found.value < 0.6
    assert (found.answered, found.refused, found.rows) == (1.0, 1.0, 16)
    assert "100%" in found.line()
    even = choose([0.0] * 8, [1.0] * 8)
    assert even is not None and even.value == pytest.approx(0.5)


def test_too_few_rows_of_either_sort_give_none() -> None:
    assert choose([0.1] * (LEAST - 1), [0.9] * 50) is None
    assert choose([0.1] * 50, []) is None


def test_a_probability_that_says_nothing_gives_none() -> None:
    assert choose([0.5] * 9, [0.5] * 9) is None
    assert choose([0.9, 0.8] * 9, [0.1, 0.2] * 9) is None


def test_the_mix_of_the_rows_does_not_move_it() -> None:
    draw = random.Random(1)
    answerable = [draw.betavariate(2, 5) for _ in range(40)]
    unanswerable = [draw.betavariate(5, 2) for _ in range(40)]
    once, more = choose(answerable, unanswerable), choose(answerable, unanswerable * 10)
    assert once is not None and more is not None
    assert more.value == pytest.approx(once.value)


def test_at_the_threshold_either_sort_is_as_likely() -> None:
    """Log-odds from two normal distributions of one width: theirs is the middle, whatever sample is drawn."""
    draw = random.Random(3)
    values = []
    for _ in range(20):
        sorts = [[1 / (1 + math.exp(-draw.gauss(mean, 2.0))) for _ in range(60)] for mean in (-3.0, 1.0)]
        found = choose(*sorts)
        assert found is not None
        values.append(math.log(found.value / (1 - found.value)))
    assert sum(values) / len(values) == pytest.approx(-1.0, abs=0.2)
    assert max(values) - min(values) < 2.0
