"""Nothing is taught twice, in two ways or on both sides of a split; different questions are left alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
from ingest_driver import HashingEncoder
from numpy.typing import NDArray

from corpora.examples import Example, Kind, Split
from corpora.prompt import language_of
from finetune.candidates import Candidate
from finetune.checks import Checked, Seen
from finetune.checks.seen import same_answer


def asked(question: str, answer: str | None = "1874", kind: Kind = "span", given: str = "") -> Checked:
    candidate = Candidate(
        "self-qa", kind, language_of(question), question, answer, (), "t", "1", input=given
    )  # fmt: skip
    return Checked(candidate)


def task(instruction: str, output: str, given: str = "") -> Checked:
    return asked(instruction, output, "instruction", given)


def reasons(*checked: tuple[Checked, Split], seen: Seen | None = None) -> list[str | None]:
    seen = seen or Seen(None)
    return [seen.admit(one, split).reason for one, split in checked]


def both(first: Checked, second: Checked, split: Split = "train") -> str | None:
    return reasons((first, "train"), (second, split))[1]


class Paraphrases:
    """An encoder that knows which questions mean the same."""

    name = "multilingual-e5-small"

    def __init__(self, *groups: set[str]) -> None:
        self._groups = groups
        self._other = HashingEncoder(dimension=64)

    def encode_query(self, text: str) -> NDArray[np.float32]:
        group = next((str(sorted(group)) for group in self._groups if text in group), text)
        return self._other.encode_query(group)


LIGHTHOUSE = "When was the lighthouse of Brannock built?"


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (asked(LIGHTHOUSE), asked("when was the lighthouse of brannock built"), "duplicate"),
        (asked(LIGHTHOUSE), asked(LIGHTHOUSE, "in 1874"), "duplicate"),
        (asked(LIGHTHOUSE), asked(LIGHTHOUSE, "1902"), "conflict"),
        (asked(LIGHTHOUSE), asked(LIGHTHOUSE, None), "conflict"),
        (asked(LIGHTHOUSE), asked("In which year was the lighthouse of Brannock built?"), "duplicate"),
        (asked(LIGHTHOUSE), asked("When was the old lighthouse of Brannock built?", "1802"), "duplicate"),
        (asked("灯塔是哪一年建造的？", "1874年"), asked("灯塔是在哪一年建造的？", "1874年"), "duplicate"),
        (asked(LIGHTHOUSE), asked("When was the lighthouse of Tolsay built?"), None),
        (asked(LIGHTHOUSE), asked("Why was the lighthouse of Brannock built?", "for the ships"), None),
        (asked("What is the highest tower here?", "A"), asked("What is the oldest tower here?", "B"), None),
        (asked("17号线何时开通？", "2009年"), asked("18号线何时开通？", "2009年"), None),
        (asked("灯塔的设计者是谁？", "安娜"), asked("灯塔的建造者是谁？", "玛丽"), None),
        (task("Write a poem about the sea.", "x"), task("Write a poem about the sky.", "y"), None),
        (task("Sort it.", "a", "b a"), task("Sort it.", "c", "d c"), None),
        (task("Sort it.", "a b", "b a"), task("Sort it.", "c", "B A"), "conflict"),
        (task("Sort it.", "a b", "b a"), task("Sort it!", "a b", "b a"), "duplicate"),
    ],
)  # fmt: skip
def test_repeats_go_and_other_questions_stay(first: Checked, second: Checked, reason: str | None) -> None:
    assert both(first, second) == reason


@pytest.mark.parametrize(
    "second", [asked(LIGHTHOUSE), asked("In which year was the lighthouse of Brannock built?")]
)
def test_the_same_question_in_another_split_is_leakage(second: Checked) -> None:
    assert both(asked(LIGHTHOUSE), second, "test") == "leakage"


def test_the_same_in_other_words_is_a_near_duplicate() -> None:
    other = "What year saw the completion of Brannock's light?"
    far = "How many ferries cross the bay?"
    seen = Seen(Paraphrases({LIGHTHOUSE, other}))
    assert reasons(
        (asked(LIGHTHOUSE), "train"), (asked(other), "train"), (asked(far, "two"), "train"), seen=seen
    ) == [None, "near_duplicate", None]
    assert seen.admit(asked(other), "validation").reason == "leakage"


def test_near_in_meaning_but_about_another_name_stays() -> None:
    other = "In what year did they finish Tolsay's light?"
    seen = Seen(Paraphrases({LIGHTHOUSE, other}))
    assert reasons((asked(LIGHTHOUSE), "train"), (asked(other), "train"), seen=seen) == [None, None]


def test_scores_say_how_near_the_nearest_was() -> None:
    seen = Seen(HashingEncoder())
    assert seen.admit(asked(LIGHTHOUSE), "train").scores == {}
    scores = seen.admit(asked("When was the lighthouse of Tolsay built?"), "train").scores
    assert scores["rouge"] == pytest.approx(6 / 7)
    assert 0 <= scores["cosine"] <= 1


def test_what_was_rejected_before_is_neither_changed_nor_remembered() -> None:
    seen = Seen(None)
    rejected = Checked(asked(LIGHTHOUSE).candidate, reason="length", detail="x")
    assert seen.admit(rejected, "train") is rejected
    assert seen.admit(asked(LIGHTHOUSE), "train").accepted


def as_example(checked: Checked, split: Split, at: int) -> Example:
    one = checked.candidate
    return Example(
        f"{at:016x}", "accepted" if checked.accepted else "rejected", checked.reason, "self-qa", one.kind,
        one.language, one.question, one.input, one.answer, (), (), split, "t", "1",
    )  # fmt: skip


def test_rebuilt_from_the_library_it_goes_on_as_if_undisturbed() -> None:
    rng = random.Random("seen")
    names = ["Brannock", "Tolsay", "Kerr", "Mull"]
    verbs = ["When was {} built?", "In which year was {} built?", "Who built {}?", "Why was {} built?"]
    rows: list[tuple[Checked, Split]] = [
        (
            asked(rng.choice(verbs).format(rng.choice(names)), rng.choice(["1874", "Ann"])),
            rng.choice(["train", "test"]),
        )
        for _ in range(120)
    ]
    whole = Seen(HashingEncoder())
    undisturbed = [whole.admit(checked, split) for checked, split in rows]
    for cut in (1, 7, 60):
        kept = [as_example(undisturbed[at], rows[at][1], at) for at in range(cut)]
        seen = Seen.of(kept, HashingEncoder())
        assert [seen.admit(checked, split) for checked, split in rows[cut:]] == undisturbed[cut:]
    assert {one.reason for one in undisturbed} >= {None, "duplicate", "leakage", "conflict"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1874", "in 1874", True),
        ("Anna Kerr", "the engineer Anna Kerr.", True),
        ("1874", "1875", False),
        ("1874年", "1874", True),
        (None, None, True),
        (None, "1874", False),
        ("...", "1874", False),
    ],
)
def test_same_answer(one: str | None, other: str | None, same: bool) -> None:
    assert same_answer(one, other) == same == same_answer(other, one)
