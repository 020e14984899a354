"""Measures with intervals and paired tests: values by hand, and what must hold of any values."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from evaluation_makers import made
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.bootstrap import ratio_intervals
from finetune.evaluation.paired import compare
from finetune.evaluation.scores import Score
from finetune.evaluation.summary import MEASURES, summarise

BY_HAND = [
    made(1, em=1.0, f1=1.0),
    made(2, em=0.0, f1=0.5, citations=3, right_passages=2, right_quotes=1, log_likelihood=-1.0),
    made(3, refused=True, found=False, log_likelihood=-3.0),
    made(4, em=0.0, f1=0.0, citations=0, right_passages=0, right_quotes=0, seconds=9.0),
    made(5, must_refuse=True),
    made(6, must_refuse=True),
    made(7, must_refuse=True, refused=False, seconds=3.0),
]


def test_measures_by_hand() -> None:
    summary = summarise(BY_HAND)
    assert (summary.n, summary.answerable, summary.must_refuse, summary.citations) == (7, 4, 3, 4)
    expected = {
        "em": 3 / 7,
        "f1": 3.5 / 7,
        "answerable_em": 1 / 4,
        "answerable_f1": 1.5 / 4,
        "refusal_precision": 2 / 3,
        "refusal_recall": 2 / 3,
        "refusal_f1": 2 / 3,
        "over_refusal": 1 / 4,
        "cited": 2 / 3,
        "citation_precision": 3 / 4,
        "quote_precision": 2 / 4,
        "recall@k": 3 / 4,
        "perplexity": math.exp(2),
    }
    assert expected.keys() == MEASURES.keys()
    for name, value in expected.items():
        assert summary.value(name) == pytest.approx(value), name
    assert summary.median_seconds == 1.0
    assert summary.slowest_seconds == pytest.approx(3 + 0.7 * 6)


def test_what_has_no_meaning_is_null() -> None:
    nothing = summarise([]).row()
    assert nothing["n"] == 0
    assert {nothing[name] for name in MEASURES} == {None}
    assert set(nothing["intervals"].values()) == {None}
    answered = summarise([made(1), made(2, refused=True)]).row()
    assert [answered[f"refusal_{what}"] for what in ("precision", "recall", "f1")] == [None] * 3
    assert answered["over_refusal"] == 0.5
    assert answered["perplexity"] is None
    refused = summarise([made(1, must_refuse=True)]).row()
    assert (refused["f1"], refused["refusal_f1"], refused["answerable_f1"]) == (1.0, 1.0, None)
    assert refused["intervals"]["f1"] is None  # one question says nothing of the next
    assert refused.keys() == nothing.keys()


def test_intervals_are_those_of_the_binomial_and_come_again() -> None:
    """Of n ones among 200, the bootstrap's standard error is sqrt(p (1 - p) / 200)."""
    scores = [made(n, em=float(n < 60), f1=float(n < 60)) for n in range(200)]
    summary = summarise(scores)
    measure = summary.measures["em"]
    assert measure.low is not None and measure.high is not None
    half = 1.96 * math.sqrt(0.3 * 0.7 / 200)
    assert measure.low == pytest.approx(0.3 - half, abs=0.015)
    assert measure.high == pytest.approx(0.3 + half, abs=0.015)
    assert summarise(scores) == summary
    assert summarise(scores, seed=1) != summary


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        values = rng.random((80, 1)) < 0.4
        (interval,) = ratio_intervals(values.astype(float), np.ones((80, 1)), seed=trial, resamples=400)
        assert interval is not None
        hits += interval[0] <= 0.4 <= interval[1]
    assert 178 <= hits <= 199


scores = st.builds(
    made,
    st.integers(),
    must_refuse=st.booleans(),
    refused=st.booleans(),
    f1=st.floats(0, 1),
    citations=st.integers(1, 3),
    right_passages=st.integers(0, 1),
    log_likelihood=st.none() | st.floats(-9, 0),
)


@settings(deadline=None)
@given(st.lists(scores, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_measures_ignore_the_order_and_lie_in_their_intervals_reach(
    given_scores: list[Score], rng: random.Random
) -> None:
    summary = summarise(given_scores, resamples=50)
    rng.shuffle(given_scores)
    again = summarise(given_scores, resamples=50)
    for name, measure in summary.measures.items():
        assert again.value(name) == pytest.approx(measure.value)
        if measure.value is None:
            continue
        assert measure.value >= 0
        assert measure.value <= 1 + 1e-9 or name == "perplexity"
        if measure.low is not None and measure.high is not None:
            assert measure.low <= measure.high


# -- paired ------------------------------------------------------------------------------------------


def test_randomisation_by_hand() -> None:
    """Of the 8 signs of 1, 1, 1 only one gives a sum of 3; of 2, -1 two give 1 or more."""
    all_better = compare([1, 1, 1, 0.5], [0, 0, 0, 0.5])
    assert (all_better.n, all_better.mean) == (4, 0.75)
    assert (all_better.p_better, all_better.p_worse) == (1 / 8, 1.0)
    mixed = compare([2, 0], [0, 1])
    assert (mixed.mean, mixed.p_better, mixed.p_worse) == (0.5, 2 / 4, 3 / 4)


def test_equal_systems_differ_in_nothing() -> None:
    same = compare([0.1, 0.9, 0.5], [0.1, 0.9, 0.5])
    assert (same.mean, same.low, same.high, same.p_better, same.p_worse) == (0, 0, 0, 1, 1)
    assert compare([], []).p_better == 1
    with pytest.raises(ValueError, match="2 values against 1"):
        compare([1, 2], [1])


def test_many_questions_are_sampled_near_the_normal_law() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(0.1, 1, 400)
    found = compare(list(first), [0.0] * 400)
    z = first.sum() / math.sqrt((first**2).sum())
    assert found.p_better == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), abs=0.02)
    half = 1.96 * first.std() / 20
    assert (found.low, found.high) == (
        pytest.approx(first.mean() - half, abs=0.015),
        pytest.approx(first.mean() + half, abs=0.015),
    )
    assert compare(list(first), [0.0] * 400) == found


values = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(values)
def test_the_other_way_round_is_the_mirror(pairs: list[tuple[float, float]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    there = compare(first, second, rounds=200)
    back = compare(second, first, rounds=200)
    assert back.mean == pytest.approx(-there.mean)
    assert (back.low, back.high) == (pytest.approx(-there.high), pytest.approx(-there.low))
    for found in (there, back):
        assert found.low - 1e-9 <= found.high
        assert 0 < found.p_better <= 1 and 0 < found.p_worse <= 1
        assert found.p_better + found.p_worse >= 1  # the tails share the observed value
    if sum(a != b for a, b in pairs) <= 12:  # exact: no chance is left in it
        assert there.p_better == pytest.approx(back.p_worse)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=10), st.floats(0.01, 0.5))
def test_more_for_the_first_system_never_makes_it_less_likely_better(
    pairs: list[tuple[float, float]], gain: float
) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    before = compare(first, second, rounds=10)
    after = compare([a + gain for a in first], second, rounds=10)
    assert after.mean > before.mean
    assert after.p_better <= before.p_better
