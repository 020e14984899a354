"""The gate: what is promoted, what is not, and how often chance gets through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evaluation_makers import made

from finetune.evaluation.forgetting import Forgetting, Probe, forgetting
from finetune.evaluation.gate import Contest, Runs, Verdict, decide
from finetune.evaluation.scores import Score

N = 60


def answers(
    f1: float, *, refuses: float = 1.0, over: float = 0.0, cites: float = 1.0, n: int = N, seed: int = 0
) -> tuple[Score, ...]:
    """`n` questions, every third to be refused; shares are met at random."""
    rng = np.random.default_rng(seed)
    scores = []
    for number in range(n):
        if number % 3 == 0:
            scores.append(made(number, must_refuse=True, refused=bool(rng.random() < refuses)))
        else:
            refused = bool(rng.random() < over)
            right = float(rng.random() < f1) * (not refused)
            cited = int(not refused)
            good = cited * int(rng.random() < cites)
            scores.append(
                made(number, refused=refused, f1=right, em=right, citations=cited, right_passages=good)
            )
    return tuple(scores)


def judge(
    incumbent: Sequence[Score], candidate: Sequence[Score], base: Sequence[Score] | None = None, **more: Any
) -> Verdict:
    runs = [Runs(tuple(one)) for one in (base or incumbent, incumbent, candidate)]
    return decide([Contest("held-out", *runs)], more.pop("forgetting", None), **{"rounds": 500, **more})


def failed(verdict: Verdict) -> list[str]:
    return [condition.name for condition in verdict.conditions if not condition.passed]


def kept(after: float = 0.0, refused: int = 0) -> Forgetting:
    tasks = tuple(str(n) for n in range(20))
    likelihoods = tuple(-1.5 - n / 20 for n in range(20))
    before = Probe(tasks, likelihoods, (False,) * 20)
    changed = tuple(value + after for value in likelihoods)
    return forgetting(before, Probe(tasks, changed, tuple(n < refused for n in range(20))))


def test_a_clearly_better_candidate_is_promoted() -> None:
    verdict = judge(answers(0.2, seed=1), answers(0.8, seed=2), forgetting=kept(-0.02))
    assert verdict.promoted and failed(verdict) == []
    assert verdict.gain.mean > 0.2 and verdict.gain.low > 0
    assert verdict.lines()[-1] == "verdict: promoted"


def test_a_little_better_among_few_questions_is_noise() -> None:
    verdict = judge(answers(0.5, n=15, seed=1), answers(0.7, n=15, seed=5))
    assert failed(verdict) == ["better"]
    assert verdict.lines()[-1] == "verdict: not promoted: better"


def test_the_same_answers_are_not_better() -> None:
    assert failed(judge(answers(0.5), answers(0.5))) == ["better"]


def test_one_that_refuses_everything_is_not_better_though_its_mean_is() -> None:
    """Base answers hardly anything and refuses nothing: all refusals raise the mean, and help nobody."""
    weak = answers(0.25, refuses=0.0, seed=1)
    silent = tuple(made(one.id, must_refuse=one.must_refuse, refused=True, found=one.found) for one in weak)
    verdict = judge(weak, silent)
    assert verdict.gain.mean > 0.1 and verdict.gain.p_better < 0.05
    assert failed(verdict) == ["answers"]


def test_answers_are_not_paid_for_with_refusals_or_citations() -> None:
    incumbent = answers(0.2, seed=1)
    assert failed(judge(incumbent, answers(0.95, refuses=0.4, seed=2))) == ["refusals"]
    assert failed(judge(incumbent, answers(0.95, cites=0.4, seed=2))) == ["citations"]


def test_a_fall_beyond_noise_that_is_tiny_is_no_harm() -> None:
    incumbent, candidate = answers(0.2, n=900, seed=1), answers(0.9, refuses=0.97, n=900, seed=2)
    verdict = judge(incumbent, candidate)
    assert verdict.promoted


def test_it_must_not_be_below_the_plain_base() -> None:
    verdict = judge(answers(0.1, seed=1), answers(0.5, seed=2), base=answers(0.9, seed=3))
    assert failed(verdict) == ["above the base"]


def test_no_set_of_questions_may_lose() -> None:
    ours = [Runs(answers(f1, seed=seed)) for f1, seed in ((0.1, 1), (0.1, 1), (0.95, 2))]
    users = [Runs(answers(f1, n=30, seed=seed)) for f1, seed in ((0.9, 3), (0.9, 3), (0.2, 4))]
    both = [Contest("held-out", *ours), Contest("questions.jsonl", *users)]
    verdict = decide(both, None, rounds=500)
    assert failed(verdict) == ["F1 on questions.jsonl"]
    assert verdict.gain.n == N + 30


def test_what_is_forgotten_stops_it() -> None:
    incumbent, candidate = answers(0.2, seed=1), answers(0.8, seed=2)
    assert failed(judge(incumbent, candidate, forgetting=kept(-0.11))) == ["general skills"]
    assert failed(judge(incumbent, candidate, forgetting=kept(-0.09, refused=1))) == []
    assert failed(judge(incumbent, candidate, forgetting=kept(0.2, refused=2))) == ["general skills"]


def test_answers_are_paired_by_question() -> None:
    incumbent, candidate = answers(0.2, seed=1), answers(0.8, seed=2)
    whole = judge(incumbent, candidate)
    turned = judge(incumbent[::-1], candidate)
    assert turned.gain == whole.gain
    fewer = judge(incumbent[5:], candidate[:-5])
    assert fewer.gain.n == N - 10
    with pytest.raises(ValueError, match="no question was answered by all"):
        judge(incumbent, [replace(one, id=f"x{one.id}") for one in candidate])
    with pytest.raises(ValueError, match="question 0 has an answer for one system"):
        judge(incumbent, [made(0)])


def test_table_and_row_tell_both_ways() -> None:
    incumbent, candidate = answers(0.2, seed=1), answers(0.8, seed=2)
    closed = tuple(made(one.id, f1=0.0, em=0.0, citations=0, found=None) for one in incumbent)
    contest = Contest("held-out", Runs(incumbent, closed), Runs(incumbent, closed), Runs(candidate, closed))
    verdict = decide([contest], kept(), rounds=500)
    lines = verdict.lines()
    assert lines[0] == "held-out: 60 questions"
    systems = [line.split("  ")[1].strip() for line in lines[2:8]]
    assert systems == ["plain base"] * 2 + ["incumbent"] * 2 + ["candidate"] * 2
    assert sum("closed-book" in line for line in lines) == 3
    assert all(len(line) <= 110 for line in lines[:8])
    row = json.loads(json.dumps(verdict.row()))
    assert row["promoted"] is True and row["questions"] == N
    assert [(one["system"], one["way"]) for one in row["systems"]][-1] == ("candidate", "with retrieval")
    assert row["forgetting"]["lost"] is False
    assert {condition["name"] for condition in row["conditions"]} >= {"better", "answers", "refusals"}


def test_two_runs_of_one_system_pass_in_about_one_of_twenty() -> None:
    """A/a: the same system asked twice, its answers at random each time."""
    promoted = 0
    for seed in range(0, 400, 2):
        first, second = (answers(0.5, refuses=0.7, over=0.2, seed=seed + n) for n in (0, 1))
        promoted += judge(first, second, rounds=200).promoted
    assert promoted <= 17  # 5 % of 200 is 10; more than 17 comes once in a hundred
