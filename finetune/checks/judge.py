"""An instructable model as judge: does the passage support the answer? Yes or no, by graded examples.

The examples hold the mistakes that matter: a wrong value of the right kind, a negation lost, another
entity's fact, something true that the passage does not say. They are data, and a test holds each of its "no"
against the text, after InstructLab's prompt for the same purpose, where an answer that its own grader calls
unsupported is graded YES.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from corpora.prompt import Language, escape, language_of
from corpora.records import Message
from finetune.checks.reading import Pair
from finetune.checks.records import Reason
from finetune.teacher import Ask, Teacher


@dataclass(frozen=True, slots=True)
class Graded:
    """An example for the judge: a claimed answer, and whether the passage supports it."""

    passage: str
    question: str
    answer: str
    supported: bool


_SYSTEM: dict[Language, str] = {
    "en": (
        "You check answers against a passage. Reply Yes if the passage says that this is the answer to the "
        "question, and No if it says something else, says it of something else, or does not say it."
    ),
    "zh": (
        "请根据段落检查答案。如果段落说明该答案正是问题的答案，回复“是”；"
        "如果段落的说法不同、说的是别的对象或没有提到，回复“否”。"
    ),
}
_LABELS: dict[Language, tuple[str, str, str, str]] = {
    "en": ("Passage:", "Question:", "Answer:", "Is the answer supported by the passage?"),
    "zh": ("段落：", "问题：", "答案：", "段落是否支持这个答案？"),
}
_VERDICT: dict[Language, dict[bool, str]] = {
    "en": {True: "Yes", False: "No"},
    "zh": {True: "是", False: "否"},
}
_HARBOUR = (
    "The harbour of Brannock is guarded by a lighthouse. It was built in 1874 by the engineer Anna Kerr and "
    "is 31 metres high. The older beacon of Tolsay was not rebuilt after the storm of 1902."
)
_HARBOUR_ZH = (
    "布兰诺克港有一座灯塔，由工程师安娜·克尔于1874年建造，高31米。托尔赛的旧信标在1902年的风暴之后没有重建。"
)
EXAMPLES: dict[Language, tuple[Graded, ...]] = {
    "en": (
        Graded(_HARBOUR, "Who built the lighthouse of Brannock?", "Anna Kerr", True),
        Graded(_HARBOUR, "When was the lighthouse of Brannock built?", "1902", False),
        Graded(_HARBOUR, "How high is the lighthouse of Brannock?", "31 metres", True),
        Graded(_HARBOUR, "What happened to the beacon of Tolsay after 1902?", "It was rebuilt", False),
        Graded(_HARBOUR, "How high is the beacon of Tolsay?", "31 metres", False),
        Graded(_HARBOUR, "What are lighthouses for?", "They warn ships of rocks", False),
    ),
    "zh": (
        Graded(_HARBOUR_ZH, "布兰诺克的灯塔是谁建造的？", "安娜·克尔", True),
        Graded(_HARBOUR_ZH, "布兰诺克的灯塔是哪一年建造的？", "1902年", False),
        Graded(_HARBOUR_ZH, "布兰诺克的灯塔有多高？", "31米", True),
        Graded(_HARBOUR_ZH, "1902年以后托尔赛的信标怎么样了？", "重建了", False),
        Graded(_HARBOUR_ZH, "托尔赛的信标有多高？", "31米", False),
        Graded(_HARBOUR_ZH, "灯塔有什么用？", "提醒船只避开礁石", False),
    ),
}
_YES = re.compile(r"^\W*(?:yes\b|是(?!否)|支持|有依据)", re.IGNORECASE)
_NO = re.compile(r"^\W*(?:no\b|否|不是|不支持|没有)", re.IGNORECASE)


class Judge:
    """A yes-or-no judge of support by passage; a `PairScorer`."""

    check: Reason = "judge"
    score = "judge"
    threshold = 0.5

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    @property
    def fingerprint(self) -> str:
        """Of the model, the instruction and the examples."""
        parts = (self._teacher.fingerprint, repr(_SYSTEM), repr(_LABELS), repr(EXAMPLES))
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()

    def scores(self, pairs: Sequence[Pair]) -> list[float | None]:
        """1.0 for yes, 0.0 for no, None where the model failed or said neither."""
        asks = [Ask(judge_prompt(pair), max_new_tokens=6, stop=("\n",)) for pair in pairs]
        replies = self._teacher.ask(asks)
        return [None if reply.text is None else read_verdict(reply.text) for reply in replies]


def judge_prompt(pair: Pair) -> tuple[Message, ...]:
    """The instruction, the graded examples, and the pair; passages are escaped as in the serving prompt."""
    language = language_of(pair.question)
    turns = [Message("system", _SYSTEM[language])]
    for example in EXAMPLES[language]:
        turns.append(_user(example.passage, example.question, example.answer, language))
        turns.append(Message("assistant", _VERDICT[language][example.supported]))
    text = "\n\n".join(passage.text for passage in pair.passages)
    return (*turns, _user(text, pair.question, pair.answer, language))


def read_verdict(reply: str) -> float | None:
    """What a reply means: 1.0 yes, 0.0 no, None neither."""
    if _NO.match(reply):
        return 0.0
    return 1.0 if _YES.match(reply) else None


def _user(passage: str, question: str, answer: str, language: Language) -> Message:
    head, asks, says, verdict = _LABELS[language]
    labelled = ((head, passage), (asks, question), (says, answer))
    parts = [f"{label}\n{escape(text)}" for label, text in labelled]
    return Message("user", "\n\n".join([*parts, verdict]))
