"""Answers without a language model: the sentences of the passages that answer best, quoted and cited."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.answer.citations import make_citation, title_of
from corpora.records import Citation, Passage, Span
from index.evidence.sentences import sentences
from index.evidence.words import Words, question_words, words

_QUOTES = 2  # at most
_SECOND_AT = 0.85  # of the first one's score, for a second quote
_RANK_DISCOUNT = 0.08  # times the logarithm of the passage's rank
_NEARBY = 0.4  # worth of a word that only a neighbouring sentence or the title has
_NUMBER_WANTED = 0.1  # for a sentence with a number, where the question asks for one
_FRAGMENT = 15  # characters; what is shorter is a heading or a piece of a list
_FRAGMENT_COST = 0.3

_ASKS_NUMBER = re.compile(
    r"\b(?:when|how (?:many|much|long|far|old|tall|high|large|big)"
    r"|(?:what|which) (?:year|date|number|percentage|century|decade|day|month|time))\b"
    r"|几|幾|多少|多久|多长|多大|多高|何时|何時|什么时候|哪年|哪一年",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d|[二三四五六七八九十百千万萬]")


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence of passage `marker`, and how well it meets the question."""

    marker: int
    span: Span
    score: float


def rank_sentences(question: str, passages: Sequence[Passage]) -> list[ScoredSentence]:
    """All sentences of the passages, best first."""
    asked, wants_number = question_words(question), bool(_ASKS_NUMBER.search(question))
    read = [
        (number, p, [(s, words(p.text[s.start : s.end])) for s in sentences(p.text)])
        for number, p in enumerate(passages, 1)
    ]
    rarity = _rarity([there for _, _, spans in read for _, there in spans])
    ranked: list[ScoredSentence] = []
    for number, passage, spans in read:
        about = words(title_of(passage))
        for index, (span, there) in enumerate(spans):
            near = [spans[i][1] for i in (index - 1, index + 1) if 0 <= i < len(spans)]
            score = _score(asked, there, near, about, rarity) - _RANK_DISCOUNT * math.log(number)
            score += _fitness(passage.text[span.start : span.end], wants_number=wants_number)
            ranked.append(ScoredSentence(number, span, score))
    return sorted(ranked, key=lambda found: (-found.score, found.marker, found.span.start))


def extract(question: str, passages: Sequence[Passage]) -> tuple[str, tuple[Citation, ...]]:
    """The answer in quotes with markers, and its citations; ("", ()) where the passages hold no sentence."""
    ranked = rank_sentences(question, passages)
    chosen = ranked[:1] + [s for s in ranked[1:_QUOTES] if s.score >= _SECOND_AT * ranked[0].score]
    citations = tuple(make_citation(s.marker, passages[s.marker - 1], s.span) for s in chosen)
    return " ".join(f"“{' '.join(c.quote.split())}” [{c.marker}]" for c in citations), citations


def sentence_alone(passage: Passage, span: Span) -> Passage:
    """`passage` cut down to one sentence of its text."""
    return replace(
        passage,
        text=passage.text[span.start : span.end],
        start=passage.start + span.start,
        end=passage.start + span.end,
    )


def _rarity(read: Sequence[Words]) -> dict[str, float]:
    counts = Counter(word for there in read for word in there.terms | there.numbers)
    return {word: math.log1p(len(read) / count) for word, count in counts.items()}


def _fitness(sentence: str, *, wants_number: bool) -> float:
    """What speaks for or against a sentence whatever its words."""
    bonus = _NUMBER_WANTED if wants_number and _NUMBER.search(sentence) else 0.0
    fragment = len(sentence) < _FRAGMENT or sentence.startswith("#")
    return bonus - (_FRAGMENT_COST if fragment else 0.0)


def _score(
    asked: Words, there: Words, near: Sequence[Words], about: Words, rarity: dict[str, float]
) -> float:
    """The share of the question's words in the sentence, weighted by rarity; less when only near it."""
    wanted = asked.terms | asked.numbers
    total = sum(rarity.get(word, 0.0) for word in wanted) or 1.0
    own = there.terms | there.numbers
    around = about.terms.union(*(other.terms | other.numbers for other in near))
    found = sum(rarity.get(w, 0.0) * (1.0 if w in own else _NEARBY if w in around else 0.0) for w in wanted)
    return found / total
