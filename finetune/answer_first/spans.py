"""What a sentence can answer: dates, numbers with their unit, names, definitions and noun phrases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.answer_first.chinese import ChineseSource, chinese_questions
from finetune.answer_first.clauses import clauses
from finetune.answer_first.lexicon import POINTING
from finetune.answer_first.phrases import NOUNS, base_end, date_end, is_phrase, number_end
from finetune.answer_first.sources import Source
from finetune.answer_first.tokens import Token

SpanKind = Literal["date", "number", "name", "definition", "phrase"]
_LIKELY: tuple[SpanKind, ...] = ("date", "number", "definition", "name", "phrase")
_BLAND = POINTING | frozenset("all both each other some many several various certain our".split())
_CHINESE: dict[str, SpanKind] = {"date": "date", "amount": "number", "definition": "definition"}


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """[start, end) of a passage's text."""

    kind: SpanKind
    start: int
    end: int


def answer_spans(source: Source | ChineseSource) -> list[AnswerSpan]:
    """The answer spans of a sentence in order, none of them inside another of the same kind."""
    if isinstance(source, ChineseSource):
        found = [
            AnswerSpan(_CHINESE.get(one.pattern, "name"), one.start, one.end)
            for one in chinese_questions(source)
        ]
    else:
        found = [*_in_line(source.cut), *_definitions(source)]
    return sorted(found, key=lambda span: (span.start, span.end))


def likely_answers(source: Source | ChineseSource) -> list[AnswerSpan]:
    """The answer spans of a sentence, those first that people ask for: facts before phrases."""
    text = source.passage.text

    def rank(span: AnswerSpan) -> tuple[int, int]:
        return _LIKELY.index(span.kind) + _blandness(span, source.start, text), span.start

    return sorted(answer_spans(source), key=rank)


def _blandness(span: AnswerSpan, sentence: int, text: str) -> int:
    """What speaks against asking for a phrase: it is one word, points elsewhere, or is the subject."""
    if span.kind != "phrase":
        return 0
    words = text[span.start : span.end].casefold().split()
    named = [word for word in words if word not in ("the", "a", "an")]
    return (len(named) < 2) + 2 * (words[0] in _BLAND) + (span.start == sentence)


def _in_line(cut: Sequence[Token]) -> Iterator[AnswerSpan]:
    place = 0
    while place < len(cut):
        kind, end = _at(cut, place)
        if end > place:
            yield AnswerSpan(kind, cut[place].start, cut[end - 1].end)
        place = max(end, place + 1)


def _at(cut: Sequence[Token], place: int) -> tuple[SpanKind, int]:
    dated = date_end(cut, place)
    if dated > place:
        return "date", dated
    counted = number_end(cut, place)
    if counted > place:
        unit = base_end(cut, counted) if counted < len(cut) and cut[counted].tag in NOUNS else counted
        return "number", unit
    end = base_end(cut, place)
    if end > place and cut[place].tag in ("PRP$", "PRP"):
        return "phrase", place
    named = all(token.tag in ("NNP", "DT", "POS") for token in cut[place:end])
    return ("name" if named and end > place else "phrase"), end


def _definitions(source: Source) -> Iterator[AnswerSpan]:
    for found in clauses(source.cut):
        tail = found.tail
        if found.copula and len(tail) > 3 and tail[0].low in ("a", "an", "the") and is_phrase(tail):
            yield AnswerSpan("definition", tail[0].start, tail[-1].end)
