"""The fused score: bounds, trust in the better side, floors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.fusion import dense_score, estimated_floor, fuse, known_floor, lexical_score


def test_fused_score_is_the_mean_of_cosine_and_powered_coverage() -> None:
    fused = fuse(np.array([0.6]), np.array([5.0]), ceiling=20.0, floor=0.0)
    assert fused[0] == pytest.approx((0.6 + 1.2 * 0.25**1.5) / 2.2)


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1e4)), min_size=1, max_size=20),
    st.floats(0, 1e4),
    st.floats(0, 0.9),
)
def test_fused_scores_stay_between_zero_and_one(
    pairs: list[tuple[float, float]], ceiling: float, floor: float
) -> None:
    cosines = np.array([cosine for cosine, _ in pairs])
    bm25 = np.array([score for _, score in pairs])
    fused = fuse(cosines, bm25, ceiling, floor)
    assert fused.min() >= 0.0
    assert fused.max() <= 1.0


def test_a_side_that_finds_nothing_good_leaves_the_order_to_the_other() -> None:
    cosines = np.array([0.8, 0.3])
    weak_words = np.array([0.1, 0.6])  # best BM25 far below what the query's words could give
    assert fuse(cosines, weak_words, ceiling=30.0, floor=0.0).argmax() == 0


def test_floor_of_the_encoder_spreads_narrow_cosines() -> None:
    scores = dense_score(np.array([0.7, 0.85, 1.0]), 0.7)
    assert scores == pytest.approx([0.0, 0.5, 1.0])


def test_no_known_word_gives_no_coverage() -> None:
    assert lexical_score(np.array([0.0, 0.0]), 0.0).tolist() == [0.0, 0.0]


def test_embedded_encoders_have_measured_floors_and_others_none() -> None:
    assert known_floor("all-minilm-l6-v2") == 0.0
    assert known_floor("multilingual-e5-small") == 0.7
    assert known_floor("some/other") is None


def test_floor_is_estimated_from_the_librarys_own_vectors() -> None:
    rng = np.random.default_rng(1)
    spread = rng.standard_normal((200, 32))
    narrow = spread + 8.0
    unit = [
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (spread, narrow)
    ]
    assert estimated_floor(unit[0]) == 0.0
    assert 0.8 < estimated_floor(unit[1]) <= 0.9
    assert estimated_floor(unit[1][:5]) == 0.0
