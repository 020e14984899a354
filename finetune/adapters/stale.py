"""Documents that an adapter learned from and that have changed since, or are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from corpora.store import Library
from finetune.card import Card


@dataclass(frozen=True, slots=True)
class StaleDocument:
    """A document of the card that the library has no longer, or in another version."""

    path: str
    reason: Literal["changed", "gone"]


def stale_documents(card: Card, library: Library) -> tuple[StaleDocument, ...]:
    """Those of the card, in its order; () for an adapter that learned from no document of a library."""
    if not card.data.documents:
        return ()
    now = {known.path: known.sha256 for known in library.known()}
    return tuple(
        StaleDocument(document.path, "changed" if document.path in now else "gone")
        for document in card.data.documents
        if now.get(document.path) != document.sha256
    )
