"""Records of instruction data: an example of a question with its answer, and the quotes that it rests on.

An example is kept whether it was accepted or not; `status` and `reason` say what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from corpora.prompt import Language
from corpora.records import Message

Status = Literal[
    "accepted",  # part of the training data
    "rejected",  # a check said no; `reason` names it
    "retired",  # a document that it came from was changed or removed
    "dropped",  # taken out by hand
]
Method = Literal["self-qa", "self-instruct", "self-kg", "import", "review"]
Kind = Literal[
    "span",  # the answer is a run of characters of the quote
    "table",  # from a cell of a table or a CSV file
    "multi-hop",  # needs both quotes
    "atomic",  # one edge of a graph
    "aggregate",  # all edges of one relation of a node
    "two-hop",  # two edges through a node that the question does not name
    "instruction",  # a general task, from no document
    "grounded-instruction",  # a task whose input is a quote
]
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Quote:
    """A span of a document that an example rests on: `text == extracted[start:end]` of version `sha256`.

    `passage_id` is the passage that holds the span, the one which the question must bring back.
    """

    document_id: str
    path: str
    sha256: str
    passage_id: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """One row of instruction data with its provenance.

    `answer` None means that the right answer is a refusal. `input` is the text that an instruction works on
    ("" for questions), `history` what was said before. `scores` are in [0, 1] unless their check says
    otherwise. `teacher` is the model that wrote it, with "+rules" where rules did. `stale` says why a
    reviewed example may no longer be true.
    """

    id: str
    status: Status
    reason: str | None
    method: Method
    kind: Kind
    language: Language
    question: str
    input: str
    answer: str | None
    quotes: tuple[Quote, ...]
    history: tuple[Message, ...]
    split: Split
    teacher: str
    prompt_version: str
    scores: Mapping[str, float] = field(default_factory=dict)
    reviewed: bool = False
    stale: str | None = None
    created_at: str = ""  # ISO 8601, UTC; set by the library
