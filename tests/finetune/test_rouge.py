"""ROUGE-L equals the reference implementation; pools find what comparing one by one finds.

The expected values are of the package rouge_score 0.1.2, RougeScorer(["rougeL"], use_stemmer=False), on the
seed tasks of Self-Instruct as they are published.
"""

from __future__ import annotations

import hashlib
import itertools
import random

import pytest

from corpora.seeds.tasks import load_seeds
from finetune.rouge import RougePool, rouge_l

SEEDS = {task.id: task for task in load_seeds("en")}

REFERENCE = [
    ("seed_task_47", "seed_task_74", 0.823529411764706),
    ("seed_task_77", "seed_task_113", 0.75),
    ("seed_task_91", "seed_task_121", 0.6),
    ("seed_task_60", "seed_task_115", 0.5714285714285714),
    ("seed_task_39", "seed_task_85", 0.5517241379310344),
    ("seed_task_38", "seed_task_60", 0.5333333333333333),
    ("seed_task_152", "seed_task_165", 0.5),
    ("seed_task_70", "seed_task_145", 0.32),
    ("seed_task_14", "seed_task_45", 0.1904761904761905),
]
TEXTS = [
    ("Café au lait", "cafe au lait", 0.6666666666666666),
    ("", "x", 0.0),
    ("a b c d e f g", "A, b; c. d e f g h i j k l m", 0.7000000000000001),
    ("a b c d e f g x y z", "a b c d e f g p q r", 0.7),
    ("don't stop", "dont stop", 0.4),
    ("the cat sat on the mat", "the mat sat on the cat", 0.6666666666666666),
    ("İstanbul", "istanbul", 0.0),
    ("snake_case x1", "snake case X1", 1.0),
]


@pytest.mark.parametrize(("first", "second", "score"), REFERENCE)
def test_seed_instructions_score_as_in_the_reference(first: str, second: str, score: float) -> None:
    assert rouge_l(SEEDS[first].instruction, SEEDS[second].instruction) == score


@pytest.mark.parametrize(("first", "second", "score"), TEXTS)
def test_odd_texts_score_as_in_the_reference(first: str, second: str, score: float) -> None:
    assert rouge_l(first, second) == rouge_l(second, first) == score


def test_all_pairs_of_seed_instructions_score_as_in_the_reference_to_the_last_bit() -> None:
    instructions = [task.instruction for task in SEEDS.values()]
    scores = [rouge_l(a, b) for a, b in itertools.combinations(instructions, 2)]
    digest = hashlib.sha256("\n".join(map(repr, scores)).encode()).hexdigest()
    assert len(scores) == 15225
    assert digest == "d3d83e7d5261467d0b74ca95651c9b1e7f9e5cba06d0ec94dc2d848f43df7a1c"


def test_chinese_is_compared_by_characters_which_the_reference_drops() -> None:
    assert rouge_l("给我这个词语的定义。", "给我这个词语的定义!") == 1.0
    assert rouge_l("写一首诗", "写一首歌") == pytest.approx(0.75)
    assert rouge_l("用Python写一首诗", "用 python 写一首歌") == pytest.approx(5 / 6)
    assert rouge_l("写一首诗", "Write a poem") == 0.0


def test_other_scripts_are_compared_by_words() -> None:
    assert rouge_l("Напиши короткий рассказ", "напиши длинный рассказ") == pytest.approx(2 / 3)
    assert rouge_l("اكتب قصة قصيرة", "اكتب قصة طويلة") == pytest.approx(2 / 3)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Real instructions of both languages, and shuffled ones that share their words."""
    rng = random.Random(7)
    found = [task.instruction for language in ("en", "zh") for task in load_seeds(language)]
    for instruction in list(found):
        words = instruction.split()
        rng.shuffle(words)
        found.append(" ".join(words))
    return found


def test_a_pool_scores_as_pairs_do(texts: list[str]) -> None:
    pool = RougePool()
    for text in texts[1:]:
        pool.add(text)
    for query in (texts[0], texts[200], texts[400], "", "?!", "unknown words entirely"):
        scores = [rouge_l(query, text) for text in texts[1:]]
        assert pool.max(query) == max(scores)
        nearest = pool.nearest(query)
        assert [score for score, _ in nearest] == sorted(scores, reverse=True)[:10]
        assert all(rouge_l(query, text) == score for score, text in nearest)
        for threshold in (0.0, 0.3, max(scores), 0.7):
            assert pool.exceeds(query, threshold) == (max(scores) > threshold)


def test_a_score_on_the_border_is_over_it_where_the_reference_says_so() -> None:
    pool = RougePool()
    pool.add("A, b; c. d e f g h i j k l m")
    assert pool.exceeds("a b c d e f g", 0.7)  # 0.7000000000000001
    pool = RougePool()
    pool.add("a b c d e f g p q r")
    assert not pool.exceeds("a b c d e f g x y z", 0.7)


def test_an_empty_pool_knows_nothing() -> None:
    assert RougePool().max("anything") == 0.0
    assert RougePool().nearest("anything") == []
    assert not RougePool().exceeds("anything", 0.0)


def test_equal_scores_keep_the_order_in_which_texts_came() -> None:
    pool = RougePool()
    for text in ("Sort the list", "sort the list!", "Draw a line", "SORT THE LIST"):
        pool.add(text)
    assert [text for _, text in pool.nearest("sort the list", 3)] == [
        "Sort the list",
        "sort the list!",
        "SORT THE LIST",
    ]
