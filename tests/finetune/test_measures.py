"""Exact match, F1 and area under the ROC curve, against their published definitions."""

from __future__ import annotations

import random

import pytest

from finetune.measures import answer_tokens, area_under_roc, best, best_threshold, em, f1


@pytest.mark.parametrize(
    ("given", "gold", "exact", "overlap"),
    [
        ("The Eiffel Tower.", "eiffel tower", 1.0, 1.0),
        ("in 1874", "1874", 0.0, 2 / 3),
        ("a", "the", 1.0, 1.0),  # nothing is left of either, as in SQuAD's script
        ("", "1874", 0.0, 0.0),
        ("red red blue", "red blue blue", 0.0, 2 / 3),
        ("3,5", "35", 1.0, 1.0),  # punctuation goes without a blank
        ("1874年", "1874", 0.0, 2 / 3),
        ("安娜·克尔", "安娜克尔", 1.0, 1.0),
        ("《老人与海》", "老人与海", 1.0, 1.0),
        ("２００８年", "2008年", 1.0, 1.0),
        ("北京大学", "南京大学", 0.0, 0.75),
    ],
)
def test_em_and_f1(given: str, gold: str, exact: float, overlap: float) -> None:
    assert em(given, gold) == exact
    assert f1(given, gold) == pytest.approx(overlap)
    assert f1(gold, given) == pytest.approx(overlap)


def test_words_of_other_scripts_stay_whole_among_han() -> None:
    assert answer_tokens("由IBM公司于1981年推出") == ["由", "ibm", "公", "司", "于", "1981", "年", "推", "出"]


def test_best_takes_the_kindest_gold_answer() -> None:
    assert best(f1, "in 1874", ["1902", "in the year 1874"]) == pytest.approx(0.8)
    assert best(em, "x", []) == 0.0


def test_area_under_roc_counts_pairs() -> None:
    assert area_under_roc([3, 4], [1, 2]) == 1.0
    assert area_under_roc([1, 2], [3, 4]) == 0.0
    assert area_under_roc([1, 1], [1, 1]) == 0.5
    assert area_under_roc([], [1.0]) == 0.5
    rng = random.Random("auc")
    good = [rng.randint(0, 9) / 10 for _ in range(40)]
    bad = [rng.randint(0, 7) / 10 for _ in range(30)]
    by_hand = sum((g > b) + 0.5 * (g == b) for g in good for b in bad) / 1200
    assert area_under_roc(good, bad) == pytest.approx(by_hand)


def test_best_threshold_separates() -> None:
    assert best_threshold([0.7, 0.9, 0.8, 0.4], [0.1, 0.3, 0.5]) == 0.7
    assert best_threshold([], []) == 0.0
