"""What was accepted before, so that nothing is taught twice, in two ways, or on both sides of a split.

`Seen` depends on the accepted examples alone, not on their order or on when they were added, but for which
of two that are alike came first: rebuilt from the library, it says what it said before.

Two questions that are near in words (ROUGE-L, Lin 2004; 0.7 is Self-Instruct's bound) or in meaning (cosine)
are still two when each names a name or a number that the other does not ("When was X built?", "When was Y
built?"), or when they have other content or question words and other answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from corpora.examples import Example, Split
from finetune.candidates import Candidate
from finetune.checks.records import QUESTIONS, Checked, Fault, Reason
from finetune.measures import answer_tokens
from finetune.rouge import RougePool
from index.evidence.words import Words, words

ROUGE_L = 0.7
_LOOKED_AT = 20  # nearest questions that are compared in full
# At these, of the pairs of human questions about one paragraph that have other answers, 0.91 % are near on
# squad2 (MiniLM, 2,411 pairs) and 2.65 % on xquad-zh (e5, 1,132); after `two_questions` 0.21 % and 0.09 %.
# A real paraphrase has 0.93 to 0.98 (`tests/bench/reader_checks.py`).
COSINE = {"all-minilm-l6-v2": 0.92, "multilingual-e5-small": 0.96}
_COSINE = 0.96  # of an encoder that was not measured
_ASKING = re.compile(
    r"\b(?:who|whom|whose|what|when|where|which|why|how)\b|什么时候|何时|多久|多少|谁|哪里|哪儿|为什么|为何|怎么|如何|几"
)


class QuestionEncoder(Protocol):
    """The part of the index's encoder that is needed here."""

    @property
    def name(self) -> str: ...

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """One unit vector."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An accepted question, read once."""

    text: str
    answer: str | None
    split: Split
    content: Words
    asking: frozenset[str]


class Seen:
    """The questions of accepted examples. `admit` is the last check and remembers what it lets through."""

    def __init__(self, encoder: QuestionEncoder | None, cosine: float | None = None) -> None:
        self._encoder = encoder
        self._cosine = cosine or COSINE.get(encoder.name if encoder else "", _COSINE)
        self._exact: dict[tuple[str, str], _Asked] = {}
        self._pool = RougePool()
        self._asked: list[_Asked] = []
        self._by_text: dict[str, _Asked] = {}
        self._rows: NDArray[np.float32] = np.empty((0, 0), np.float32)

    @classmethod
    def of(cls, examples: Iterable[Example], encoder: QuestionEncoder | None) -> Seen:
        """What the accepted ones among `examples` make of it."""
        seen = cls(encoder)
        for example in examples:
            if example.status == "accepted":
                is_question = example.kind in QUESTIONS
                seen._add(example.question, example.input, example.answer, example.split, is_question)
        return seen

    def admit(self, checked: Checked, split: Split) -> Checked:
        """`checked`, rejected if it is too near to what was accepted; if accepted, it is remembered.

        What was rejected before comes back as it is. Of documents in several splits nothing is accepted.
        """
        if checked.reason is not None:
            return checked
        fault, scores = self.compare(checked.candidate, split)
        scores = {**checked.scores, **scores}
        if fault is not None:
            return replace(checked, scores=scores, reason=fault.reason, detail=fault.detail)
        self._remember(checked.candidate, split)
        return replace(checked, scores=scores)

    def repeats(self, candidate: Candidate) -> bool:
        """Whether `admit` is sure to reject it, as far as that is known without its vector."""
        if _key(candidate.question, candidate.input) in self._exact:
            return True
        asked = _read(candidate.question, candidate.answer, "train")
        return candidate.kind in QUESTIONS and self._near(asked)[0] is not None

    def compare(self, candidate: Candidate, split: Split) -> tuple[Fault | None, dict[str, float]]:
        """What is wrong with `candidate` beside what was accepted, and how near the nearest are."""
        same = self._exact.get(_key(candidate.question, candidate.input))
        if same is not None:
            return _same(same, candidate, split), {"rouge": 1.0}
        if candidate.kind not in QUESTIONS:
            return None, {}  # Self-Instruct compares its instructions itself, and one may have many inputs
        asked = _read(candidate.question, candidate.answer, split)
        fault, scores = self._near(asked)
        if fault is not None or self._encoder is None or not self._asked:
            return fault, scores
        alike = self._alike(self._encoder.encode_query(asked.text))
        return _first(alike, self._cosine, asked, "near_duplicate"), {**scores, "cosine": _share(alike[0][0])}

    def _near(self, asked: _Asked) -> tuple[Fault | None, dict[str, float]]:
        near = [(score, self._by_text[text]) for score, text in self._pool.nearest(asked.text, _LOOKED_AT)]
        return _first(near, ROUGE_L, asked, "duplicate"), {"rouge": near[0][0]} if near else {}

    def _alike(self, vector: NDArray[np.float32]) -> list[tuple[float, _Asked]]:
        cosines = self._rows[: len(self._asked)] @ vector
        order = np.argsort(-cosines, kind="stable")[:_LOOKED_AT]
        return [(float(cosines[at]), self._asked[at]) for at in order]

    def _remember(self, candidate: Candidate, split: Split) -> None:
        is_question = candidate.kind in QUESTIONS
        self._add(candidate.question, candidate.input, candidate.answer, split, is_question)

    def _add(self, question: str, given: str, answer: str | None, split: Split, is_question: bool) -> None:
        asked = _read(question, answer, split)
        self._exact.setdefault(_key(question, given), asked)
        if not is_question or asked.text in self._by_text:
            return
        self._by_text[asked.text] = asked
        self._pool.add(asked.text)
        if self._encoder is not None:
            self._place(self._encoder.encode_query(asked.text))
        self._asked.append(asked)

    def _place(self, vector: NDArray[np.float32]) -> None:
        at = len(self._asked)
        if at == len(self._rows):
            grown = np.zeros((max(256, 2 * at), len(vector)), np.float32)
            if at:
                grown[:at] = self._rows
            self._rows = grown
        self._rows[at] = vector


def two_questions(one: _Asked, other: _Asked) -> bool:
    """Whether questions that sound alike ask for different things (see the module's text)."""
    mine, theirs = one.content, other.content
    named, named_there = mine.names | mine.numbers, theirs.names | theirs.numbers
    if named - named_there - theirs.terms and named_there - named - mine.terms:
        return True
    if same_answer(one.answer, other.answer):
        return False
    said = mine.terms | mine.numbers | one.asking
    said_there = theirs.terms | theirs.numbers | other.asking
    return bool(said - said_there and said_there - said)


def same_answer(one: str | None, other: str | None) -> bool:
    """Whether two answers say the same, or one of them says the other and more. None is a refusal."""
    if one is None or other is None:
        return one is other
    mine, theirs = answer_tokens(one), answer_tokens(other)
    if not mine or not theirs:
        return mine == theirs
    shorter, longer = sorted((mine, theirs), key=len)
    width = len(shorter)
    return any(longer[at : at + width] == shorter for at in range(len(longer) - width + 1))


def _read(question: str, answer: str | None, split: Split) -> _Asked:
    text = unicodedata.normalize("NFKC", question).strip()
    return _Asked(text, answer, split, words(text), frozenset(_ASKING.findall(text.casefold())))


def _key(question: str, given: str) -> tuple[str, str]:
    """Equal for what differs only in case, width, punctuation and white space."""
    return "".join(_plain(question)), "".join(_plain(given))


def _plain(text: str) -> Sequence[str]:
    return [char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum()]


def _same(there: _Asked, candidate: Candidate, split: Split) -> Fault:
    if there.split != split:
        return Fault("leakage", f"asked in the split {there.split} too")
    if not same_answer(there.answer, candidate.answer):
        return Fault("conflict", f"answered before: {(there.answer or 'refused')[:60]}")
    return Fault("duplicate", "asked before")


def _first(
    near: Sequence[tuple[float, _Asked]], threshold: float, asked: _Asked, reason: Reason
) -> Fault | None:
    """The fault that the nearest question of those over the threshold makes which asks for the same."""
    for score, there in near:
        if score >= threshold and not two_questions(asked, there):
            found: Reason = reason if there.split == asked.split else "leakage"
            return Fault(found, f"{score:.2f} to: {there.text[:80]}")
    return None


def _share(cosine: float) -> float:
    return min(1.0, max(0.0, cosine))
