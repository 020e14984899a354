"""What a model is trained on: rows of the library's examples, its plain passages, or a file of the user's.

Validation rows decide when training stops. Rows of the test split never come here: they judge the result.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from corpora.examples import Example
from corpora.store import ExampleStore, Library
from finetune.rows.build import build_rows
from finetune.rows.records import PassageSource, RowMix, Stock
from finetune.splits import assign_splits, readable
from finetune.tuning.encode import ChatEncoder, EncodedRow


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A document that rows teach from, in the version of that time."""

    path: str
    document_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TuningData:
    """The rows of a run. `left_out` counts what gave none, by reason; `sources` are sorted by path."""

    train: tuple[EncodedRow, ...]
    validation: tuple[EncodedRow, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    @property
    def sha256(self) -> str:
        """Of all that the model sees, in this order (hex, 64 digits)."""
        return rows_sha256(self.train, self.validation)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Rows by split and kind."""
        splits = {"train": self.train, "validation": self.validation}
        return {
            name: dict(sorted(Counter(row.kind for row in rows).items())) for name, rows in splits.items()
        }


def rows_sha256(*parts: Sequence[EncodedRow]) -> str:
    """Hash of the ids and labels of rows, part by part (hex, 64 digits)."""
    digest = hashlib.sha256()
    for rows in parts:
        digest.update(len(rows).to_bytes(8, "little"))
        for row in rows:
            digest.update(len(row.input_ids).to_bytes(8, "little"))
            for numbers in (row.input_ids, row.labels):
                digest.update(array("q", numbers).tobytes())
    return digest.hexdigest()


def library_data(
    examples: Sequence[Example],
    retriever: PassageSource,
    library: Library,
    mix: RowMix,
    chat: ChatEncoder,
    *,
    max_length: int,
    stock: Stock | None = None,
) -> TuningData:
    """The rows of accepted `examples` with the passages that `retriever` brings, none over `max_length`.

    Raises Conflict for a template under which prompts cannot be written (see `ChatEncoder.encode`).
    """
    left_out: Counter[str] = Counter()
    rows: dict[str, list[EncodedRow]] = {"train": [], "validation": []}
    sources: set[Source] = set()
    learnt = [example for example in examples if example.split in rows]
    left_out["test"] = sum(example.status == "accepted" for example in examples) - sum(
        example.status == "accepted" for example in learnt
    )
    built = build_rows(
        learnt,
        retriever,
        library,
        mix,
        count_tokens=chat.count_tokens,
        limit=max_length,
        stock=stock,
        left_out=left_out,
    )
    for row in built:
        rows[row.split].append(chat.encode(row.messages, row.completion, id=row.id, kind=row.kind))
        if row.split == "train" and row.example is not None:
            sources |= {Source(quote.path, quote.document_id, quote.sha256) for quote in row.example.quotes}
    return _data(rows, left_out, sources)


def passage_data(library: Library, chat: ChatEncoder, *, max_length: int) -> TuningData:
    """Every passage as plain text, for continued pre-training; none of a document that is held out to test.

    Gives documents their splits where they have none yet, and keeps them, as `generate` does.
    """
    store = ExampleStore(library)
    documents = library.documents()
    splits = assign_splits(documents, store.splits())
    with library.write() as writer:
        store.set_splits(writer, splits)
    rows: dict[str, list[EncodedRow]] = {"train": [], "validation": []}
    for split in ("train", "validation"):
        allowed = readable(split, documents, splits)
        for document in documents:
            if splits[document.id] == split and document.id in allowed:
                for passage in library.passages_of(document.id):
                    rows[split] += chat.encode_passage(passage.text, id=passage.id, max_length=max_length)
    taught = readable("train", documents, splits)
    sources = {Source(one.path, one.id, one.sha256) for one in documents if one.id in taught}
    left_out = Counter({"test": sum(split == "test" for split in splits.values())})
    return _data(rows, left_out, sources)


def _data(
    rows: Mapping[str, Sequence[EncodedRow]], left_out: Counter[str], sources: Iterable[Source]
) -> TuningData:
    return TuningData(
        train=tuple(rows["train"]),
        validation=tuple(rows["validation"]),
        left_out={reason: count for reason, count in sorted(left_out.items()) if count},
        sources=tuple(sorted(sources)),
    )
