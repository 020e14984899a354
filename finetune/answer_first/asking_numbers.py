"""Questions for a number: how many, how much, what percentage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from finetune.answer_first.asked import Asked, asked
from finetune.answer_first.clauses import Clause
from finetune.answer_first.phrases import MONEY, base_end, date_end, has_inner_verb, is_phrase, number_end
from finetune.answer_first.tokens import Token
from finetune.answer_first.wording import Piece, capital, front, inverted, say

Tokens = tuple[Token, ...]
_BEFORE_NUMBER = frozenset("of by to for in on into".split())
_TIMES = frozenset("seconds minutes hours days weeks months years decades centuries times".split())
_STATES = frozenset(
    """
    have include contain comprise hold employ enroll enrol cover own operate serve produce receive win
    elect appoint publish sell build use lose kill raise spend cost pay grant award request offer
    support host house admit train require need define send add order donate provide earn consist reach
    weigh measure total number average score record bring take give make
    """.split()
)


def about_numbers(found: Clause) -> Iterator[Asked]:
    """Questions for the numbers of a clause."""
    yield from _in_subject(found)
    if not found.copula or found.subject[0].tag == "EX":
        yield from _as_object(found)
    yield from _by_percent(found)


def _counted(cut: Tokens, end: int) -> Tokens:
    """The counted noun behind a number that ends at `end`, with what belongs to it."""
    noun = base_end(cut, end)
    if (
        end >= len(cut)
        or noun == end
        or cut[end].tag == "CD"
        or cut[noun - 1].tag != "NNS"
        or cut[end].text == ","
    ):
        return ()
    return cut[end:noun]


def _in_subject(found: Clause) -> Iterator[Asked]:
    cut = found.subject
    end = number_end(cut, 0)
    if end == 0 or not found.tail or date_end(cut, 0) > 0:
        return
    number = cut[:end]
    if (
        number[-1].text in ("%",)
        or number[-1].low == "percent"
        or (end < len(cut) and cut[end].low == "percent")
    ):
        after = end + (end < len(cut) and cut[end].low == "percent")
        if after < len(cut) and cut[after].low == "of":
            words = [*cut[after:], *found.between, *found.verbs, *found.tail]
            line = say([*front(found), "what percentage", *words])
            yield asked(capital(line) + "?", cut[:after], "percentage", 0.95)
    elif number[0].text not in MONEY and not any(token.text in MONEY for token in number):
        noun = _counted(cut, end)
        if noun and is_phrase(cut[end:]):
            line = say([*front(found), "how many", *cut[end:], *found.between, *found.verbs, *found.tail])
            yield asked(capital(line) + "?", number, "how many", 0.9)


def _as_object(found: Clause) -> Iterator[Asked]:
    tail = found.tail
    leads = bool(tail) and tail[0].low in _BEFORE_NUMBER and tail[0].tag in ("IN", "TO")
    end = number_end(tail, int(leads))
    if end == leads or date_end(tail, int(leads)) > leads:
        return
    number, rest = tail[int(leads) : end], tail[end:]
    if any(token.text in MONEY for token in number):
        if not leads and found.base in _STATES and not found.passive:
            line = say([*front(found), "how much money", *inverted(found, rest)])
            yield asked(capital(line) + "?", number, "how much", 0.75)
    elif number[-1].text == "%" or (rest and rest[0].low == "percent"):
        if not leads:
            yield from _share(found, number, rest)
    else:
        yield from _count(found, tail[: int(leads)], number, rest)


def _share(found: Clause, number: Tokens, rest: Tokens) -> Iterator[Asked]:
    """ "5.3% of applicants" behind the verb."""
    named = bool(rest) and rest[0].low == "percent"
    share = rest[named:]
    if not share or share[0].low != "of":
        return
    noun = base_end(share, 1)
    if noun > 1:
        line = say([*front(found), "what percentage", *share[:noun], *inverted(found, share[noun:])])
        yield asked(capital(line) + "?", [*number, *rest[:named]], "percentage", 0.9)


def _count(found: Clause, leads: Tokens, number: Tokens, rest: Tokens) -> Iterator[Asked]:
    """ "16 seats from Labour" behind the verb."""
    noun = _counted(rest, 0)
    timed = bool(noun) and noun[-1].low in _TIMES and found.base not in ("last", "take", "spend")
    if not noun or number[0].low == "one" or timed:
        return
    after = rest[len(noun) :]
    paired = any(a.tag == "CC" and b.tag == "CD" for a, b in pairwise(after))
    if paired or (after and (after[0].tag == "CC" or after[0].text == ",")):
        return
    taken, after = _postmodified(after)
    if found.subject[0].tag == "EX":
        words: list[Piece] = ["how many", *noun, *taken, found.finite.low, "there", *found.verbs[1:], *after]
        yield asked(capital(say([*front(found), *words])) + "?", number, "how many", 0.9)
        return
    weight = 0.9 if found.base in _STATES or leads else 0.8
    line = say([*front(found), *leads, "how many", *noun, *taken, *inverted(found, after)])
    yield asked(capital(line) + "?", number, "how many", weight)


def _postmodified(cut: Tokens) -> tuple[Tokens, Tokens]:
    """ "of …" goes with the counted noun to the front, the rest stays behind."""
    if cut and cut[0].low == "of":
        end = base_end(cut, 1)
        if end > 1:
            return cut[:end], cut[end:]
    if cut and (cut[0].low in ("that", "which", "who") or cut[0].tag in ("VBN", "VBG")):
        return cut, ()
    return (), cut


def _by_percent(found: Clause) -> Iterator[Asked]:
    """ "rose by 70%" → "By what percentage did … rise?" """
    tail = found.tail
    for place, token in enumerate(tail[:-1]):
        if token.low != "by" or token.tag != "IN":
            continue
        end = number_end(tail, place + 1)
        if end == place + 1:
            continue
        percent = tail[end - 1].text == "%"
        if end < len(tail) and tail[end].low == "percent":
            percent, end = True, end + 1
        if not percent or has_inner_verb(tail[:place]):
            continue
        rest = tail[end:]
        rest = rest[: next((at for at, word in enumerate(rest) if word.text == ","), len(rest))]
        line = say([*front(found), "by what percentage", *inverted(found, [*tail[:place], *rest])])
        yield asked(capital(line) + "?", tail[place + 1 : end], "percentage", 0.9)
