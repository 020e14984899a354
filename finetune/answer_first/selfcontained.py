"""Can a question be understood by somebody who has not seen the passage?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.answer_first.lexicon import (
    COMPARING,
    OWN_POSSESSIVES,
    POINTING,
    UNIQUE,
    WEAK_MODIFIERS,
    is_word,
    lemma,
)
from finetune.answer_first.phrases import NOUNS, base_end, date_end
from finetune.answer_first.tokens import Token

_VAGUE_TIME = frozenset("today now currently nowadays recently ago later earlier soon".split())
# "Fig. 3", "Listing 4-2": parts of a document that the reader of the question does not have.
_PARTS = frozenset(
    "fig fig. figs figure figures table tables listing section chapter equation eq eq. page".split()
)
_AUXILIARIES = frozenset("is are was were has have had been did does do".split())
_SPECIFYING = frozenset("for to against towards toward among behind".split())


@dataclass(frozen=True, slots=True)
class Reading:
    """`clear` False: nothing helps. `vague` are nouns that "the" speaks of as if they were known."""

    clear: bool
    vague: tuple[str, ...] = ()


def read(cut: Sequence[Token]) -> Reading:
    """How the tagged words of a question (or answer) read on their own."""
    nouns = False
    for place, token in enumerate(cut):
        if token.low in OWN_POSSESSIVES:
            if (place > 1 and cut[place - 2].low in ("percentage", "many")) or (
                place > 0 and cut[0].low != "who" and place < 4
            ):
                return Reading(False)
            personal = token.low in ("his", "her", "himself", "herself")
            if not nouns or (personal and not _of_a_person(cut[:place])):
                return Reading(False)
        elif (
            (token.low in POINTING and token.tag not in ("NN", "NNP") and not _no_pointer(cut, place))
            or (token.low == "that" and token.tag == "DT")
            or (token.low == "there" and (token.tag == "RB" or place == len(cut) - 1))
            or (token.low in _PARTS and place + 1 < len(cut) and cut[place + 1].text[:1].isdigit())
            or (token.low in COMPARING and token.tag in ("JJ", "VBG") and _standing_alone(cut, place))
            or (token.low in ("both", "each", "either", "neither", "some", "any") and _pronoun(cut, place))
        ):
            return Reading(False)
        nouns = nouns or token.tag in NOUNS
    return Reading(True, tuple(_vague(cut)))


def _no_pointer(cut: Sequence[Token], place: int) -> bool:
    """ "the former Strathclyde council", "pathogens such as viruses": no pointers."""
    after = cut[place + 1 : place + 2]
    if cut[place].low == "such":
        return bool(after) and after[0].low == "as" and place > 0 and cut[place - 1].tag in NOUNS
    return cut[place].low == "former" and bool(after) and after[0].tag in (*NOUNS, "JJ")


def _of_a_person(before: Sequence[Token]) -> bool:
    """Whether "his" can only mean the person asked for, or the one name that was said."""
    if any(token.low == "who" for token in before):
        return not any(token.tag == "NNP" for token in before)
    names = sum(
        token.tag == "NNP" and (place == 0 or before[place - 1].tag != "NNP")
        for place, token in enumerate(before)
    )
    return names == 1


def _standing_alone(cut: Sequence[Token], place: int) -> bool:
    """ "other" without the "than" or "in addition to" that says other than what."""
    if cut[place].tag == "VBG":  # "acquired following infection"
        return place > 0 and cut[place - 1].tag == "DT"
    if cut[place].low == "different":
        return place > 0 and cut[place - 1].low in ("a", "the")
    return not any(token.low in ("than", "to") for token in cut[place + 1 : place + 4])


def _pronoun(cut: Sequence[Token], place: int) -> bool:
    following = cut[place + 1] if place + 1 < len(cut) else None
    if following is None:
        return True
    if cut[place].low == "both":
        return not any(token.low == "and" for token in cut[place + 1 : place + 10])
    return following.tag not in (*NOUNS, "JJ", "IN", "DT", "CD", "RB", "VBN", "VBG")


def _vague(cut: Sequence[Token]) -> list[str]:
    found = []
    for place, token in enumerate(cut):
        if token.low != "the" or token.tag != "DT" or date_end(cut, place) > place:
            continue
        end = base_end(cut, place)
        words = [word for word in cut[place + 1 : end] if word.text not in '"“”']
        if not words:
            continue
        if _placed(cut, end):
            continue
        following = cut[end] if end < len(cut) else None
        asked = (
            place > 1 and cut[place - 1].low in _AUXILIARIES and cut[place - 2].tag not in ("WP", "WDT")
        )  # "When was the chamber moved": the verb
        if asked and following and following.tag in ("VBN", "VBG"):
            following = None
        if _vague_phrase(words, following):
            found.append(words[-1].text)
    return found


def _placed(cut: Sequence[Token], end: int) -> bool:
    """ "in Vietnam", "from Scotland" behind a noun says which one."""
    return end + 1 < len(cut) and cut[end].low in ("in", "from", "at", "with") and cut[end + 1].tag in NOUNS


def _vague_phrase(words: Sequence[Token], following: Token | None) -> bool:
    top = words[-1]
    noun = lemma(top.low, "NOUN") if top.tag == "NNS" else top.low
    if noun in UNIQUE or top.low in UNIQUE or top.tag == "CD" or top.tag not in NOUNS:
        return top.tag == "CD" and len(words) == 1
    if any(word.tag == "POS" for word in words):
        words = words[: next(place for place, word in enumerate(words) if word.tag == "POS")]
        following = None
        top = words[-1] if words else top
    modified = [
        word
        for word in words[:-1]
        if word.tag != "CD" and (word.low not in WEAK_MODIFIERS or word.text[:1].isupper())
    ]
    if modified:
        return False
    if following and (
        following.tag in ("WDT", "WP", "VBN", "VBG") or following.low in ("of", "that", "between", "where")
    ):
        return False
    if following and following.low in _SPECIFYING:
        return False
    return not (top.tag == "NNP" and not is_word(lemma(top.low, "NOUN"), "NOUN"))


def vague_time(cut: Sequence[Token]) -> bool:
    """Whether a word counts time from something that is not said."""
    return any(token.low in _VAGUE_TIME for token in cut)
