"""Questions for a date: when, since when, until when."""

from __future__ import annotations

from collections.abc import Iterator

from finetune.answer_first.asked import Asked, asked
from finetune.answer_first.clauses import Clause
from finetune.answer_first.lexicon import lemma
from finetune.answer_first.phrases import NOUNS, WH, date_end, has_inner_verb, is_year
from finetune.answer_first.tokens import Token
from finetune.answer_first.wording import Piece, capital, front, inverted, say

_WHEN = {
    "in": "when",
    "on": "when",
    "during": "when",
    "by": "by when",
    "until": "until when",
    "since": "since when",
}
# A date behind one of these dates the event, not what the sentence tells.
_EVENTS = frozenset(
    """
    war treaty election outbreak act law referendum revolution conference meeting crisis embargo battle
    death birth end beginning founding establishment invasion conquest fall summit speech paper book
    report census edition survey study article version film game games championship season olympics
    tournament plan
    """.split()
)
_DATED_LATER = frozenset("after before following since until preceding".split())


def about_time(found: Clause) -> Iterator[Asked]:
    """Questions for the dates of a clause."""
    yield from _infront(found)
    tail = found.tail
    for place, token in enumerate(tail):
        if token.low not in _WHEN or token.tag not in ("IN", "RB"):
            continue
        end = date_end(tail, place + 1)
        if end == place + 1 or not _belongs_to_verb(found, place, end):
            continue
        rest: list[Piece] = [*tail[:place], *tail[end:]]
        if not rest and len(found.subject) < 2 and not found.passive and not found.copula:
            weight = 0.6
        else:
            weight = 0.9
        if not rest and (found.copula or found.broken):
            continue
        inner = next(
            (at for at, word in enumerate(rest) if isinstance(word, Token) and word.low == "when"), len(rest)
        )
        rest = rest[:inner]
        wh = _WHEN[token.low]
        if wh == "when" and _only_year(tail[place + 1 : end]):
            wh = "in what year"
        question = say([*front(found), wh, *inverted(found, rest)])
        yield asked(capital(question) + "?", tail[place + 1 : end], "when", weight)


def _only_year(date: tuple[Token, ...]) -> bool:
    return len(date) == 1 and is_year(date[0])


def _infront(found: Clause) -> Iterator[Asked]:
    lead = found.lead
    if len(lead) < 2 or lead[0].low not in (*_WHEN, "from", "between"):
        return
    end = date_end(lead, 1)
    if end == 1 or end != len(lead) or lead[0].low not in _WHEN:
        yield from _period(found)
        return
    if (found.copula and len(found.tail) < 2) or (found.broken and not found.tail):
        return
    wh = _WHEN[lead[0].low]
    if wh == "when" and _only_year(lead[1:end]):
        wh = "in what year"
    question = say([wh, *inverted(found, found.tail)])
    yield asked(capital(question) + "?", lead[1:end], "when", 0.95)


def _period(found: Clause) -> Iterator[Asked]:
    """ "Between 1978 and 2008, …" """
    lead = found.lead
    middle = date_end(lead, 1)
    joins = {"from": ("to", "until"), "between": ("and",)}.get(lead[0].low, ())
    if middle == 1 or middle + 1 >= len(lead) or lead[middle].low not in joins:
        return
    if date_end(lead, middle + 1) == len(lead) and not (found.copula and len(found.tail) < 2):
        question = say(["during what period", *inverted(found, found.tail)])
        yield asked(capital(question) + "?", lead, "when", 0.85)


def _belongs_to_verb(found: Clause, place: int, end: int) -> bool:
    """Whether the date at `place` of the tail dates the verb rather than a noun or an inner verb."""
    before = found.tail[:place]
    if end < len(found.tail) and found.tail[end].low in ("to", "and", "or", "until", "–"):
        return False
    if any(token.tag in WH or token.low in ("that", "because", "if") for token in before):
        return False
    if has_inner_verb(before) or any(token.low in _DATED_LATER for token in before):
        return False
    if not before:
        return True
    last = before[-1]
    event = last.tag in NOUNS and lemma(last.low, "NOUN") in _EVENTS and found.tail[place].low != "on"
    if last.text == "," or event:
        return False
    return not (last.tag == "CD" and date_end(found.tail, place - 1) > place - 1)
