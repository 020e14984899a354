"""Who words the question for an answer that is already chosen: the rules, or a language model.

`AnswerFirst` takes any `QuestionWriter` beside the rules. What it writes must pass the same reading as theirs
(`selfcontained`), so that a weak model can only add.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from corpora.prompt import Language, language_of
from corpora.records import Message
from finetune.teacher import Ask, Teacher

_LONGEST_CONTEXT = 1200  # characters of the passage that the model is shown
_FIRST_LINE = re.compile(r"^\s*(?:(?:question|q|问题|问)\s*[:：]\s*)?[\"“]?(?P<line>[^\n]+)", re.IGNORECASE)
_ASKS: dict[Language, re.Pattern[str]] = {
    "en": re.compile(
        r"(?:^|, )(?:who|whom|whose|what|when|where|which|why|how|in|on|at|by|during|for)\b", re.IGNORECASE
    ),
    "zh": re.compile(r"谁|什么|哪|多少|几|何|怎|为什"),
}
_RULE: dict[Language, str] = {
    "en": (
        "Write one question whose answer is the given phrase. Name what it is about, so that the question "
        "can be understood without the text. Reply with the question alone."
    ),
    "zh": "请写出一个问题，使给出的短语就是它的答案。问题要写明所说的对象，不看原文也能读懂。只回复问题。",
}
_SHOWN: dict[Language, tuple[tuple[str, str, str], ...]] = {
    "en": (
        (
            "The harbour of Brannock is guarded by a lighthouse, which the engineer Anna Kerr built in 1874.",
            "1874",
            "When was the lighthouse of Brannock built?",
        ),
        (
            "Ferries to the island of Orsay carry about 3,000 cyclists every summer.",
            "about 3,000",
            "How many cyclists do the ferries to the island of Orsay carry every summer?",
        ),
        (
            "Tidal mills are water mills that are driven by the rise and fall of the sea.",
            "water mills that are driven by the rise and fall of the sea",
            "What are tidal mills?",
        ),
    ),
    "zh": (
        ("布兰诺克港的灯塔由工程师安娜·克尔于1874年建造。", "1874年", "布兰诺克港的灯塔是哪一年建造的？"),
        (
            "每年夏天约有3000名骑行者乘渡轮前往奥赛岛。",
            "约3000名",
            "每年夏天约有多少名骑行者乘渡轮前往奥赛岛？",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """An answer with the sentence and the passage that it stands in."""

    passage: str
    sentence: str
    answer: str


class QuestionWriter(Protocol):
    """Words questions for chosen answers."""

    @property
    def name(self) -> str:
        """How examples name it as their teacher."""

    def questions(self, chosen: Sequence[Chosen]) -> list[str | None]:
        """A question for each, in order; None where there is none worth keeping."""


class ModelQuestionWriter:
    """Has a teacher write the question, shown a few examples; its reply is parsed leniently."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    @property
    def name(self) -> str:
        return self._teacher.name

    def questions(self, chosen: Sequence[Chosen]) -> list[str | None]:
        """One call for each; a failed call gives None."""
        replies = self._teacher.ask([_ask(one) for one in chosen])
        return [
            parse_question(reply.text, one) if reply.text else None
            for reply, one in zip(replies, chosen, strict=True)
        ]


def parse_question(reply: str, chosen: Chosen) -> str | None:
    """The question that a reply begins with; None where it is none, or gives the answer away."""
    found = _FIRST_LINE.match(reply)
    if not found:
        return None
    line = found["line"].strip().strip('"”“ ')
    stop = re.search(r"[?？]", line)
    if not stop:
        return None
    line = line[: stop.end()]
    language = language_of(chosen.sentence)
    if not _ASKS[language].search(line) or chosen.answer.casefold() in line.casefold():
        return None
    return line


def _ask(chosen: Chosen) -> Ask:
    language = language_of(chosen.sentence)
    turns = [Message("system", _RULE[language])]
    for sentence, answer, question in _SHOWN[language]:
        turns += [Message("user", _put(sentence, answer, language)), Message("assistant", question)]
    context = chosen.passage if len(chosen.passage) <= _LONGEST_CONTEXT else chosen.sentence
    turns.append(Message("user", _put(context, chosen.answer, language, chosen.sentence)))
    return Ask(messages=tuple(turns), max_new_tokens=60, stop=("\n",))


def _put(text: str, answer: str, language: Language, sentence: str = "") -> str:
    names = {"en": ("Text", "Sentence", "Answer"), "zh": ("原文", "句子", "答案")}[language]
    middle = f"\n{names[1]}: {sentence}" if sentence and sentence != text else ""
    return f"{names[0]}: {text}{middle}\n{names[2]}: {answer}"
