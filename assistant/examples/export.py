"""Examples of an open library to training rows in a file, with the library's own retriever."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from assistant.output import emit_json, emit_text
from assistant.progress import progress
from assistant.terminal import clean_line, say

if TYPE_CHECKING:
    from assistant.runtime import Runtime
    from corpora.examples import Example
    from corpora.records import Message
    from finetune.formats.records import LineFormat
    from finetune.rows.records import PassageSource, TrainingRow

# Tokens of a row with its answer: what the embedded model reads. Training counts again, by its own tokenizer.
_LIMIT = 2048
_BYTES_PER_TOKEN = 3  # of UTF-8: English has more of them to a token, Chinese about so many
_TURN_TOKENS = 6  # what a chat template adds


@dataclass(slots=True)
class Exported:
    """What was written; `left_out` counts the examples that gave no row, by reason."""

    rows: int = 0
    examples: set[str] = field(default_factory=set)
    splits: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rows": self.rows,
            "examples": len(self.examples),
            "splits": dict(sorted(self.splits.items())),
            "kinds": dict(sorted(self.kinds.items())),
            "left_out": dict(sorted(self.left_out.items())),
        }


def export(
    runtime: Runtime, examples: Sequence[Example], target: Path | None, form: str, *, replay: float, seed: int
) -> Exported:
    """Write the rows of `examples` to `target`, or to standard output. Raises UsageError, Conflict."""
    from finetune.formats.export import export_lines, write_lines
    from finetune.formats.folder import export_folder

    exported = Exported()
    with progress("Building rows") as bar:
        rows = _counted(_rows(runtime, examples, replay, seed, exported.left_out), exported, bar.advance)
        if target is None:
            write_lines(rows, cast("LineFormat", form), sys.stdout.buffer)
            sys.stdout.buffer.flush()
        elif form == "datasets":
            export_folder(rows, target)
        else:
            export_lines(rows, cast("LineFormat", form), target)
    return exported


def show(exported: Exported, target: Path | None, *, as_json: bool) -> None:
    """The summary; where the rows went to standard output it is a message."""
    row = exported.row()
    if as_json and target is not None:
        emit_json({"output": str(target), **row})
        return
    splits = ", ".join(f"{n} {split}" for split, n in row["splits"].items())
    line = f"{exported.rows} rows of {len(exported.examples)} examples{f' ({splits})' if splits else ''}"
    if target is None:
        say(line)
    else:
        emit_text(f"{line} to {clean_line(str(target))}")
    if exported.left_out:
        say("left out: " + ", ".join(f"{n} {reason}" for reason, n in row["left_out"].items()))


def _rows(
    runtime: Runtime, examples: Sequence[Example], replay: float, seed: int, left_out: Counter[str]
) -> Iterator[TrainingRow]:
    from finetune.rows.build import build_rows
    from finetune.rows.records import RowMix
    from finetune.rows.shipped import shipped

    settings = runtime.settings
    mix = RowMix(
        k=settings.k, mode=settings.mode, per_source=settings.per_source or None, replay=replay, seed=seed
    )
    return build_rows(
        examples,
        _retriever(runtime, examples),
        runtime.library,
        mix,
        count_tokens=_estimate,
        limit=_LIMIT,
        stock=shipped({example.language for example in examples}),
        left_out=left_out,
    )


def _retriever(runtime: Runtime, examples: Sequence[Example]) -> PassageSource:
    """The retriever that `ask` uses here; without an encoder where no question needs one."""
    from index.retriever import Retriever

    settings, library = runtime.settings, runtime.library
    meaning = settings.mode != "lexical" and any(example.quotes for example in examples)
    reranker = None
    if settings.reranker:
        from index.rerank import CrossEncoder

        reranker = CrossEncoder(settings.reranker, offline=settings.offline)
    return Retriever(
        library,
        runtime.encoder() if meaning else None,
        reranker=reranker,
        notice=lambda passages: say(f"Indexing {passages} passages ..."),
    )


def _estimate(messages: Sequence[Message]) -> int:
    """Tokens of a conversation, without a tokenizer: rather too many than too few."""
    size = sum(len(message.content.encode("utf-8", "replace")) for message in messages)
    return -(-size // _BYTES_PER_TOKEN) + _TURN_TOKENS * len(messages)


def _counted(rows: Iterator[TrainingRow], exported: Exported, advance: Any) -> Iterator[TrainingRow]:
    for row in rows:
        exported.rows += 1
        exported.splits[row.split] += 1
        exported.kinds[row.kind] += 1
        if row.example_id is not None:
            exported.examples.add(row.example_id)
        advance(1)
        yield row
