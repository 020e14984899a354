"""A tagged sentence made ready for reading its clauses: joining words out, misread verbs put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from finetune.answer_first.lexicon import JOINERS, JOINING_PHRASES, base, inflect
from finetune.answer_first.phrases import FINITE, NOUNS
from finetune.answer_first.tails import BE
from finetune.answer_first.tokens import Token


def prepared(sentence: Sequence[Token]) -> list[Token]:
    """The tokens of a sentence that matter to its clauses, with the tags of its verbs mended."""
    return _with_second_verb(_with_finite(_plain(sentence)))


def _plain(sentence: Sequence[Token]) -> list[Token]:
    """Without the full stop, without joining words and the commas around them."""
    cut = list(sentence)
    if cut and cut[0].tag == "CC" and cut[0].low in ("but", "and", "yet", "so"):
        cut = cut[1:]
    while cut and cut[-1].text in ('"', "”", ".", "''"):
        closing = cut.pop()
        if closing.text in '"”' and cut and cut[-1].text == ".":
            cut[-1] = closing
            break
    comma = next((place for place, token in enumerate(cut[:7]) if token.text == ","), 0)
    if comma and JOINING_PHRASES.fullmatch(" ".join(token.text for token in cut[:comma])):
        cut = cut[comma + 1 :]
    kept: list[Token] = []
    for place, token in enumerate(cut):
        joins = (token.low in JOINERS and token.tag == "RB") or token.low in (
            "also",
            "nonetheless",
            "nevertheless",
        )
        before = cut[place - 1].text if place else ","
        after = cut[place + 1].text if place + 1 < len(cut) else ","
        if joins and (
            token.low in ("also", "nonetheless", "nevertheless") or (before == "," and after == ",")
        ):
            if kept and kept[-1].text == "," and after == ",":
                kept.pop()
            continue
        if token.text == "," and not kept:
            continue
        kept.append(token)
    return kept


def _with_second_verb(cut: list[Token]) -> list[Token]:
    """ "recognized A and established B": the second past tense is easily read as a participle."""
    if not any(token.tag == "VBD" and token.low not in (*BE, "had") for token in cut):
        return cut
    return [
        replace(token, tag="VBD") if _second_verb(cut, place) else token for place, token in enumerate(cut)
    ]


def _second_verb(cut: Sequence[Token], place: int) -> bool:
    if not 2 <= place < len(cut) - 2 or cut[place].tag != "VBN" or cut[place - 1].low != "and":
        return False
    same = inflect(base(cut[place].text, "VBN"), "VBD") == cut[place].low
    told = any(token.tag == "VBD" and token.low not in (*BE, "had") for token in cut[:place])
    helped = any(token.low in (*BE, "had", "have", "has") for token in cut[:place])
    return (
        same
        and told
        and not helped
        and cut[place - 2].tag in NOUNS
        and cut[place + 1].tag in ("DT", "JJ", "NNP", "PRP$")
    )


def _with_finite(cut: list[Token]) -> list[Token]:
    """Where no verb is finite, a participle behind an apposition was one ("Gegeen, his son, ruled for …")."""
    if any(token.tag in FINITE for token in cut):
        return cut
    participles = [place for place, token in enumerate(cut[1:-1], 1) if token.tag == "VBN"]
    for place in participles:
        token, before = cut[place], cut[place - 1]
        alone = len(participles) == 1 and before.tag in (*NOUNS, "RB")
        if (alone or before.text == ",") and cut[place + 1].tag in ("IN", "DT", "RB", "NNP", "NNS", "TO"):
            return [*cut[:place], replace(token, tag="VBD"), *cut[place + 1 :]]
    return cut
