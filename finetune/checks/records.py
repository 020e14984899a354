"""What a check says of a candidate, and the reasons there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from corpora.examples import Kind, Quote
from finetune.candidates import Candidate

Reason = Literal[
    "parse",
    "length",
    "not_a_question",
    "demonstrative",
    "answer_in_question",
    "quote_not_found",
    "unsupported",
    "secret",
    "personal_data",
    "leakage",
    "conflict",
    "duplicate",
    "near_duplicate",
    "not_retrieved",
    "not_answered",
    "judge",
]
REASONS: tuple[Reason, ...] = get_args(Reason)  # in the order in which they are looked for

MEANING: Mapping[Reason, str] = {
    "parse": "the reply could not be read as what was asked for",
    "length": "the question or the answer is empty, too short or too long",
    "not_a_question": "the question asks nothing",
    "demonstrative": "the question points at a text that its reader will not see",
    "answer_in_question": "the question gives its own answer away",
    "quote_not_found": "the evidence does not stand in the passage",
    "unsupported": "the evidence does not say what the answer says",
    "secret": "a key, token or password",
    "personal_data": "an e-mail address, a telephone, card, account or identity number",
    "leakage": "the same question, or its documents, are in different splits",
    "conflict": "the same question has another answer already",
    "duplicate": "the same question in nearly the same words (ROUGE-L)",
    "near_duplicate": "the same question in other words (cosine of embeddings)",
    "not_retrieved": "the question does not bring back its passage",
    "not_answered": "the reader, given the passage, answers something else",
    "judge": "the judge says that the passage does not support the answer",
}

QUESTIONS: frozenset[Kind] = frozenset(("span", "table", "multi-hop", "atomic", "aggregate", "two-hop"))
# Never without a quote; a graph of the user's own has none.
QUOTED: frozenset[Kind] = frozenset(("span", "table", "multi-hop", "grounded-instruction"))


@dataclass(frozen=True, slots=True)
class Fault:
    """A check's no: its code and a line of detail for people."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A candidate with what the checks found. `reason` None: it is accepted; else one of `REASONS`, or what
    the method itself gave as `candidate.rejected`.

    `quotes` are the located spans of `candidate.claimed`, in its order; empty where one was not found.
    `scores`, each in [0, 1], joined to the candidate's own: "retrieval" (1/rank of the last of its passages,
    0: not among the first k), "round_trip" (token F1 of the reader's answer), "likelihood" (over 0.5: the
    question makes the answer likelier), "judge" (1: supported),
    "rouge" and "cosine" (with the nearest accepted question). A score that was not taken is absent.
    """

    candidate: Candidate
    quotes: tuple[Quote, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    detail: str = ""

    @property
    def accepted(self) -> bool:
        """Whether no check said no."""
        return self.reason is None
