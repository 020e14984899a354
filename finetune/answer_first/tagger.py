"""Parts of speech of English words: a greedy averaged perceptron (Collins 2002) with Penn Treebank tags.

The weights are trained by `tests/bench/questions_tagger.py` to give the tags of a larger tagger; their source
and licence lie beside them in `tagger.LICENSE.txt`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from finetune.answer_first.tokens import Token

WEIGHTS = Path(__file__).with_name("tagger.json")
EDGE = ("-START-", "-START2-")


@dataclass(frozen=True, slots=True)
class Weights:
    """`known` gives the tag of words that have only one; `features` the votes of each feature."""

    known: Mapping[str, str]
    features: Mapping[str, Mapping[str, float]]
    tags: tuple[str, ...]


def tag(cut: Sequence[Token]) -> list[Token]:
    """The tokens with their tags; linear in their number."""
    weights = _weights()
    words = [token.text for token in cut]
    context = [*EDGE, *(normal(word) for word in words), "-END-", "-END2-"]
    before, before2 = EDGE
    tagged: list[Token] = []
    for place, token in enumerate(cut):
        if (
            token.text in "'’"
            and place
            and token.start == cut[place - 1].end
            and before in ("NNS", "NNP", "NN")
        ):
            found = "POS"
        elif token.text[0] == "`":  # code, in Markdown, is named like a thing
            found = "NN"
        else:
            found = weights.known.get(token.text) or _vote(
                weights, features(place, token.text, context, before, before2)
            )
        tagged.append(replace(token, tag=found))
        before2, before = before, found
    return tagged


def features(place: int, word: str, context: Sequence[str], before: str, before2: str) -> list[str]:
    """What is known of the word at `place`; `context` has two marks before the first word."""
    at = place + 2
    low = context[at]
    shape = "A" if word.isupper() else "T" if word[:1].isupper() else "l"
    return [
        f"s3 {low[-3:]}",
        f"s2 {low[-2:]}",
        f"p1 {low[:2]}",
        f"w {low}",
        f"sh {shape} {min(place, 1)}",
        f"shs {shape} {low[-1:]}",
        f"t1 {before}",
        f"t2 {before2}",
        f"tt {before2} {before}",
        f"tw {before} {low}",
        f"w1 {context[at - 1]}",
        f"e1 {context[at - 1][-3:]}",
        f"w2 {context[at - 2]}",
        f"n1 {context[at + 1]}",
        f"ne {context[at + 1][-3:]}",
        f"n2 {context[at + 2]}",
        f"ts {before} {low[-2:]} {shape}",
        f"wn {low} {context[at + 1]}",
    ]


def normal(word: str) -> str:
    """A word as features see it: in lower case, digits alike."""
    if word[:1].isdigit():
        return "!YEAR" if word.isdigit() and len(word) == 4 else "!DIGITS" if word.isdigit() else "!NUMBER"
    return word.casefold()


def _vote(weights: Weights, found: Sequence[str]) -> str:
    scores = dict.fromkeys(weights.tags, 0.0)
    for feature in found:
        for name, weight in weights.features.get(feature, {}).items():
            scores[name] += weight
    return max(weights.tags, key=lambda name: (scores[name], name))


@cache
def _weights() -> Weights:
    read = json.loads(WEIGHTS.read_text("utf-8"))
    tags = tuple(read["tags"])
    votes = {
        feature: {tags[number]: float(weight) for number, weight in zip(row[::2], row[1::2], strict=True)}
        for feature, row in read["features"].items()
    }
    return Weights(read["known"], votes, tags)
