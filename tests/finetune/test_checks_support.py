"""The evidence must hold the answer: its numbers, its names, enough of its words, and its sense."""

from __future__ import annotations

import pytest

from corpora.prompt import language_of
from corpora.records import Passage
from finetune.candidates import Candidate, Claimed
from finetune.checks.locating import locate
from finetune.checks.support import check_support

HARBOUR = (
    "The harbour of Brannock is guarded by a lighthouse. It was built in 1874 by the engineer Anna Kerr and "
    "is 31 metres high. Its lamp was not replaced after the storm of 1902."
)
CHINESE = "布兰诺克港有一座灯塔，由工程师安娜·克尔于1874年建造，高31米。"


def fault_of(question: str, answer: str | None, text: str = HARBOUR, kind: str = "span") -> str | None:
    place = Passage(1, "p1", "d1", "harbour.md", "md", 0, 0, len(text), 1, 1, None, "Lights", text)
    claimed = Claimed(place, text)
    candidate = Candidate(
        "self-qa",
        kind,
        language_of(question),
        question,
        answer,
        (claimed,),
        "t",
        "1",  # type: ignore[arg-type]
    )
    quote = locate(claimed, {"d1": "s"})
    assert quote is not None
    fault = check_support(candidate, (quote,))
    return None if fault is None else fault.reason


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the lighthouse of Brannock built?", "1874"),
        ("Who built the lighthouse of Brannock?", "anna  kerr"),
        ("Who built the lighthouse of Brannock?", "The engineer Anna Kerr built the lighthouse in 1874."),
        ("What guards the harbour and who built it?", "a lighthouse and Anna Kerr"),
        ("What years are named?", "1874, 1902"),
        ("What was done to the lamp after the storm?", "It was not replaced after the storm of 1902."),
        ("Is anything said of the keeper?", None),
    ],
)
def test_supported_answers_stay(question: str, answer: str | None) -> None:
    assert fault_of(question, answer) is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the lighthouse of Brannock built?", "1875"),
        ("When was the lighthouse of Brannock built?", "874"),
        ("Who built the lighthouse of Brannock?", "the engineer Anna Berg"),
        ("Who built the lighthouse of Brannock?", "The engineer Anna Kerr built the lighthouse in 1876."),
        ("What was done to the lamp after the storm?", "It was replaced after the storm of 1902."),
        ("What years are named?", "1874, 1903"),
        ("Is the lighthouse high?", "Yes"),
        ("Why was the lighthouse built?", "Ships were wrecked on hidden rocks."),
    ],
)
def test_unsupported_answers_go(question: str, answer: str) -> None:
    assert fault_of(question, answer) == "unsupported"


def test_chinese_answers() -> None:
    assert fault_of("灯塔是谁建造的？", "安娜·克尔", CHINESE) is None
    assert fault_of("灯塔有什么特点？", "高31米，1874年建造", CHINESE) is None
    assert fault_of("灯塔有多高？", "32米", CHINESE) == "unsupported"
    assert fault_of("灯塔是谁建造的？", "玛丽·克尔", CHINESE) == "unsupported"


def test_instructions_and_those_without_quotes_are_not_looked_at() -> None:
    assert fault_of("Write a poem.", "Roses are red.", kind="grounded-instruction") is None
    candidate = Candidate("self-kg", "atomic", "en", "Who built it?", "Ann", (), "t", "1")
    assert check_support(candidate, ()) is None
