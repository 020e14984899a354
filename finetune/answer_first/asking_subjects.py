"""Questions for the subject of a clause, and for what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finetune.answer_first.asked import Asked, asked
from finetune.answer_first.clauses import Clause
from finetune.answer_first.kinds import (
    is_coordinated,
    is_unsorted,
    predicated,
    sort_of,
    top_of,
    weighty,
    which,
)
from finetune.answer_first.lexicon import GENERIC, lemma
from finetune.answer_first.phrases import NOUNS, WH, base_end, date_end, head, is_phrase, number_end
from finetune.answer_first.tokens import Token
from finetune.answer_first.wording import capital, lowered, say, shaped, straight

_MAKES = frozenset("call name elect appoint consider declare crown rename vote".split())
_SINGLED_OUT = frozenset("first second third last only next previous sole single".split())
_POOR = frozenset("key common typical good major important main result same".split())


def about_subjects(found: Clause) -> Iterator[Asked]:
    """Questions for the subject of a clause, or for what defines it."""
    if found.subject[0].tag in ("EX", "PRP"):
        return
    yield from _definition(found)
    yield from _apposition(found)
    yield from _subject(found)


def _definition(found: Clause) -> Iterator[Asked]:
    tail, subject = found.tail, found.subject
    if not found.copula or found.finite.tag == "MD" or len(found.verbs) > 1 or found.lead or found.broken:
        return
    if (
        len(tail) < 3
        or len(subject) > 7
        or tail[-1].tag in ("IN", "VBN", "VBG", "CC", *WH)
        or tail[-1].low == "that"
    ):
        return
    if subject[0].low in ("a", "an") and tail[0].low == "the":
        return
    if subject[0].low in ("one", "two", "some", "many", "another") or _says_little(subject):
        return
    if not (_tells_what(tail) if subject[0].low != "the" or _named(subject) else _lists(found)):
        return
    wh = "who" if sort_of(found.subject) == "person" else "what"
    if is_unsorted(found.subject):
        wh = predicated(tail)
    pieces = [found.finite.low, *lowered(found.subject), *found.between]
    weight = 0.95 if tail[0].low in ("a", "an") else 0.8
    yield shaped(found, wh, pieces, tail, "definition", weight)


def _named(cut: Sequence[Token]) -> bool:
    return any(token.tag == "NNP" for token in cut)


def _tells_what(tail: Sequence[Token]) -> bool:
    """Whether a predicate says what a thing is: "a …", "the … of …", "one of the …"."""
    end = base_end(tail, 0)
    if tail[0].low == "one":
        return tail[1].low == "of"
    if end == 0 or tail[0].low not in ("a", "an", "the") or tail[1].low in _POOR:
        return False
    if tail[0].low == "the" and (tail[1].tag in ("JJS", "RBS") or tail[1].low in _SINGLED_OUT):
        return False  # "the most common cause of …" tells one thing of it, not what it is
    return len(tail) >= (end + 2 if tail[0].low == "the" else 4)


def _lists(found: Clause) -> bool:
    """ "The symptoms of inflammation are heat and pain": the predicate is all that the subject names."""
    plural = found.finite.low in ("are", "were") and any(token.low == "of" for token in found.subject)
    return plural and is_phrase(found.tail) and any(token.low == "and" for token in found.tail)


def _apposition(found: Clause) -> Iterator[Asked]:
    """ "Li Tan, the son-in-law of an official, instigated …" → "Who was Li Tan?" """
    aside, subject = found.aside, found.subject
    if (
        len(aside) < 3
        or aside[0].low not in ("a", "an", "the")
        or not is_phrase(aside)
        or is_coordinated(aside)
    ):
        return
    named = head(subject)
    if named is None or named.tag != "NNP" or len(subject) > 5 or is_coordinated(subject):
        return
    wh = predicated(aside)
    verb = "was" if wh == "who" and found.finite.tag == "VBD" else "is"
    yield asked(capital(say([wh, verb, *lowered(subject)])) + "?", aside, "definition", 0.75)


def _subject(found: Clause) -> Iterator[Asked]:
    subject = found.subject
    if len(subject) > 10 or number_end(subject, 0) or subject[0].tag == "PRP" or date_end(subject, 0):
        return
    if subject[0].low in ("no", "neither") or (
        any(t.text == "," for t in subject) and not any(t.low in ("and", "or") for t in subject)
    ):
        return
    if found.base in ("include", "mean", "seem", "occur", "exist") or (
        len(found.verbs) > (2 if found.finite.low == "have" else 1)
        and found.finite.low in ("have", "do", "does", "did")  # "X.25 does specify …" stresses
    ):
        return
    verb = None if found.copula else f"be {found.base}" if found.passive else found.base
    wh = which(subject, verb)
    if found.copula and found.tail and is_unsorted(subject):
        wh = predicated(found.tail)
    if wh is None or len(found.tail) < 2 or found.broken or subject[0].low == "one":
        return
    rest = [*found.verbs[1:], *found.tail]
    weight_of_rest = weighty(rest)
    if weight_of_rest < (3 if any(token.tag == "NNP" for token in subject) else 4):
        return
    if found.copula and not _asks_back(found.tail, weight_of_rest):
        return
    top = head(subject)
    if subject[-1].tag == "CD" and _dated(subject):
        return
    if found.passive and found.tail[0].tag in NOUNS and found.base not in _MAKES:
        return
    if _says_little(subject) or (top_of(subject) in GENERIC and subject[0].low in ("a", "an")):
        return
    named = top is not None and (top.tag == "NNP" or any(token.tag == "NNP" for token in subject))
    weight = 0.5 + 0.05 * min(weight_of_rest, 6) + (0.1 if named else 0.0)
    yield shaped(found, wh, straight(found, found.tail), subject, "subject", weight)


def _dated(subject: Sequence[Token]) -> bool:
    """ "Forbes in March 2009": a name and a time that belongs to the verb."""
    return any(
        token.low == "in" and date_end(subject, place + 1) == len(subject)
        for place, token in enumerate(subject)
    )


def _says_little(cut: Sequence[Token]) -> bool:
    """ "Plans", "a vote": a noun that means nothing out of its sentence."""
    words = [token for token in cut if token.tag != "DT"]
    return len(words) == 1 and words[0].tag in ("NN", "NNS") and lemma(words[0].low, "NOUN") in GENERIC


def _asks_back(tail: Sequence[Token], weight: int) -> bool:
    """Whether "What is" before the predicate asks for the subject and no other thing."""
    if tail[0].low == "one" and len(tail) > 3 and tail[1].low == "of":
        return weight >= 5
    if tail[0].tag in ("IN", "TO", "RB", "CD", "NNP", "NN", "NNS"):
        return False
    if tail[0].tag == "JJ" and tail[0].low in ("due", "similar", "analogous", "different", "equal"):
        return False
    if tail[0].low == "the":
        return weight >= 4
    return weight >= 6
