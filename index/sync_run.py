"""The work of a sync: read, chunk, encode, commit, with reading and chunking ahead of the encoder.

    reader children -> [thread: read] -> queue -> [thread: chunk] -> queue -> caller: encode and commit

Both queues are bounded by characters. The encoder gets the passages of many documents at once, so that
it can batch equal lengths; a document is committed in one transaction, several small ones in the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from corpora.chunking import split
from corpora.errors import Conflict
from corpora.readers.sandbox import ReaderPool, ReadResult
from corpora.records import Extracted, Skipped, indexed_text
from corpora.store import Library
from index.sync_commit import Batch, Outcome, Pace, Ready, Unread, storable
from index.sync_options import Hooks, IngestOptions
from index.sync_plan import Candidate
from index.sync_queue import Cancelled, WeightedQueue

if TYPE_CHECKING:
    from index.encoder import Encoder

T = TypeVar("T")

_QUEUE_CHARACTERS = 16_000_000
_LARGEST_BATCH = 1000  # files
_SAMPLE_FILES = 32
_SAMPLE_CHARACTERS = 4000  # of each file
_POLL_SECONDS = 0.2


class _Stopped(Exception):
    """The user asked to stop."""


class Run:
    """Reads and stores the candidates of one plan; to be used once."""

    def __init__(self, library: Library, options: IngestOptions, hooks: Hooks, reader: str) -> None:
        self._library = library
        self._options = options
        self._hooks = hooks
        self._reads: WeightedQueue[tuple[Candidate, ReadResult]] = WeightedQueue(_QUEUE_CHARACTERS)
        self._ready: WeightedQueue[Ready | Unread] = WeightedQueue(_QUEUE_CHARACTERS)
        self._pace = Pace()
        self.outcome = Outcome(library, reader)

    def run(self, candidates: Sequence[Candidate]) -> Outcome:
        """Everything that is committed when this returns is durable, also where it was stopped."""
        if not candidates:
            return self.outcome
        self._hooks.progress.start("Ingesting", len(candidates))
        with ReaderPool() as pool:
            threading.Thread(target=self._read, args=(pool, _spread(candidates)), daemon=True).start()
            try:
                head = self._head(min(_SAMPLE_FILES, len(candidates)))
                encoder = self._encoder(head)
                threading.Thread(target=self._chunk, args=(head, encoder), daemon=True).start()
                self._encode(encoder)
            except _Stopped:
                self.outcome.stopped = True
            finally:
                self._reads.cancel()
                self._ready.cancel()
        return self.outcome

    # -- threads -----------------------------------------------------------------------------------

    def _read(self, pool: ReaderPool, candidates: Sequence[Candidate]) -> None:
        try:
            results = pool.read(candidate.file for candidate in candidates)
            for candidate, result in zip(candidates, results, strict=True):
                self._reads.put((candidate, result), _weight(result))
            self._reads.end()
        except Cancelled:
            pass
        except BaseException as error:  # raised again in the caller's thread
            self._reads.end(error)

    def _chunk(self, head: list[tuple[Candidate, ReadResult]], encoder: Encoder | None) -> None:
        try:
            for candidate, result in _chained(head, self._reads):
                self._ready.put(self._prepared(candidate, result, encoder), _weight(result))
            self._ready.end()
        except Cancelled:
            pass
        except BaseException as error:  # raised again in the caller's thread
            self._ready.end(error)

    def _prepared(self, candidate: Candidate, result: ReadResult, encoder: Encoder | None) -> Ready | Unread:
        if isinstance(result.outcome, Skipped):
            return Unread(candidate, result, result.outcome)
        assert encoder is not None  # noqa: S101 - there is text, so there is an encoder
        extracted = storable(result.outcome)
        pieces = split(
            extracted,
            count_tokens=encoder.count_tokens,
            max_tokens=self.outcome.chunk_tokens,
            overlap=self.outcome.chunk_overlap,
        )
        if not pieces:
            return Unread(candidate, result, Skipped("empty", "no visible text"))
        texts = [indexed_text(piece.heading, extracted.text[piece.start : piece.end]) for piece in pieces]
        known = candidate.known
        reuse = self._library.vectors_by_text(known.id) if known is not None else {}
        return Ready(candidate, result, extracted, pieces, texts, reuse)

    # -- the caller's thread -----------------------------------------------------------------------

    def _head(self, sample: int) -> list[tuple[Candidate, ReadResult]]:
        """The first files: until one has text, and where an encoder must be chosen, a fair sample."""
        wanted = 1 if self._library.manifest("encoder") or self._options.encoder else sample
        head: list[tuple[Candidate, ReadResult]] = []
        characters = 0
        for item in self._arriving(self._reads):
            if item is None:
                continue
            head.append(item)
            outcome = item[1].outcome
            characters += len(outcome.text) if isinstance(outcome, Extracted) else 0
            if characters and (len(head) >= wanted or characters > _QUEUE_CHARACTERS):
                break
        return head

    def _encoder(self, head: list[tuple[Candidate, ReadResult]]) -> Encoder | None:
        """The library's encoder, or a chosen one for a new library; None where nothing has text."""
        texts = [r.outcome.text[:_SAMPLE_CHARACTERS] for _, r in head if isinstance(r.outcome, Extracted)]
        if not texts:
            return None
        began = time.perf_counter()
        stored = self._library.manifest("encoder")
        name = stored or self._options.encoder or self._options.choose(texts)
        encoder = self._options.load(name)
        if stored is None:
            self._hooks.say(f"Encoder: {name} (fixed for this library; assistant reindex changes it).")
            self.outcome.settle_encoder(encoder, self._options)
        elif self._library.manifest("encoder_fingerprint") != encoder.fingerprint:
            raise wrong_encoder(stored, f"{name} in another version", name)
        else:
            self.outcome.use_stored_encoder()
        self.outcome.seconds["load"] += time.perf_counter() - began
        return encoder

    def _arriving(self, queue: WeightedQueue[T]) -> Iterator[T | None]:
        """What comes out of a queue; None whenever it has run dry. Raises _Stopped when asked to."""
        while True:
            if self._hooks.stop():
                raise _Stopped
            if queue.empty:
                yield None
            began = time.perf_counter()
            try:
                item = queue.get(_POLL_SECONDS)
            except TimeoutError:
                continue
            except StopIteration:
                return
            finally:
                self.outcome.seconds["wait"] += time.perf_counter() - began
            yield item

    def _encode(self, encoder: Encoder | None) -> None:
        batch = Batch()
        for item in self._arriving(self._ready):
            if batch and (item is None or batch.passages + item.passages > 2 * self._pace.passages):
                batch = self._flush(batch, encoder)
            if item is not None:
                batch.add(item)
            if batch.passages >= self._pace.passages or len(batch) >= _LARGEST_BATCH:
                batch = self._flush(batch, encoder)
        if batch:
            self._flush(batch, encoder)

    def _flush(self, batch: Batch, encoder: Encoder | None) -> Batch:
        """Encode and commit; returns an empty batch. A request to stop drops what is not encoded yet."""
        import numpy as np

        texts = batch.new_texts()
        at = 0
        while at < len(texts):
            if at and self._hooks.stop():
                raise _Stopped
            assert encoder is not None  # noqa: S101 - there is text, so there is an encoder
            part = texts[at : at + self._pace.share(len(texts) - at)]
            began = time.perf_counter()
            rows = np.ascontiguousarray(encoder.encode_passages(part, self._told(batch, at)), dtype="<f4")
            took = time.perf_counter() - began
            batch.take_vectors(part, rows.tobytes(), encoder.dimension * 4)
            self._pace.learn(len(part), took)
            self.outcome.seconds["encode"] += took
            at += len(part)
        self.outcome.commit(batch)
        self._hooks.progress.advance(len(batch), batch.last_path)
        return Batch()

    def _told(self, batch: Batch, before: int) -> Callable[[int], None]:
        """Hears from the encoder how many passages of a part are done."""

        def hear(done: int) -> None:
            note = f"{batch.last_path} ({before + done} of {batch.passages} passages)"
            self._hooks.progress.advance(0, note)

        return hear


def wrong_encoder(stored: str, given: str, name: str) -> Conflict:
    """The error for another encoder than the library's, with the command that changes it."""
    return Conflict(
        f"This library is encoded with {stored}; asked for is {given}.",
        hint=f"assistant reindex --encoder {name}",
        code="wrong_encoder",
    )


def _weight(result: ReadResult) -> int:
    return len(result.outcome.text) if isinstance(result.outcome, Extracted) else 1000


def _spread(candidates: Sequence[Candidate]) -> list[Candidate]:
    """An even sample of the files first, for the choice of the encoder; then the others in order."""
    step = max(1, len(candidates) // _SAMPLE_FILES)
    chosen = set(range(0, step * _SAMPLE_FILES, step))
    first = [candidate for at, candidate in enumerate(candidates) if at in chosen]
    return first + [candidate for at, candidate in enumerate(candidates) if at not in chosen]


def _chained(head: list[T], queue: WeightedQueue[T]) -> Iterator[T]:
    """The head, then the queue to its end."""
    yield from head
    while True:
        try:
            item = queue.get()
        except StopIteration:
            return
        yield item
