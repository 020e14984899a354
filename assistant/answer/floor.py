"""The retrieval floor: before any model is asked, does the library hold an answer at all?

A logistic regression over what the retriever saw. Its coefficients and thresholds are fitted by
`tests/bench/fit_refusal.py`, for each embedded encoder and for any other (without the cosine), and stored
beside this file in `floor.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.answer.citations import title_of
from corpora.records import ScoredPassage
from index.evidence.words import question_words, share, words

if TYPE_CHECKING:
    from assistant.answer.engine import PassageSource

_FITTED = Path(__file__).with_name("floor.json")
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Features:
    """What the decision rests on, each about in [0, 1]; the order of the fields is that of the weights."""

    cosine: float  # of the nearest passage
    coverage: float  # BM25 of the best lexical hit, as a share of the highest possible
    words: float  # share of the question's words in its best passage
    names: float  # share of its names and numbers in the three best passages; 1 where it has none


FIELDS = ("cosine", "coverage", "words", "names")


class Floor:
    """Decides whether the passages found may hold an answer."""

    def __init__(
        self, retriever: PassageSource, weights: dict[str, float], bias: float, threshold: float
    ) -> None:
        self._retriever = retriever
        self._weights = weights
        self._bias = bias
        self._threshold = threshold

    @classmethod
    def for_encoder(cls, name: str, retriever: PassageSource) -> Floor:
        """The floor fitted for this encoder, or the one that does without the cosine."""
        fitted: dict[str, Any] = json.loads(_FITTED.read_text("utf-8"))
        entry = fitted.get(name, fitted["any"])
        return cls(retriever, entry["weights"], entry["bias"], entry["threshold"])

    def answerable(self, question: str, found: Sequence[ScoredPassage]) -> bool:
        """Whether an answer is likely enough; `found` are the passages of the question, best first."""
        return self.probability(features(question, found, self._retriever)) >= self._threshold

    def probability(self, seen: Features) -> float:
        """The fitted probability that the library answers."""
        total = self._bias + sum(weight * getattr(seen, name) for name, weight in self._weights.items())
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def features(question: str, found: Sequence[ScoredPassage], retriever: PassageSource) -> Features:
    """The features of a question and the passages found for it; at least one."""
    asked = question_words(question)
    wanted = asked.terms | asked.numbers
    best = [words(f"{title_of(hit.passage)}\n{hit.passage.text}") for hit in found[:_NEAREST]]
    there = [read.terms | read.numbers for read in best]
    lexical = retriever.search(question, k=1, mode="lexical")
    return Features(
        cosine=max((hit.dense for hit in found if hit.dense is not None), default=0.0),
        coverage=lexical[0].score if lexical else 0.0,
        words=max(share(wanted, each) for each in there),
        names=share(asked.names | asked.numbers, frozenset().union(*there)),
    )
