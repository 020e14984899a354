"""The committed conversations over the shared articles: whole, checked, and understood by the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.chat.rewriting import chinese, english
from assistant.chat.rewriting.history import Said

SET = Path(__file__).parents[2] / "data" / "follow_ups.jsonl"


@pytest.fixture(scope="module")
def conversations() -> list[dict[str, Any]]:
    return [json.loads(line) for line in SET.read_text("utf-8").splitlines()]


def test_there_are_forty_in_two_languages(conversations: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in conversations}) == len(conversations) == 40
    assert {row["lang"] for row in conversations} == {"en", "zh"}
    for row in conversations:
        assert row["second"]["answer"] in row["second"]["quote"]
        assert len(row["second"]["quote"]) < 120


def test_their_quotes_stand_in_the_articles(conversations: list[dict[str, Any]], shared_data: Path) -> None:
    for row in conversations:
        for turn in (row["first"], row["second"]):
            assert turn["quote"] in (shared_data / turn["path"]).read_text("utf-8"), row["id"]


def test_the_rules_change_what_leans_on_the_first_question_and_nothing_else(
    conversations: list[dict[str, Any]],
) -> None:
    changed = {True: 0, False: 0}
    for row in conversations:
        rules = chinese if row["lang"] == "zh" else english
        second = row["second"]["question"]
        said = [Said(row["first"]["question"], row["first"]["answer"])]
        changed[row["kind"] == "alone"] += rules.resolved(second, said) != second
    assert changed[True] == 0
    assert changed[False] >= 35
