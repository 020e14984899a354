"""The records of a conversation, and what it is held with."""

from __future__ import annotations

from dataclasses import dataclass

from corpora.store.session_rows import Rating, Session, Turn, TurnStatus

__all__ = ["ChatOptions", "Rating", "Session", "Turn", "TurnStatus"]


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How the next question is answered.

    `k` passages are found among the documents whose path matches `within` (None: what is best for the
    model; all documents). Without `retrieval` the model answers alone. `model` and `adapter` are written
    down with each turn; the engine of the conversation is what answers.
    """

    k: int | None = None
    within: str | None = None
    retrieval: bool = True
    model: str | None = None
    adapter: str | None = None
