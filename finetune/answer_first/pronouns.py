"""What a pronoun that begins a sentence stands for: the subject of the sentence before, or nothing sure."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.answer_first.clauses import clauses
from finetune.answer_first.kinds import sort_of
from finetune.answer_first.phrases import head
from finetune.answer_first.tokens import Token

_PRONOUNS = frozenset("it he she they".split())


def antecedent(before: Sequence[Token], here: Sequence[Token]) -> tuple[Token, ...] | None:
    """The subject of the tagged sentence `before` that the first word of `here` refers to."""
    if not here or here[0].low not in _PRONOUNS or here[0].tag != "PRP":
        return None
    found = clauses(before)
    if len(found) != 1 or (
        found[0].subject[0].tag in ("PRP", "EX", "DT") and found[0].subject[0].low != "the"
    ):
        return None
    subject = found[0].subject
    top = head(subject)
    if top is None or len(subject) > 6:
        return None
    several = top.tag == "NNS" or any(token.tag == "CC" for token in subject)
    pronoun = here[0].low
    if pronoun == "they":
        return subject if several and len(found[0].tail) > 0 and not _other_plural(found[0].tail) else None
    if several or (top.tag != "NNP" and not found[0].copula):
        return None
    person = sort_of(subject, None if found[0].passive or found[0].copula else found[0].base) == "person"
    if pronoun == "it":
        return None if person or _expletive(here) else subject
    return subject if person or sort_of(subject) == "name" else None


def _other_plural(tail: Sequence[Token]) -> bool:
    return sum(token.tag == "NNS" for token in tail) > 1


def _expletive(here: Sequence[Token]) -> bool:
    """ "It is likely that", "It was not until": an "it" that stands for nothing."""
    return any(token.low in ("that", "to", "until", "who", "whether") for token in here[2:7])
