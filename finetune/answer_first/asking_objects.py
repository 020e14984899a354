"""Questions for what stands behind the verb: agent, name, object, place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finetune.answer_first.asked import Asked
from finetune.answer_first.clauses import Clause
from finetune.answer_first.kinds import sort_of, weighty, which
from finetune.answer_first.lexicon import FIXED, HUMAN_VERBS, PLACE_NOUNS, PLACES, lemma
from finetune.answer_first.phrases import (
    FINITE,
    WH,
    base_end,
    date_end,
    has_inner_verb,
    is_phrase,
    number_end,
)
from finetune.answer_first.tokens import Token
from finetune.answer_first.wording import active, inverted, shaped

_NAMING = frozenset("call name term dub nickname".split())
_AS = frozenset("know refer define describe classify categorize regard designate label".split())
# Verbs that go with one preposition, so that the question may end with it.
_IDIOMS = frozenset(
    """
    place part advantage effect care account steps rise birth shape suit power office
    """.split()
)
_OF_NOUNS = frozenset("for with between in on over about".split())
_LINKS = frozenset("become seem remain include mean appear last begin start continue stay".split())
# Verbs that say little of what is asked for.
_PALE = frozenset("have make do take ask open give get use see find include contain need want".split())
_SPACE = frozenset("in at near on".split())
_LOCATED = frozenset(
    """
    locate situate base headquarter bear hold station bury house settle live reside sit meet die hide
    stand educate raise launch film record convene demonstrate establish found build
    """.split()
)


def about_objects(found: Clause) -> Iterator[Asked]:
    """Questions for the phrases behind the verb of a clause."""
    if found.subject[0].tag in ("EX", "PRP"):
        return
    yield from _agent(found)
    yield from _called(found)
    yield from _object(found)
    yield from _fixed(found)
    yield from _where(found)


def _agent(found: Clause) -> Iterator[Asked]:
    if not found.passive or found.subject[0].tag == "PRP":
        return
    for place, token in enumerate(found.tail):
        if token.low != "by" or token.tag != "IN":
            continue
        end = _whole(found.tail, place + 1)
        if end == place + 1 or number_end(found.tail, place + 1) > place + 1:
            return
        if has_inner_verb(found.tail[:place]) or any(word.tag in WH for word in found.tail[:place]):
            return
        agent = found.tail[place + 1 : end]
        if agent[0].tag == "VBG":
            return
        wh = which(agent, found.base) if sort_of(agent) != "name" else _by_verb(found.base)
        if wh is None:
            return
        rest = [*found.tail[:place], *_phrase_of_verb(found.tail[end:])]
        pieces = active(found, rest)
        if pieces:
            yield shaped(found, wh, pieces, agent, "agent", 0.85)
        elif wh == "who":
            yield shaped(found, "by whom", inverted(found, rest), agent, "agent", 0.75)
        return


def _phrase_of_verb(rest: Sequence[Token]) -> Sequence[Token]:
    """What follows the agent, unless it says more of the agent or another thing of the subject."""
    if not rest or rest[0].low not in ("in", "at", "on", "during", "from", "to", "into", "as", "with"):
        return ()
    stop = next((place for place, token in enumerate(rest) if token.tag in ("CC", *WH)), len(rest))
    return rest[:stop]


def _by_verb(verb: str) -> str | None:
    return "who" if verb in HUMAN_VERBS else None


def _whole(cut: Sequence[Token], at: int) -> int:
    """The end of a noun phrase with its "of …" and its "and …"."""
    end = base_end(cut, at)
    while at < end < len(cut) - 1:
        joined = cut[end].low == "of" or cut[end].tag == "CC" or (cut[end].text == ",")
        after = end + 1 + (cut[end].text == "," and cut[end + 1].tag == "CC")
        further = base_end(cut, after) if joined and after < len(cut) else end
        if not joined or further <= after:
            break
        end = further
    return end


def _called(found: Clause) -> Iterator[Asked]:
    tail = found.tail
    if not found.passive or not tail or found.subject[0].tag == "PRP":
        return
    particle: tuple[Token, ...] = ()
    if found.base in _AS and tail[0].low in ("as", "to"):
        particle = tail[:2] if tail[0].low == "to" and len(tail) > 1 and tail[1].low == "as" else tail[:1]
    elif found.base not in _NAMING:
        return
    name = tail[len(particle) :]
    if (name and name[0].low == "by") or not name or not is_phrase(name) or len(name) > 9:
        return
    if found.broken or (any(token.tag == "CC" for token in name) and found.base in _AS):
        return
    yield shaped(found, "what", inverted(found, particle), name, "called", 0.9)


def _object(found: Clause) -> Iterator[Asked]:
    tail = found.tail
    if found.passive or found.copula or found.subject[0].tag == "PRP" or not tail or found.main.tag == "VBG":
        return
    if (
        number_end(tail, 0)
        or date_end(tail, 0)
        or tail[0].tag == "PRP$"
        or found.base in _LINKS
        or found.broken
    ):
        return
    end = _whole(tail, 0)
    rest = tail[end:]
    if end == 0 or end > 12 or any(token.tag in FINITE for token in tail):
        return
    if end == 1 and tail[0].low in _IDIOMS:
        return
    weight = 0.45
    if rest and not _of_the_verb(rest):
        if rest[0].low not in _OF_NOUNS or not is_phrase(tail) or len(tail) > 12:
            return
        end, rest, weight = len(tail), rest[:0], 0.35
    wh = "whom" if which(tail[:end], None) == "who" else "what"
    said = [*found.subject, *found.lead, *rest]
    if found.base == "have" and not found.lead and not rest:
        return
    pinned = weighty(said) + (found.base not in _PALE)
    if pinned < (3 if any(token.tag in ("NNP", "CD") for token in said) else 4):
        return
    yield shaped(found, wh, inverted(found, rest), tail[:end], "object", weight + 0.04 * min(pinned, 7))


def _of_the_verb(rest: Sequence[Token]) -> bool:
    """Whether what follows the object belongs to the verb, not to the object."""
    if rest[0].low in ("from", "against", "during", "after", "before", "until", "as"):
        return True
    return rest[0].low in ("in", "on", "at") and date_end(rest, 1) > 1


def _fixed(found: Clause) -> Iterator[Asked]:
    tail = found.tail
    if len(tail) < 2 or f"{found.base}:{tail[0].low}" not in FIXED or found.subject[0].tag == "PRP":
        return
    answer = tail[1:]
    if (
        found.broken
        or not is_phrase(answer)
        or len(answer) > 14
        or number_end(answer, 0)
        or date_end(answer, 0)
    ):
        return
    top = sort_of(answer)
    wh = "whom" if top == "person" else "what"
    if weighty(found.subject) + weighty(found.lead) < 2:
        return
    yield shaped(found, wh, inverted(found, tail[:1]), answer, "preposition", 0.7)


def _where(found: Clause) -> Iterator[Asked]:
    tail = found.tail
    if found.base not in _LOCATED or found.subject[0].tag == "PRP":
        return
    for place, token in enumerate(tail):
        if token.low not in _SPACE or token.tag != "IN" or date_end(tail, place + 1) > place + 1:
            continue
        end = base_end(tail, place + 1)
        if end == place + 1 or has_inner_verb(tail[:place]) or any(word.tag in WH for word in tail[:place]):
            return
        while end + 1 < len(tail) and tail[end].text == "," and tail[end + 1].tag == "NNP":
            end = base_end(tail, end + 1)
        if end < len(tail) and tail[end].low == "of":
            end = max(end, base_end(tail, end + 1))
        words = tail[place + 1 : end]
        noun = lemma(words[-1].low, "NOUN")
        if words[-1].tag == "NNP" and (noun in PLACE_NOUNS or any(word.low in PLACES for word in words)):
            yield shaped(found, "where", inverted(found, [*tail[:place], *tail[end:]]), words, "where", 0.85)
        return
