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

_LONGEST_CONTEXT = 1500  # characters of the passage that the model is shown
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
_NAMES: dict[Language, tuple[str, str, str, str]] = {
    "en": ("Title", "Text", "Sentence", "Answer"),
    "zh": ("标题", "原文", "句子", "答案"),
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
    """An answer with the sentence and the passage that it stands in; `title` is what these are about."""

    passage: str
    sentence: str
    answer: str
    title: str = ""


class QuestionWriter(Protocol):
    """Words questions for chosen answers."""

    @property
    def name(self) -> str:
        """How examples name it as their teacher."""

    def questions(self, chosen: Sequence[Chosen]) -> list[str | None]:
        """A question for each, in order; None where there is none worth keeping."""


class ModelQuestionWriter:
    """Has a teacher write the question; its reply is parsed leniently.

    `examples` are the few answers with their questions in front, for a model that was not tuned to this.
    """

    def __init__(self, teacher: Teacher, *, examples: bool = True) -> None:
        self._teacher, self._examples = teacher, examples

    @property
    def name(self) -> str:
        return self._teacher.name

    def questions(self, chosen: Sequence[Chosen]) -> list[str | None]:
        """One call for each; a failed call gives None."""
        asks = [Ask(question_prompt(one, self._examples), max_new_tokens=60, stop=("\n",)) for one in chosen]
        replies = self._teacher.ask(asks)
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


def question_prompt(chosen: Chosen, examples: bool) -> tuple[Message, ...]:
    """What a model is sent: the passage first, so that prompts of one passage begin alike."""
    language = language_of(chosen.sentence)
    turns = [Message("system", _RULE[language])]
    for sentence, answer, question in _SHOWN[language] if examples else ():
        shown = Chosen(sentence, sentence, answer)
        turns += [Message("user", _put(shown, language)), Message("assistant", question)]
    return (*turns, Message("user", _put(chosen, language)))


def _put(chosen: Chosen, language: Language) -> str:
    """What is empty, or says a thing again, is left out; so is a passage that is too long."""
    title, text, sentence, answer = _NAMES[language]
    context = chosen.passage if len(chosen.passage) <= _LONGEST_CONTEXT else chosen.sentence
    lines = {
        title: chosen.title,
        text: context,
        sentence: chosen.sentence if chosen.sentence != context else "",
        answer: chosen.answer,
    }
    return "\n".join(f"{name}: {line}" for name, line in lines.items() if line)
