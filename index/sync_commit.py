"""Documents on their way into the library: batches that wait for vectors, and their commit."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from corpora.chunking import Piece
from corpora.readers.sandbox import ReadResult
from corpora.records import Extracted, Skipped
from corpora.store import Library, NewDocument, SkippedFile, Stat
from index.sync_options import IngestOptions
from index.sync_plan import Candidate

if TYPE_CHECKING:
    from index.encoder import Encoder

DEFAULT_CHUNK_TOKENS = 256
_SURROGATES = re.compile("[\ud800-\udfff]")


_BATCH_SECONDS = 2.0  # about what a kill costs at most, but for one document that takes longer
_SMALLEST_BATCH, _LARGEST_BATCH = 64, 4096  # passages


@dataclass(slots=True)
class Pace:
    """How many passages to encode at once: as many as take about two seconds."""

    passages: int = _SMALLEST_BATCH

    def share(self, left: int) -> int:
        """How many of the passages that are left to encode now: no small rest stays behind."""
        return left if left < 2 * self.passages else self.passages

    def learn(self, passages: int, seconds: float) -> None:
        """So many were just encoded in so long."""
        fitting = int(passages / max(seconds, 1e-3) * _BATCH_SECONDS)
        self.passages = min(max(fitting, _SMALLEST_BATCH), _LARGEST_BATCH)


@dataclass(frozen=True, slots=True)
class Ready:
    """A document that waits for its vectors; `reuse` holds those of equal texts of its old version."""

    candidate: Candidate
    result: ReadResult
    extracted: Extracted
    pieces: list[Piece]
    texts: list[str]
    reuse: dict[str, bytes]

    @property
    def passages(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that gave no text."""

    candidate: Candidate
    result: ReadResult
    why: Skipped
    passages: int = 0


@dataclass(slots=True)
class Batch:
    """Files that are committed together."""

    items: list[Ready | Unread] = field(default_factory=list)
    passages: int = 0
    _vectors: dict[str, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def last_path(self) -> str:
        return self.items[-1].candidate.path

    def add(self, item: Ready | Unread) -> None:
        self.items.append(item)
        self.passages += item.passages

    def new_texts(self) -> list[str]:
        """The texts without a vector yet, each once."""
        for item in self.items:
            if isinstance(item, Ready):
                self._vectors.update(item.reuse)
        wanted = (text for item in self.items if isinstance(item, Ready) for text in item.texts)
        return list(dict.fromkeys(text for text in wanted if text not in self._vectors))

    def take_vectors(self, texts: list[str], rows: bytes, width: int) -> None:
        """Vectors of `texts`, `width` bytes each."""
        if len(rows) != len(texts) * width:
            raise ValueError(f"{len(rows)} bytes of vectors for {len(texts)} texts of {width} bytes each")
        for at, text in enumerate(texts):
            self._vectors[text] = rows[at * width : (at + 1) * width]

    def vectors_of(self, item: Ready) -> bytes:
        return b"".join(self._vectors[text] for text in item.texts)


class Outcome:
    """What became of the files that were read, and where the time went (seconds of the calling thread)."""

    def __init__(self, library: Library, reader: str) -> None:
        self._library = library
        self._reader = reader
        self._facts: dict[str, str] = {}
        self.chunk_tokens = 0
        self.chunk_overlap = 0
        self.added = 0
        self.updated = 0
        self.skipped: list[SkippedFile] = []
        self.stopped = False
        self.seconds = {"wait": 0.0, "load": 0.0, "encode": 0.0, "commit": 0.0}

    def settle_encoder(self, encoder: Encoder, options: IngestOptions) -> None:
        """Make this the encoder of a new library, with the first commit."""
        self.chunk_tokens = min(encoder.max_tokens, options.chunk_tokens or DEFAULT_CHUNK_TOKENS)
        self.chunk_overlap = options.chunk_overlap
        self._facts = encoder_facts(encoder, self.chunk_tokens, self.chunk_overlap)

    def use_stored_encoder(self) -> None:
        """Go on with the library's encoder and chunk sizes."""
        self.chunk_tokens = int(self._library.manifest("chunk_tokens") or DEFAULT_CHUNK_TOKENS)
        self.chunk_overlap = int(self._library.manifest("chunk_overlap") or 0)

    def commit(self, batch: Batch) -> None:
        """Store a batch durably and count it."""
        began = time.perf_counter()
        ready = [item for item in batch.items if isinstance(item, Ready)]
        skips = [(item.candidate.known, self._skip(item)) for item in batch.items if isinstance(item, Unread)]
        with self._library.write() as writer:
            for key, value in self._facts.items() if ready else ():
                writer.set_manifest(key, value)
            for item in ready:
                writer.put_document(_new_document(item, batch.vectors_of(item)))
            for known, skip in skips:
                if skip.code == "vanished":  # the next run sees what has become of it
                    continue
                writer.remember_skip(skip)
                if known is not None:
                    writer.mark_stale(known.id, skip.reason)
        if ready:
            self._facts = {}
        updated = sum(item.candidate.known is not None for item in ready)
        self.updated += updated
        self.added += len(ready) - updated
        self.skipped += [skip for _, skip in skips]
        self.seconds["commit"] += time.perf_counter() - began

    def _skip(self, item: Unread) -> SkippedFile:
        result, why = item.result, item.why
        return SkippedFile(
            item.candidate.path, _stat(item), result.sha256, why.code, why.reason, self._reader
        )


def encoder_facts(encoder: Encoder, chunk_tokens: int, chunk_overlap: int) -> dict[str, str]:
    """What the manifest says of an encoder and of how passages were cut for it."""
    return {
        "encoder": encoder.name,
        "encoder_fingerprint": encoder.fingerprint,
        "dimension": str(encoder.dimension),
        "chunk_tokens": str(chunk_tokens),
        "chunk_overlap": str(chunk_overlap),
    }


def storable(extracted: Extracted) -> Extracted:
    """Without lone surrogates, which are no text; one character for one, so that offsets hold."""
    if _SURROGATES.search(extracted.text) is None:
        return extracted
    return replace(extracted, text=_SURROGATES.sub("\ufffd", extracted.text))


def _new_document(item: Ready, vectors: bytes) -> NewDocument:
    sha256 = item.result.sha256 or ""
    return NewDocument(item.candidate.path, item.extracted, sha256, _stat(item), item.pieces, vectors)


def _stat(item: Ready | Unread) -> Stat:
    """That of the plan, if the bytes that were read still had it; else one that proves nothing."""
    planned, result = item.candidate.stat, item.result
    if (planned.size, planned.mtime_ns) == (result.size, result.mtime_ns):
        return planned
    return Stat(result.size, result.mtime_ns)
