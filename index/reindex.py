"""Encode the whole library anew, with another encoder or other chunk sizes; may be killed and run again.

Works from the stored texts, so the files need not be there. Searches use the old passages and vectors
until the last document is done; then the new ones take their place in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpora.chunking import Piece, split
from corpora.errors import NothingToDo
from corpora.records import Document, indexed_text
from corpora.store import Library, pending
from index.sync_commit import DEFAULT_CHUNK_TOKENS, Pace, encoder_facts
from index.sync_options import Hooks, IngestOptions

if TYPE_CHECKING:
    from index.encoder import Encoder


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What a run did; `changed` is false where the library already was as wanted."""

    encoder: str
    documents: int
    passages: int
    changed: bool
    stopped: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class _Cut:
    """A document cut anew."""

    document: Document
    pieces: list[Piece]
    texts: list[str]


def reindex(library: Library, options: IngestOptions, hooks: Hooks | None = None) -> ReindexReport:
    """Encode with `options.encoder`, else with that of an unfinished run, else with the library's own.

    Raises NothingToDo for an empty library, Busy, StorageError, and what `options.load` raises.
    """
    hooks = hooks or Hooks()
    began = time.perf_counter()
    with library.guard(on_wait=hooks.say):
        stored = library.manifest("encoder")
        if stored is None:
            raise NothingToDo("The library has no documents yet.", hint="assistant ingest FOLDER")
        job = pending.pending_facts(library)
        encoder = options.load(options.encoder or (job or {}).get("encoder") or stored)
        chunk_tokens = min(encoder.max_tokens, options.chunk_tokens or DEFAULT_CHUNK_TOKENS)
        facts = encoder_facts(encoder, chunk_tokens, options.chunk_overlap)
        changed = any(library.manifest(key) != value for key, value in facts.items())
        stopped = False
        if changed:
            if job != facts:
                with library.write() as writer:
                    pending.start(writer, facts)
            stopped = not _encode_all(library, encoder, facts, hooks)
        elif job is not None:
            with library.write() as writer:
                pending.abandon(writer)
        if changed and not stopped:
            with library.write() as writer:
                pending.swap(writer)
            from index.cache import refresh

            refresh(library)
    documents, passages = library.counts()
    return ReindexReport(
        encoder=encoder.name,
        documents=documents,
        passages=passages,
        changed=changed and not stopped,
        stopped=stopped,
        seconds=time.perf_counter() - began,
    )


def _encode_all(library: Library, encoder: Encoder, facts: dict[str, str], hooks: Hooks) -> bool:
    """Fill the pending set; false where the user asked to stop."""
    import numpy as np

    documents = library.documents()
    done = pending.pending_documents(library)
    hooks.progress.start("Encoding", len(documents))
    hooks.progress.advance(len(done), "")
    todo = [document for document in documents if document.id not in done]
    pace = Pace()
    for group in _groups(_cuts(library, encoder, facts, todo), pace):
        texts = [text for cut in group for text in cut.texts]
        vectors = b""
        while len(vectors) < len(texts) * encoder.dimension * 4:
            if hooks.stop():
                return False
            at = len(vectors) // (encoder.dimension * 4)
            part = texts[at : at + pace.share(len(texts) - at)]
            began = time.perf_counter()
            vectors += np.ascontiguousarray(encoder.encode_passages(part), dtype="<f4").tobytes()
            pace.learn(len(part), time.perf_counter() - began)
        with library.write() as writer:
            for cut in group:
                size = len(cut.pieces) * encoder.dimension * 4
                pending.put(writer, cut.document.id, cut.pieces, vectors[:size])
                vectors = vectors[size:]
        hooks.progress.advance(len(group), group[-1].document.path)
    return True


def _cuts(
    library: Library, encoder: Encoder, facts: dict[str, str], documents: list[Document]
) -> Iterator[_Cut]:
    for document in documents:
        extracted = library.extracted(document.id)
        if extracted is None:
            continue
        pieces = split(
            extracted,
            count_tokens=encoder.count_tokens,
            max_tokens=int(facts["chunk_tokens"]),
            overlap=int(facts["chunk_overlap"]),
        )
        text = extracted.text
        yield _Cut(document, pieces, [indexed_text(p.heading, text[p.start : p.end]) for p in pieces])


def _groups(cuts: Iterator[_Cut], pace: Pace) -> Iterator[list[_Cut]]:
    """Documents that are encoded and stored together."""
    group: list[_Cut] = []
    for cut in cuts:
        group.append(cut)
        if sum(len(one.pieces) for one in group) >= pace.passages:
            yield group
            group = []
    if group:
        yield group
