"""Follow-ups that ask the last question again: of something else ("And Hesse?"), or more of it ("Why?")."""

from __future__ import annotations

import re
from dataclasses import replace

from assistant.chat.rewriting.history import Said
from assistant.chat.rewriting.phrases import Phrase, phrases

_OTHER = re.compile(
    r"(?:(?:and|but|so|ok|okay)[, ]+)?(?:what|how) about (?P<about>.+?)\s*\?*"
    r"|(?:and|or)[, ]+(?P<other>.+?)\s*\?+",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"^(?:who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|has|have|had|can|could|will|"
    r"would|should|he|she|it|they|i|we|you|this|that|these|those|his|her|its|their|there|then|now|here|"
    r"so|not)\b",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:(?:and|but|so)[, ]+)?(?P<bare>(?:(?:why|when|where|who|how|how so|why not|(?:by|with|for) whom|"
    r"since when|until when|in (?:which|what) \w+|(?:which|what) (?:year|ones?|time)|"
    r"how (?:many|much|long|often|far|big|old|large))"
    r"(?: (?:is|was|did|does|has) (?:that|this|it|so|he|she|they))?(?: so)?"
    r"|(?:which|what)(?: \w+){0,2} (?:is|was|were) (?:that|this|those)))\s*\?+",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"^(in|at|on|for|by|with|from|to|of|during|under|after|before|near)\s+", re.IGNORECASE
)
_BETWEEN = re.compile(r"\s+(in|at|on|for|by|with|from|to|of|near)\s+", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:1\d{3}|20\d\d)s?\b")


def bare_question(question: str, last: Said) -> str | None:
    """ "Why?" with the question that it asks about; None for a longer one."""
    found = _BARE.fullmatch(question)
    if found is None:
        return None
    word = found["bare"]
    return f"{word[:1].upper()}{word[1:]}? ({last.question})"


def repeated(question: str, last: Said) -> str | None:
    """The last question with "X" of "And X?" in the place of what it was about; None for other questions."""
    found = _OTHER.fullmatch(question)
    other = (found["about"] or found["other"]) if found else None
    if other is None or _CLAUSE.match(other) or len(other.split()) > 8:
        return None
    lead = _PREPOSITION.match(other)
    bare = other[lead.end() :] if lead else other
    if _YEAR.fullmatch(bare):
        changed = _YEAR.sub(bare, last.question, count=1)
        return changed if _YEAR.search(last.question) else _added(last.question, other)
    wanted = phrases(f"= {bare}")
    old = _place(last.question, lead[1].casefold() if lead else None, wanted[0] if wanted else None)
    if old is None:
        return _added(last.question, other)
    return last.question[: old.start] + bare + last.question[_end(last.question, old, bare) :]


def _place(question: str, preposition: str | None, wanted: Phrase | None) -> Phrase | None:
    """The phrase of a question that another one takes the place of."""
    told = [phrase for phrase in phrases(question) if not phrase.asked]
    if preposition is not None:
        return next(
            (
                replace(phrase, start=phrase.start + found.end())
                for phrase in told
                if (found := _behind(preposition, question, phrase)) is not None
            ),
            None,
        )
    if wanted is None:
        return told[-1] if told else None
    alike = [phrase for phrase in told if phrase.head == wanted.head] or [
        phrase for phrase in told if (phrase.named, phrase.person) == (wanted.named, wanted.person)
    ]
    return next(iter(alike or [phrase for phrase in told if phrase.named == wanted.named] or told), None)


def _end(question: str, old: Phrase, bare: str) -> int:
    """Where a phrase ends that `bare` takes the place of: "the ferry to X" takes that of "the ferry to Y"."""
    found = _BETWEEN.match(question, old.end)
    if found is None or not re.search(rf"\b{found[1]}\b", bare, re.IGNORECASE):
        return old.end
    return next((phrase.end for phrase in phrases(question) if phrase.start == found.end()), old.end)


def _behind(preposition: str, question: str, phrase: Phrase) -> re.Match[str] | None:
    """The part of a phrase up to and with the preposition; empty where that stands before the phrase."""
    if re.search(rf"\b{preposition}\s+$", question[: phrase.start], re.IGNORECASE):
        return re.match("", "")
    return re.match(rf".*\b{preposition}\s+", question[phrase.start : phrase.end], re.IGNORECASE)


def _added(question: str, other: str) -> str:
    joined = other if _PREPOSITION.match(other) else f"({other})"
    return f"{question.rstrip(' ?')} {joined}?"
