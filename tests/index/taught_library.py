"""A small library with examples, for tests of what is made of them: word search, so no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from corpora.chunking import Piece
from corpora.examples import Example, Quote
from corpora.prompt import language_of
from corpora.records import Extracted, Message
from corpora.store import ExampleStore, Library, NewDocument, Stat, example_id
from finetune.splits import assign_splits
from index.retriever import Retriever

TOWNS = ("Brannock Kerrville Oldham Tarsus Velmont Quorn Halden Ithaca Jorvik Lindow Marstow Norwell").split()
BUILDERS = (
    "Anna Kerr|Tom Reeve|Ida Holm|Max Stone|Eva Lund|Sam Pike|Una Frost|Ned Vale|Mia Hart|Leo Wray".split("|")
)
RULERS = "Queen Maud|King Osric|Lady Elspeth|Duke Roland|Count Berin|Empress Ilse".split("|")


def documents() -> dict[str, list[str]]:
    """Twelve towns: each a document of four passages that name each other's sort of facts."""
    made: dict[str, list[str]] = {}
    for number, town in enumerate(TOWNS):
        year, height, price = 1601 + 17 * number, 31 + number, 141 + number
        builder = BUILDERS[number % len(BUILDERS)]
        ruler = RULERS[number % len(RULERS)]
        made[f"towns/{town.lower()}.md"] = [
            f"The lighthouse of {town} was built in {year} by the engineer {builder}. It is {height} m high.",
            f"The ferry of {town} crosses the bay hourly. A ticket for the ferry costs {price} euros.",
            f"{town} was given its market by {ruler}. It sells fish there since {year - 90}.",
            f"The school of {town} teaches sailing to {price + 700} pupils from all over the coast.",
        ]
    return made


def make(folder: Path, texts: Mapping[str, Sequence[str]] | None = None, *, settle: bool = True) -> Library:
    """A library of these documents, a passage for each paragraph; splits are settled."""
    library = Library.create(folder)
    with library.write() as writer:
        facts = {"encoder": "all-minilm-l6-v2", "encoder_fingerprint": "x", "dimension": "2"}
        for key, value in facts.items():
            writer.set_manifest(key, value)
        for path, paragraphs in (texts or documents()).items():
            put(writer, path, paragraphs)
    if settle:
        store = ExampleStore(library)
        with library.write() as writer:
            store.set_splits(writer, assign_splits(library.documents(), store.splits()))
    return library


def put(writer: object, path: str, paragraphs: Sequence[str]) -> None:
    text = "\n".join(paragraphs)
    pieces, at = [], 0
    for number, line in enumerate(paragraphs, 1):
        pieces.append(Piece(at, at + len(line), number, number, None, None))
        at += len(line) + 1
    vectors = b"\0\0\x80\x3f\0\0\0\0" * len(pieces)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    writer.put_document(  # type: ignore[attr-defined]
        NewDocument(path, Extracted(text, "md"), sha256, Stat(1, 1), pieces, vectors)
    )


def quote(library: Library, path: str, text: str) -> Quote:
    """The first span of the document that says `text`."""
    document = library.document(path)
    assert document is not None
    start = library.text(document.id).index(text)
    end = start + len(text)
    passage = next(p for p in library.passages_of(document.id) if p.start <= start and end <= p.end)
    return Quote(document.id, path, document.sha256, passage.id, start, end, text)


def example(
    library: Library,
    question: str,
    answer: str | None,
    quotes: Sequence[tuple[str, str]] = (),
    **more: object,
) -> Example:
    """An accepted example; `quotes` are (path, text)."""
    located = tuple(quote(library, path, text) for path, text in quotes)
    splits = ExampleStore(library).splits()
    values: dict[str, object] = {
        "status": "accepted",
        "reason": None,
        "method": "self-qa",
        "kind": "span",
        "language": language_of(question),
        "input": "",
        "history": (),
        "split": splits[located[0].document_id] if located else "train",
        "teacher": "smollm2-135m+rules",
        "prompt_version": "1",
        "scores": {"retrieval": 1.0},
        "created_at": "2026-11-22T10:00:00+00:00",
        **more,
    }
    identity = example_id(values["method"], question, str(values["input"]), answer, located)  # type: ignore[arg-type]
    return Example(id=identity, question=question, answer=answer, quotes=located, **values)  # type: ignore[arg-type]


def examples(library: Library) -> list[Example]:
    """Four a town, and two tasks that rest on no document."""
    made: list[Example] = []
    for number, town in enumerate(TOWNS):
        path = f"towns/{town.lower()}.md"
        year, price = 1601 + 17 * number, 141 + number
        builder = BUILDERS[number % len(BUILDERS)]
        ruler = RULERS[number % len(RULERS)]
        made += [
            example(
                library,
                f"When was the lighthouse of {town} built?",
                str(year),
                [(path, f"was built in {year}")],
            ),
            example(
                library,
                f"Which engineer built the lighthouse of {town} in {year}?",
                builder,
                [(path, f"by the engineer {builder}")],
            ),
            example(
                library,
                f"What does a ticket for the ferry of {town} cost?",
                f"{price} euros",
                [(path, f"costs {price} euros")],
            ),
            example(
                library,
                f"Who was {town} given its fish market by, and what does a ticket for its ferry cost?",
                f"{ruler}; {price} euros",
                [(path, f"its market by {ruler}"), (path, f"costs {price} euros")],
                kind="multi-hop",
            ),
        ]
    made.append(
        example(
            library,
            "Name a prime number.",
            "7",
            kind="instruction",
            method="self-instruct",
            history=(Message("user", "Hello"), Message("assistant", "Hello!")),
        )
    )
    made.append(
        example(
            library, "把下面的词译成英文。", "sea", kind="instruction", method="self-instruct", input="海"
        )
    )
    return made


def add(library: Library, made: Sequence[Example]) -> None:
    with library.write() as writer:
        ExampleStore(library).add(writer, made)


def retriever(library: Library) -> Retriever:
    """By words alone; rows need mode "lexical"."""
    return Retriever(library, None)
