"""Questions that just miss: one name, year or number of a question replaced by another of the document.

The result must have no answer, so the rules are strict: the replacement comes from elsewhere in the
document and stands in no gold passage, and no passage looked at speaks both of it and of what is asked.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from corpora.records import Passage
from finetune.rows.evidence import folded, title_of
from finetune.rows.names import is_whole
from index.evidence.words import Words, question_words, words

_YEAR = re.compile(
    r"(?<![\w.,/-])(?:1[0-9]|20)[0-9]{2}(?![\w/-]|[.,]\d| ?[–-])|(?<!\d)(?:1[0-9]|20)[0-9]{2}年"
)
_NUMBER = re.compile(r"(?<![\w.,/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w/-]|[.,]\d)")
_NAME = re.compile(r"\b[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*\b")
_OPENING = re.compile(r"(?:^|[.!?:\n]\s*|[\"“(]\s*)$")  # what stands before the first word of a sentence
_TITLE = re.compile(r"《[^《》\n]{1,30}》")
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "year": _YEAR,
    "number": _NUMBER,
    "name": _NAME,
    "title": _TITLE,
}
_LEAD = re.compile(r"\b(?:in|at|of|by|from|with|near|to|for|under|against|between) (?:the )?$", re.IGNORECASE)
_MOST_SHARED = 1 / 3  # of what is asked, in a passage that holds the replacement
_SUBJECT = 0.3  # of a document's passages: words in more of them are what it is about
_TRIED = 4  # replacements


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a question that can be replaced."""

    kind: str
    start: int
    end: int
    text: str
    before: str | None  # of a name


def near_misses(
    question: str,
    gold: Sequence[Passage],
    document: Sequence[Passage],
    found: Callable[[str], Sequence[Passage]],
    rng: random.Random,
) -> Iterator[tuple[str, Sequence[Passage]]]:
    """Altered questions that nothing answers, each with what the retriever found for it (`found`)."""
    elsewhere = [passage for passage in document if passage.id not in {one.id for one in gold}]
    about = _subject(document)
    told = folded("\n".join([question, *(f"{title_of(one)}\n{one.text}" for one in gold)]))
    choices = [(part, other) for part in _parts(question) for other in _others(part, elsewhere, told)]
    rng.shuffle(choices)
    for part, other in choices[:_TRIED]:
        altered = question[: part.start] + other + question[part.end :]
        asked = question_words(altered[: part.start] + " " + altered[part.start + len(other) :])
        rest = asked.terms - about - words(other).terms
        if len(rest) < 2:
            continue
        if any(_may_answer(passage, other, rest) for passage in document):
            continue
        passages = found(altered)
        if not any(_may_answer(passage, other, rest) for passage in passages):
            yield altered, passages


def _parts(question: str) -> list[_Part]:
    """Years, numbers, names and titles of a question; no digit counts twice."""
    parts: list[_Part] = []
    for kind in _PATTERNS:
        for match in _matches(kind, question):
            if not any(match.start() < part.end and part.start < match.end() for part in parts):
                before = _before(question, match.start())
                if kind != "name" or (before is not None and is_whole(question, match.end())):
                    parts.append(_Part(kind, match.start(), match.end(), match[0], before))
    return parts


def _before(text: str, start: int) -> str | None:
    """The preposition (with its article) before a name, by which a place is told from a person."""
    found = _LEAD.search(text[max(0, start - 20) : start])
    return found[0].lower() if found else None


def _matches(kind: str, text: str) -> list[re.Match[str]]:
    """Of the names only those inside a sentence, where a capital means something."""
    found = list(_PATTERNS[kind].finditer(text))
    if kind == "name":
        found = [one for one in found if not _OPENING.search(text[max(0, one.start() - 4) : one.start()])]
    return found


def _others(part: _Part, passages: Sequence[Passage], told: str) -> list[str]:
    """Same sort, same number of words, nothing of it told by the question or the gold passages; sorted."""
    found = {
        match[0]
        for passage in passages
        for match in _matches(part.kind, passage.text)
        if part.kind != "name" or _before(passage.text, match.start()) == part.before
    }
    if part.kind == "number":
        found = {one for one in found if not _YEAR.fullmatch(one) and _shape(one) == _shape(part.text)}
    return sorted(
        one
        for one in found
        if len(one.split()) == len(part.text.split())
        and one.endswith("年") == part.text.endswith("年")
        and not any(word in told for word in folded(one).split())
    )


def _shape(number: str) -> str:
    """As many digits, points and commas at the same places."""
    return re.sub(r"\d", "0", number)


def _may_answer(passage: Passage, other: str, rest: frozenset[str]) -> bool:
    shown = f"{title_of(passage)}\n{passage.text}"
    if folded(other) not in folded(shown):
        return False
    return len(rest & words(shown).terms) > _MOST_SHARED * len(rest)


def _subject(document: Sequence[Passage]) -> frozenset[str]:
    """Words of the title, and those that so many passages hold that a "he" or "it" may stand for them."""
    if not document:
        return frozenset()
    read: list[Words] = [words(passage.text) for passage in document]
    terms = {term for one in read for term in one.terms}
    often = {
        term for term in terms if sum(term in one.terms for one in read) > max(1, _SUBJECT * len(document))
    }
    return frozenset(often | words(title_of(document[0])).terms)
