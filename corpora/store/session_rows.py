"""Conversations as the library keeps them: a session, its turns, and an answer as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from corpora.records import Answer, Citation, Passage, ScoredPassage, Seconds, Usage
from corpora.store.example_rows import clean

TurnStatus = Literal[
    "pending",  # asked, not answered yet; in a session that nobody answers: its process was killed
    "done",
    "cancelled",  # by the user; `answer` holds what was written until then
    "error",  # `error` says why
]
Rating = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation with what came of it.

    `searched` is the question as it stands alone, which was searched and answered; it is `question` itself
    where that needs no conversation. `model` and `adapter` are what was asked to answer. Times are ISO 8601,
    UTC.
    """

    id: int
    session_id: str
    question: str
    searched: str
    answer: Answer | None
    status: TurnStatus
    error: str | None
    rating: Rating | None
    created: str
    model: str | None
    adapter: str | None
    retrieval: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation: `turns` is how many it has, `parent` the id of the one that it was forked from.

    `name` is what the user called it, else its first question. Times are ISO 8601, UTC.
    """

    id: str
    name: str
    created: str
    updated: str
    turns: int
    parent: str | None


@dataclass(frozen=True, slots=True)
class NewTurn:
    """A turn before it is answered."""

    question: str
    searched: str
    model: str | None
    adapter: str | None
    retrieval: bool


def answer_text(answer: Answer) -> str:
    """An answer as its column holds it: JSON, all of it, passages included."""
    return json.dumps(asdict(answer), separators=(",", ":"))  # ASCII: file names may hold lone surrogates


def read_answer(text: str) -> Answer:
    """The inverse of `answer_text`."""
    row: dict[str, Any] = json.loads(text)
    row["citations"] = tuple(Citation(**citation) for citation in row["citations"])
    row["passages"] = tuple(_scored(hit) for hit in row["passages"])
    row["usage"] = Usage(**row["usage"])
    row["seconds"] = Seconds(**row["seconds"])
    return Answer(**row)


def _scored(hit: Mapping[str, Any]) -> ScoredPassage:
    return ScoredPassage(**{**hit, "passage": Passage(**hit["passage"])})


def folded(*texts: str | None) -> str:
    """Texts as they are searched: in lower case, one line each."""
    return clean("\n".join(" ".join(text.casefold().split()) for text in texts if text))


def read_turn(row: Sequence[Any]) -> Turn:
    """A turn from its row; the columns are those of `Turn`."""
    number, session_id, question, searched, answer, *rest = row
    status, error, rating, created, model, adapter, retrieval = rest
    return Turn(
        id=number,
        session_id=session_id,
        question=question,
        searched=searched,
        answer=None if answer is None else read_answer(answer),
        status=status,
        error=error,
        rating=rating,
        created=created,
        model=model,
        adapter=adapter,
        retrieval=bool(retrieval),
    )
