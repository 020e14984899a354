"""What a noun phrase stands for, as far as its words and its verb tell: who, what or where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from finetune.answer_first.lexicon import (
    COUNTRIES,
    GROUP_NOUNS,
    HUMAN_NOUNS,
    HUMAN_PARTICIPLES,
    HUMAN_VERBS,
    PLACE_NOUNS,
    PLACES,
    SURELY_THINGS,
    THING_NOUNS,
    THING_PARTICIPLES,
    THING_VERBS,
    is_word,
    lemma,
)
from finetune.answer_first.phrases import NOUNS, base_end, head
from finetune.answer_first.tokens import Token

_ALSO_OF_THINGS = frozenset("serve play show begin start move produce lead prove demonstrate".split())
_UNITED = frozenset(("states", "kingdom"))
Sort = Literal["person", "group", "place", "thing", "name"]


def sort_of(cut: Sequence[Token], verb: str | None = None) -> Sort:
    """ "name" is a proper name of unknown sort; `verb` is the base of the verb that it is the subject of, or
    with "be " before it where that is passive.
    """
    top = head(cut)
    if top is None:
        return "thing"
    noun = lemma(top.low, "NOUN")
    first = [token for token in cut[: base_end(cut, 0)] if token.tag in NOUNS]
    if noun in HUMAN_NOUNS or top.low in HUMAN_NOUNS or (noun.endswith("ist") and len(noun) > 6):
        return "person"
    if noun in GROUP_NOUNS:
        return "group"
    if noun in PLACE_NOUNS or (top.tag == "NNP" and top.low in PLACES and len(first) <= 2):
        return "place"
    if top.tag != "NNP" or noun in THING_NOUNS:
        return "thing"
    return _sort_of_name(top, first, verb)


def _sort_of_name(top: Token, first: Sequence[Token], verb: str | None) -> Sort:
    """The sort of a proper name that none of its words tells; `first` are the nouns of its base phrase."""
    if (top.text.isupper() and len(top.text) > 1) or any(char.isdigit() for char in top.text):
        return "group" if verb in HUMAN_VERBS and verb not in _ALSO_OF_THINGS else "thing"
    if is_word(top.low, "NOUN"):
        return "name"
    titled = any(token.low.rstrip(".") in HUMAN_NOUNS for token in first[:-1])
    if titled or verb in HUMAN_VERBS or verb in HUMAN_PARTICIPLES or _acts(verb, first):
        return "person"
    return "thing" if verb in THING_PARTICIPLES or verb in SURELY_THINGS else "name"


def _acts(verb: str | None, names: Sequence[Token]) -> bool:
    """Whether several names in a row before an active verb are a person: "James Bryant Conant led"."""
    active = verb is not None and not verb.startswith("be ")
    return active and len(names) >= 2 and verb not in THING_VERBS


def which(cut: Sequence[Token], verb: str | None) -> str | None:
    """The question word for a noun phrase, None where it cannot be told."""
    sort = sort_of(cut, verb)
    top = head(cut)
    if top is None or sort == "name":
        return None
    if _is_country(cut, top):
        return "which country"
    if sort == "person":
        return "who"
    noun = lemma(top.low, "NOUN")
    kinds = {"group": GROUP_NOUNS, "place": PLACE_NOUNS, "thing": THING_NOUNS}[sort]
    if noun in kinds and top.tag == "NNP" and not is_coordinated(cut):
        return f"which {noun}"
    acts = verb in HUMAN_VERBS and (sort == "group" or (sort == "place" and is_coordinated(cut)))
    return "who" if acts else "what"


def _is_country(cut: Sequence[Token], top: Token) -> bool:
    united = top.low in _UNITED and any(token.low == "united" for token in cut)
    return united or (top.tag == "NNP" and top.low in COUNTRIES and base_end(cut, 0) == len(cut))


def is_coordinated(cut: Sequence[Token]) -> bool:
    return any(token.tag == "CC" or token.text == "," for token in cut)


def top_of(cut: Sequence[Token]) -> str:
    top = head(cut)
    return lemma(top.low, "NOUN") if top else ""


def is_unsorted(cut: Sequence[Token]) -> bool:
    return sort_of(cut) == "name"


def predicated(tail: Sequence[Token]) -> str:
    """Who or what, by what is said of a name: "a Chinese poet", "the first network"."""
    end = base_end(tail, 0)
    person = (sort_of(tail) == "person" and top_of(tail) != "member") or (
        end < len(tail) and tail[end].low == "who"
    )
    return "who" if person else "what"


def weighty(cut: Sequence[Token]) -> int:
    """How much the tokens pin down: content words, names and numbers twice."""
    return sum(
        2 if token.tag in ("NNP", "CD") else 1
        for token in cut
        if token.tag in (*NOUNS, "CD", "JJ", "VB", "VBN", "VBG")
    )
