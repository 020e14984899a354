"""What a sync is told and whom it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from index.encoder import Encoder


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """`choose` names an encoder from samples of the text, where the library has none and `encoder` names
    none; `load` loads one by name. Both are called only when there is something to encode. Chunk sizes
    count in an encoder's tokens and hold for a new library (None: at most 256 tokens, no overlap).
    """

    choose: Callable[[Iterable[str]], str]
    load: Callable[[str], Encoder]
    encoder: str | None = None
    chunk_tokens: int | None = None
    chunk_overlap: int = 0
    prune: bool = False


class Progress(Protocol):
    """Hears how far the work is."""

    def start(self, what: str, total: int) -> None:
        """A stage of so many documents begins."""

    def advance(self, documents: int, note: str) -> None:
        """So many more are done; `note` is the file at hand (untrusted text)."""


class NoProgress:
    """Tells nobody."""

    def start(self, what: str, total: int) -> None:
        """Do nothing."""

    def advance(self, documents: int, note: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """`stop` is asked a few times a second whether to end early; `say` gets a line for the user."""

    progress: Progress = field(default_factory=NoProgress)
    stop: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = lambda line: None
