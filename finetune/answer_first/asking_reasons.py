"""Questions for why, how, what for, and for what somebody says."""

from __future__ import annotations

from collections.abc import Iterator

from finetune.answer_first.asked import Asked
from finetune.answer_first.clauses import Clause
from finetune.answer_first.kinds import weighty
from finetune.answer_first.phrases import FINITE, NOUNS, WH, is_phrase
from finetune.answer_first.wording import inverted, shaped

_PURPOSES = frozenset(
    """
    use design intend create establish employ develop form need require
    """.split()
)
_SAYINGS = frozenset(
    """
    say argue conclude realize realise believe claim suggest propose state observe note find show
    demonstrate report declare announce prove discover postulate assert maintain hold explain warn
    predict estimate
    """.split()
)
_LONGEST = 22  # words of an answer


def about_reasons(found: Clause) -> Iterator[Asked]:
    """Questions for the reason, the means, the purpose and the claim of a clause."""
    if found.subject[0].tag in ("EX", "PRP") or not found.tail:
        return
    yield from _why(found)
    yield from _how(found)
    yield from _purpose(found)
    yield from _claim(found)


def _why(found: Clause) -> Iterator[Asked]:
    tail = found.tail
    for place, token in enumerate(tail[:-2]):
        if token.low in ("because", "due") and tail[place + 1].low in ("of", "to"):
            reason = tail[place + 2 :]
            plain = not any(word.tag in WH for word in tail[:place])
            if plain and is_phrase(reason) and not (found.copula and place < 2):
                yield shaped(found, "why", inverted(found, tail[:place]), tail[place:], "why", 0.75)
            return


def _how(found: Clause) -> Iterator[Asked]:
    """ "… by installing a prince as ruler" → "How did …?" """
    tail = found.tail
    for place, token in enumerate(tail[:-2]):
        if token.low == "by" and tail[place + 1].tag == "VBG":
            before, answer = tail[:place], tail[place:]
            inner = any(word.tag in (*WH, *FINITE, "VBG") or word.low == "that" for word in before)
            ends = answer[-1].tag in (*NOUNS, "CD", "RB", "JJ")
            if (
                not inner
                and ends
                and not found.broken
                and len(answer) <= _LONGEST
                and (before or found.passive)
            ):
                yield shaped(found, "how", inverted(found, before), answer, "how", 0.8)
            return


def _purpose(found: Clause) -> Iterator[Asked]:
    """ "… are used to control inflammation" → "What are … used to do?" """
    tail = found.tail
    if not found.passive or found.base not in _PURPOSES or tail[0].tag != "TO" or len(tail) < 3:
        return
    if tail[1].tag != "VB" or found.broken or len(tail) > _LONGEST or weighty(found.subject) < 2:
        return
    if any(token.tag in FINITE for token in tail):
        return
    yield shaped(found, "what", inverted(found, [tail[0], "do"]), tail[1:], "purpose", 0.7)


def _claim(found: Clause) -> Iterator[Asked]:
    """ "Galileo concluded that …" → "What did Galileo conclude?" """
    tail = found.tail
    if found.base not in _SAYINGS or found.passive or tail[0].low != "that" or not 6 <= len(tail) <= _LONGEST:
        return
    if (
        found.broken
        or weighty([*found.subject, *found.lead]) < 3
        or tail[-1].tag not in (*NOUNS, "JJ", "CD", "VBN")
    ):
        return
    yield shaped(found, "what", inverted(found, ()), tail, "claim", 0.6)
