"""What a model is trained on: rows of the library's examples, its plain passages, or a file of the user's.

Validation rows decide when training stops. Rows of the test split never come here: they judge the result.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
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
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What a row was made from: the documents, and the example with its language and who wrote it.

    Of a passage there is no example; of a row in a user's file often nothing is known.
    """

    documents: tuple[Source, ...] = ()
    example_id: str | None = None
    method: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class TuningData:
    """The rows of a run. `left_out` counts what gave none, by reason.

    `origins` are by the ids of rows, of which there may be fewer by now; rows that are mixed in from
    elsewhere have none.
    """

    train: tuple[EncodedRow, ...]
    validation: tuple[EncodedRow, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The documents that the rows to train on teach from, by path."""
        return tuple(sorted({one for origin in self.taught for one in origin.documents}))

    @property
    def taught(self) -> tuple[Origin, ...]:
        """What the rows to train on were made from, each example once."""
        found = [self.origins[row.id] for row in self.train if row.id in self.origins]
        return tuple(dict.fromkeys(found))

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
    origins: dict[str, Origin] = {}
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
        if row.example is not None:
            origins[row.id] = _origin(row.example)
    return _data(rows, left_out, origins)


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
    origins: dict[str, Origin] = {}
    for split in ("train", "validation"):
        allowed = readable(split, documents, splits)
        for document in documents:
            if splits[document.id] == split and document.id in allowed:
                for passage in library.passages_of(document.id):
                    origins[passage.id] = Origin((Source(document.path, document.sha256),))
                    rows[split] += chat.encode_passage(passage.text, id=passage.id, max_length=max_length)
    left_out = Counter({"test": sum(split == "test" for split in splits.values())})
    return _data(rows, left_out, origins)


def _origin(example: Example) -> Origin:
    documents = sorted({Source(quote.path, quote.sha256) for quote in example.quotes})
    return Origin(tuple(documents), example.id, example.method, example.language)


def _data(
    rows: Mapping[str, Sequence[EncodedRow]], left_out: Counter[str], origins: Mapping[str, Origin]
) -> TuningData:
    return TuningData(
        train=tuple(rows["train"]),
        validation=tuple(rows["validation"]),
        left_out={reason: count for reason, count in sorted(left_out.items()) if count},
        origins=origins,
    )
