"""Rows as people can check them: their text in runs, each marked as trained on or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune.tuning.encode import ChatEncoder, EncodedRow
from finetune.tuning.preflight import Preflight


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row in runs of (text, whether the model is trained on it); special tokens stand in the text."""

    id: str
    kind: str
    tokens: int
    trained: int
    runs: tuple[tuple[str, bool], ...]

    @property
    def learnt(self) -> str:
        """What the model is trained to write."""
        return "".join(text for text, trained in self.runs if trained)

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "tokens": self.tokens,
            "trained": self.trained,
            "runs": [{"text": text, "trained": trained} for text, trained in self.runs],
        }


def shown_rows(rows: Sequence[EncodedRow], chat: ChatEncoder, count: int) -> tuple[ShownRow, ...]:
    """At most `count` rows: one of each kind first, in their order, then the next ones."""
    kinds: set[str] = set()
    first: list[EncodedRow] = []
    more: list[EncodedRow] = []
    for row in rows:
        (more if row.kind in kinds else first).append(row)
        kinds.add(row.kind)
    return tuple(
        ShownRow(row.id, row.kind, len(row.input_ids), row.trained, tuple(chat.marked(row)))
        for row in [*first, *more][:count]
    )


def findings(preflight: Preflight) -> list[str]:
    """What the preflight found, in lines."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in preflight.kinds.items())
    longest = ", ".join(f"{tokens:,} ({name})" for name, tokens in preflight.longest)
    lines = [
        f"{len(preflight.kept)} rows: {kinds}",
        f"{preflight.tokens:,} tokens, {preflight.trained:,} of them trained on"
        f" ({preflight.share_trained:.1%}); longest {longest}",
    ]
    if preflight.too_long:
        lines.append(f"{preflight.too_long} rows are too long and left out")
    return lines
