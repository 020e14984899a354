"""Retrieval measures against values worked out by hand as trec_eval defines them."""

from __future__ import annotations

import math

import pytest

from index.metrics import ndcg, recall, reciprocal_rank


def test_ndcg_of_a_perfect_ranking_is_one() -> None:
    assert ndcg(["a", "b", "c"], {"a", "b"}, 10) == 1.0


def test_ndcg_discounts_by_log2_of_rank_plus_one() -> None:
    ideal = 1 / math.log2(2) + 1 / math.log2(3)
    assert ndcg(["x", "a", "y", "b"], {"a", "b"}, 10) == pytest.approx(
        (1 / math.log2(3) + 1 / math.log2(5)) / ideal
    )


def test_ndcg_ideal_is_cut_at_k_when_there_are_more_gold_ids() -> None:
    assert ndcg(["a", "b"], {"a", "b", "c"}, 2) == 1.0


def test_ndcg_sees_nothing_below_k() -> None:
    assert ndcg(["x", "y", "a"], {"a"}, 2) == 0.0


def test_recall_counts_gold_among_the_first_k() -> None:
    assert recall(["a", "x", "b", "c"], {"a", "b", "c", "d"}, 3) == 0.5


def test_reciprocal_rank_is_that_of_the_first_gold_id() -> None:
    assert reciprocal_rank(["x", "y", "a", "b"], {"a", "b"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x"], {"a"}) == 0.0
