"""The noun phrases of an English question: what a later question can refer to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from finetune.answer_first.phrases import base_end
from finetune.answer_first.tagger import tag
from finetune.answer_first.tokens import Token, tokens

_WH = frozenset("who whom whose what which when where why how".split())
_DO = frozenset({"do", "does", "did"})
_BE = frozenset({"is", "are", "was", "were", "be", "been"})
_NOT_NOUNS = _WH | _DO | _BE | frozenset({"can", "could", "will", "would", "should", "may", "might", "must"})
_COUNTING = frozenset({"many", "much"})
_LINKS = frozenset({"of", "de"})
# A name with one of these in it is nobody's.
_THINGS = frozenset(
    "act age agency army association battle bay bridge canal castle cathedral century church city club "
    "college committee company congress corporation council country court crisis culture day department "
    "desert dynasty embargo empire england europe festival force forest government gulf heights hills "
    "hospital house institute island islands kingdom lake law league library lighthouse line ministry mount "
    "mountain mountains museum network ocean office palace park parliament party peace peninsula period plan "
    "prize project province region republic revolution river road sea school society state states station "
    "street system theatre theorem theory time tower town treaty union university valley village war "
    "world".split()
)
_NAME_PARTS = frozenset({"de", "van", "von", "der", "di", "la", "le", "al", "bin", "ibn", "of"})


_ROLES = frozenset(
    "actor architect artist author captain chairman designer director emperor engineer founder general "
    "head inventor king leader man mathematician minister officer painter person philosopher physicist "
    "player poet politician president queen ruler scientist secretary singer woman writer".split()
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase at [start, end) of a question.

    `asked` are those of the wh-word ("which city"). `named` ones hold a name or a number beside a noun.
    `place` ones come behind a preposition of place.
    """

    text: str
    start: int
    end: int
    head: str
    asked: bool
    named: bool
    plural: bool
    place: bool

    @property
    def person(self) -> bool:
        """Whether it has the form of a person's name."""
        words = self.text.split()
        formed = all(word[0].isupper() or word in _NAME_PARTS for word in words) and words[0][0].isupper()
        return self.named and formed and len(words) <= 4 and not _THINGS & {word.casefold() for word in words}

    @property
    def role(self) -> bool:
        """Whether it says what somebody is."""
        return self.head in _ROLES

    @property
    def definite(self) -> bool:
        """Whether it begins with "the"."""
        return self.text[:4].casefold() == "the "


def cut(question: str) -> list[Token]:
    """The tagged words of a question; an unknown name behind "to" is no verb."""
    words = tag(tokens(question))
    return [
        replace(word, tag="NNP") if n and word.tag in ("VB", "VBP") and word.text[0].isupper() else word
        for n, word in enumerate(words)
    ]


def phrases(
    question: str, words: Sequence[Token] | None = None, *, begins_named: bool = False
) -> list[Phrase]:
    """In their order, joined by "of"; without pronouns, bare numbers and the verb at the end.

    The capital of the first word counts where `begins_named`, as it does in a short answer.
    """
    words = cut(question) if words is None else words
    found: list[Phrase] = []
    place = 0
    verb = _final_verb(words)
    while place < len(words):
        end = place if words[place].low in _NOT_NOUNS else _phrase_end(words, place, verb)
        part = words[place:end]
        if not part:
            place += 1
            continue
        if any(token.tag.startswith("NN") for token in part) and part[0].tag != "PRP$":
            found.append(_phrase(question, words, place, end, 0 if begins_named else 1))
        place = end
    return found


def _phrase_end(words: Sequence[Token], place: int, verb: int) -> int:
    end = _base(words, place, verb)
    while place < end < len(words) - 1 and words[end].low in _LINKS:
        after = _base(words, end + 1, verb)
        if after <= end + 1:
            break
        end = after
    return end


def _base(words: Sequence[Token], place: int, verb: int) -> int:
    """The end of a phrase without "of"; "packet switching (network)" is one."""
    end = base_end(words, place)
    if place < end < len(words) - 1 and words[end].tag == "VBG" and words[end - 1].tag.startswith("NN"):
        after = base_end(words, end + 1)
        if after > end + 1 and words[end + 1].tag.startswith("NN"):
            end = after
        elif not words[end + 1].text[0].isalnum():
            end += 1
    return min(end, verb) if place < verb else end


def _final_verb(words: Sequence[Token]) -> int:
    """Where a verb at the end was tagged as a noun ("When was X built?"), else the number of words."""
    last = len(words) - 1
    while last >= 0 and not words[last].text[0].isalnum():
        last -= 1
    auxiliary = next((n for n, token in enumerate(words) if token.low in _DO | _BE), None)
    if auxiliary is None or last - auxiliary < 2 or not words[last].tag.startswith("NN"):
        return len(words)
    between = words[auxiliary + 1 : last]
    subject = words[last - 1].tag.startswith("NN") or words[last - 1].text[0].isupper()
    if not (words[last].text[0].islower() and subject) or any(
        token.tag in ("VB", "VBN", "JJ") for token in between
    ):
        return len(words)
    acts = words[auxiliary].low in _DO
    adverb = words[0].low in ("when", "where", "why", "how")
    return last if acts or (adverb and words[last - 1].text[0].isupper()) else len(words)


def _phrase(question: str, words: Sequence[Token], place: int, end: int, first: int) -> Phrase:
    part = words[place:end]
    before = words[place - 1] if place else None
    text = question[part[0].start : part[-1].end]
    base = part[: max(1, min(base_end(words, place), end) - place)]
    head = next((token for token in reversed(base) if token.tag.startswith("NN")), part[-1])
    asked = before is not None and before.low in _WH
    if asked and before is not None and before.low == "how":
        asked = part[0].low in _COUNTING
    named = any(token.text[0].isupper() and token.start >= first and token.tag != "DT" for token in part) or (
        any(token.text[0].isdigit() for token in part) and len(part) > 1
    )
    return Phrase(
        text=re.sub(r"\s+", " ", text),
        start=part[0].start,
        end=part[-1].end,
        head=head.low,
        asked=asked,
        named=named,
        plural=head.tag == "NNS" or (head.low.endswith("s") and head.tag == "NNP" and part[0].low == "the"),
        place=before is not None and before.low in ("in", "at", "on", "to", "from", "near", "into"),
    )
