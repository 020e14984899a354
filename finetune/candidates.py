"""What a method writes before any check has seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from corpora.examples import Kind, Method
from corpora.prompt import Language
from corpora.records import Message, Passage


@dataclass(frozen=True, slots=True)
class Claimed:
    """A quote as a method gives it: `text` is said to stand in `passage`; the checks find out where.

    A method that knows the place gives it as `start`, an offset into `passage.text`.
    """

    passage: Passage
    text: str
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question with its answer, on the way to being an example. Fields as in `corpora.examples.Example`.

    `rejected` is set by a method that could not make sense of a reply ("parse") and keeps what it got in
    `question`. `order` ranks the candidates of one passage, higher first, where there is room for a few.
    """

    method: Method
    kind: Kind
    language: Language
    question: str
    answer: str | None
    claimed: tuple[Claimed, ...]
    teacher: str
    prompt_version: str
    input: str = ""
    history: tuple[Message, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    rejected: str | None = None
    order: float = 0.0


class Writer(Protocol):
    """A way to make candidates from passages (Self-QA by model or by rule, ...)."""

    @property
    def name(self) -> str: ...

    def write(self, passages: Sequence[Passage]) -> list[list[Candidate]]:
        """The candidates of each passage, best first. Same passages, same candidates, bit for bit."""
