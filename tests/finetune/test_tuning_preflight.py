"""Rows that would teach nothing, or something wrong, are refused before training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corpora.errors import AssistantError, Conflict, UsageError
from finetune.tuning.encode import IGNORED, PASSAGE, EncodedRow
from finetune.tuning.preflight import Preflight, check

END = 2
_ = IGNORED


def row(prompt: int = 5, answer: int = 3, name: str = "r", kind: str = "grounded") -> EncodedRow:
    ids = (*range(10, 10 + prompt), *range(50, 50 + answer), END)
    return EncodedRow(ids, (*(_,) * prompt, *ids[prompt:]), name, kind)


def passage(length: int = 6) -> EncodedRow:
    ids = tuple(range(20, 20 + length))
    return EncodedRow(ids, (_, *ids[1:]), "p", PASSAGE)


def checked(rows: list[EncodedRow], max_length: int = 100, template: str = "t") -> Preflight:
    return check(rows, ends=frozenset({END, 99}), max_length=max_length, template=template, base_template="t")


def test_good_rows_pass_and_are_counted() -> None:
    rows = [row(5, 3, "a"), row(20, 1, "b", "missing"), passage()]
    found = checked(rows)
    assert found.kept == tuple(rows)
    assert (found.too_long, found.tokens, found.trained) == (0, 9 + 22 + 6, 4 + 2 + 5)
    assert found.share_trained == pytest.approx(11 / 37)
    assert found.kinds == {"grounded": 1, "missing": 1, PASSAGE: 1}
    assert found.longest == (("b", 22), ("a", 9), ("p", 6))


CUT = row(5, 3)
BAD = {
    "no rows": ([], UsageError, "nothing_to_train"),
    "only masked rows": ([replace(row(), labels=(_,) * 9)] * 3, UsageError, "nothing_to_train"),
    "one masked row": ([row(), replace(row(), labels=(_,) * 9)], Conflict, "all_masked"),
    "an answer without its end": (
        [row(), EncodedRow(CUT.input_ids[:-1], CUT.labels[:-1], "cut", "grounded")],
        Conflict,
        "no_end_token",
    ),
    "an end that is not trained": (
        [EncodedRow(CUT.input_ids, (*CUT.labels[:-1], _), "x", "grounded")],
        Conflict,
        "prompt_no_prefix",
    ),
    "a prompt that goes on behind the answer": (
        [EncodedRow((1, 50, END, 11, 51, END), (_, 50, END, _, 51, END), "x", "grounded")],
        Conflict,
        "prompt_no_prefix",
    ),
    "no prompt at all": ([EncodedRow((50, END), (50, END), "x", "grounded")], Conflict, "prompt_no_prefix"),
    "labels of another row": (
        [EncodedRow((1, 50, END), (_, 51, END), "x", "grounded")],
        Conflict,
        "prompt_no_prefix",
    ),
    "fewer labels than tokens": (
        [EncodedRow((1, 50, END), (_, 50), "x", "grounded")],
        Conflict,
        "prompt_no_prefix",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_refused_with_a_reason(name: str) -> None:
    rows, error, code = BAD[name]
    with pytest.raises(AssistantError) as caught:
        checked(rows)
    assert (type(caught.value), caught.value.code) == (error, code)
    assert caught.value.hint


def test_the_error_names_rows() -> None:
    rows = [replace(row(name=f"r{n}"), labels=(_,) * 9) for n in range(5)]
    with pytest.raises(Conflict, match=r"5 rows: r0, r1, r2, \.\.\."):
        checked([row(), *rows])


def test_rows_of_another_template_are_refused() -> None:
    with pytest.raises(Conflict) as caught:
        checked([row()], template="other")
    assert (caught.value.code, caught.value.exit_code) == ("wrong_template", 5)


def test_few_long_rows_are_left_out_and_more_are_refused_with_the_length_that_holds_them() -> None:
    short = [row(5, 3, f"s{n}") for n in range(99)]
    found = checked([*short, row(200, 3, "long")], max_length=50)
    assert found.kept == tuple(short)
    assert found.too_long == 1
    with pytest.raises(UsageError, match="2 of 100 rows are over 50") as caught:
        checked([*short[1:], row(200, 3), row(60, 3)], max_length=50)
    assert caught.value.code == "answers_cut"
    assert "--max-length 64" in (caught.value.hint or "")
    assert checked([*short[1:], row(200, 3), row(60, 3)], max_length=64).too_long == 1
