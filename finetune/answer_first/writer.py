"""Answer-first Self-QA: spans that a sentence answers, and the questions that ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corpora.prompt import language_of
from corpora.records import Passage
from finetune.answer_first.asked import Asked
from finetune.answer_first.chinese import ChineseSource, chinese_questions, chinese_sources
from finetune.answer_first.english import made_clear, questions
from finetune.answer_first.question_writer import Chosen, QuestionWriter
from finetune.answer_first.sources import sources
from finetune.answer_first.spans import likely_answers
from finetune.answer_first.topic import title_of
from finetune.candidates import Candidate, Claimed

PROMPT_VERSION = "answer-first/1"
_MOST = 6  # candidates of a passage: enough to fill a quota after the checks
_SPANS = 2  # answers of one sentence that a model is asked about
_MODEL_WEIGHT = 0.3  # below what the rules make, until a model is shown to write better
_SAME_SENTENCE, _SAME_PATTERN = 0.2, 0.05  # taken off for each that is there already


@dataclass(frozen=True, slots=True)
class _Found:
    """A question with the sentence that it was made of, `start` being its place in the passage."""

    passage: Passage
    sentence: str
    start: int
    asked: Asked
    teacher: str = "rules"

    @property
    def answer(self) -> str:
        return self.passage.text[self.asked.start : self.asked.end]


class AnswerFirst:
    """Writes the questions of passages by rule; implements `finetune.candidates.Writer`.

    `model` words further questions, for answers of sentences that the rules ask nothing of.
    """

    name = "answer-first"

    def __init__(self, model: QuestionWriter | None = None) -> None:
        self._model = model

    def write(self, passages: Sequence[Passage]) -> list[list[Candidate]]:
        """The candidates of each passage, best first: other sentences before other answers of one."""
        found = [_chinese(passage) if _is_chinese(passage) else _english(passage) for passage in passages]
        if self._model is not None:
            for passage, by_rule in zip(passages, found, strict=True):
                by_rule.extend(_worded(passage, by_rule, self._model))
        return [[_candidate(one, order) for one, order in _ranked(of_passage)] for of_passage in found]


def _is_chinese(passage: Passage) -> bool:
    return language_of(passage.text) == "zh"


def _worded(passage: Passage, by_rule: Sequence[_Found], model: QuestionWriter) -> list[_Found]:
    """The questions of a model for answers in sentences that have none yet."""
    done = {one.start for one in by_rule}
    places = [
        (source, span)
        for source in (chinese_sources(passage) if _is_chinese(passage) else sources(passage))
        if source.start not in done
        for span in likely_answers(source)[:_SPANS]
    ]
    title = title_of(passage)
    chosen = [
        Chosen(passage.text, source.text, passage.text[span.start : span.end], title)
        for source, span in places
    ]
    found = []
    for (source, span), question in zip(places, model.questions(chosen) if chosen else [], strict=True):
        if question is None:
            continue
        one = Asked(question, span.start, span.end, "model", _MODEL_WEIGHT)
        clear = one if isinstance(source, ChineseSource) else made_clear(one, source)
        if clear is not None:
            found.append(_Found(passage, source.text, source.start, clear, model.name))
    return found


def _english(passage: Passage) -> list[_Found]:
    return [
        _Found(passage, source.text, source.start, one)
        for source in sources(passage)
        for one in questions(source)
    ]


def _chinese(passage: Passage) -> list[_Found]:
    return [
        _Found(passage, source.text, source.start, one)
        for source in chinese_sources(passage)
        for one in chinese_questions(source)
    ]


def _ranked(found: list[_Found]) -> list[tuple[_Found, float]]:
    """The best of the rest, again and again, each with its worth at that time."""
    left = list(found)
    taken: list[tuple[_Found, float]] = []
    while left and len(taken) < _MOST:
        worth, best = max(((_worth(one, taken), -place) for place, one in enumerate(left)))
        one = left.pop(-best)
        taken.append((one, round(worth, 3)))
        left = [other for other in left if other.answer.casefold() != one.answer.casefold()]
    return taken


def _worth(one: _Found, taken: Sequence[tuple[_Found, float]]) -> float:
    sentences = sum(other.start == one.start for other, _ in taken)
    patterns = sum(other.asked.pattern == one.asked.pattern for other, _ in taken)
    return one.asked.weight - _SAME_SENTENCE * sentences - _SAME_PATTERN * patterns


def _candidate(one: _Found, order: float) -> Candidate:
    return Candidate(
        method="self-qa",
        kind="span",
        language="zh" if _is_chinese(one.passage) else "en",
        question=one.asked.question,
        answer=one.answer,
        claimed=(Claimed(one.passage, one.sentence, one.start),),
        teacher=one.teacher,
        prompt_version=PROMPT_VERSION,
        order=order,
    )
