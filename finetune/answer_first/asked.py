"""A question with the place of its answer, as the rules make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.answer_first.tokens import Token


@dataclass(frozen=True, slots=True)
class Asked:
    """`answer` is [start, end) of the passage's text; `pattern` names the rule, `weight` its trust (0..1)."""

    question: str
    start: int
    end: int
    pattern: str
    weight: float


def asked(question: str, answer: Sequence[Token], pattern: str, weight: float) -> Asked:
    return Asked(question, answer[0].start, answer[-1].end, pattern, weight)
