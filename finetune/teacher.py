"""What the methods need of a teacher: batches of calls, each with its reply or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from corpora.records import Message, Usage


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of a language model. Temperature 0 is greedy; `seed` counts only above it."""

    messages: tuple[Message, ...]
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `text`, or None with the `error` in words. `cut`: it ran into `max_new_tokens`."""

    text: str | None
    error: str | None = None
    cut: bool = False
    cached: bool = False
    usage: Usage = field(default_factory=Usage)


class Teacher(Protocol):
    """A language model as the methods see it."""

    @property
    def name(self) -> str:
        """How examples name it: the model, with its adapter after a plus sign."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever its replies could: model, adapter, place (hex, 16 digits)."""

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        """The replies, in order. A call that fails costs its own reply and nothing else."""


class Likelihood(Protocol):
    """A language model that can say how likely a text is; only a local one can."""

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Mean natural log of the probability of a token of the second text, behind the first."""
