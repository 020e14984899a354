"""Reads files in a pool of child processes that may be killed: a hostile file costs one reason line.

Each worker thread owns one child (`corpora.readers.worker`) and hands it a file at a time. The child limits
its memory and processor time; the thread watches the clock. A child that dies is replaced, and where it
had served other files before, the file is tried once more in a fresh one, so that the outcome depends on
the file alone.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Any

from corpora.readers.child import Child, ChildDied, Packed
from corpora.records import Extracted, Mark, Skipped, Span
from corpora.walk import FoundFile

_LOOK_AHEAD = 8
"""Files per worker that are taken from the input before the first of them is yielded."""

_BACKLOG_BYTES = 32 << 20
"""No further file is begun while this much text waits to be taken."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. The wall clock is the wider limit: on a busy machine a parser waits."""

    file_bytes: int = 256 << 20
    memory_bytes: int = 1 << 30
    cpu_seconds: int = 20
    wall_seconds: float = 60.0
    output_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What became of one file; size and time are those of the bytes that were hashed and read."""

    file: FoundFile
    sha256: str | None
    size: int
    mtime_ns: int
    outcome: Extracted | Skipped


@dataclass(slots=True, eq=False)
class _Job:
    file: FoundFile
    done: threading.Event = field(default_factory=threading.Event)
    seen: dict[str, Any] = field(default_factory=dict)
    packed: Packed | None = None  # until it is taken: smaller than the objects it becomes
    skipped: Skipped | None = None
    error: BaseException | None = None
    wanted: bool = True

    @property
    def waiting(self) -> int:
        """Bytes that wait to be taken."""
        return len(self.packed.rest) + len(self.packed.text) if self.packed is not None else 0


class ReaderPool:
    """`with ReaderPool() as pool: for result in pool.read(walk([folder])): ...`"""

    def __init__(self, workers: int = 2, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._lock = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._backlog = 0
        self._closed = False
        self._workers = [_Worker(self, limits) for _ in range(max(1, workers))]

    def __enter__(self) -> ReaderPool:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            self._queue.clear()
            self._lock.notify_all()
        for worker in self._workers:
            worker.stop()

    def read(self, files: Iterable[FoundFile]) -> Iterator[ReadResult]:
        """A result for each file, in the order of `files`; they are read ahead, in parallel.

        `files` is iterated in the caller's thread. Raises StorageError if no child can be started.
        """
        source, pending = iter(files), deque[_Job]()
        try:
            while True:
                for file in islice(source, _LOOK_AHEAD * len(self._workers) - len(pending)):
                    pending.append(self._submit(file))
                if not pending:
                    return
                yield self._take(pending.popleft())
        finally:
            self._forget(pending)

    def _forget(self, jobs: Iterable[_Job]) -> None:
        """The caller takes no more results: what is queued is not begun, what is done makes room."""
        with self._lock:
            for job in jobs:
                job.wanted = False
                if job.done.is_set():
                    self._backlog -= job.waiting
                elif job in self._queue:
                    self._queue.remove(job)
            self._lock.notify_all()

    def _submit(self, file: FoundFile) -> _Job:
        job = _Job(file)
        if file.problem is not None:
            job.skipped = file.problem
            job.done.set()
        else:
            with self._lock:
                self._queue.append(job)
                self._lock.notify()
        return job

    def _take(self, job: _Job) -> ReadResult:
        job.done.wait()
        if job.error is not None:
            raise job.error
        outcome: Extracted | Skipped
        if job.packed is not None:
            with self._lock:
                self._backlog -= job.waiting
                self._lock.notify_all()
            outcome = _unpack(job.packed)
            job.packed = None
        else:
            outcome = job.skipped or Skipped("crashed", "the reader gave no answer")
        size, mtime_ns = job.seen.get("size"), job.seen.get("mtime_ns")
        return ReadResult(
            job.file,
            job.seen.get("sha256"),
            job.file.size if size is None else size,
            job.file.mtime_ns if mtime_ns is None else mtime_ns,
            outcome,
        )

    def next_job(self) -> _Job | None:
        """For workers: the next file to read once there is room for its text; None when the pool closes."""
        with self._lock:
            while not self._closed and (not self._queue or self._backlog > _BACKLOG_BYTES):
                self._lock.wait()
            return None if self._closed else self._queue.popleft()

    def finish(self, job: _Job) -> None:
        """For workers: `job` has its outcome, its reason or its error."""
        with self._lock:
            if job.wanted:
                self._backlog += job.waiting
            job.done.set()


class _Worker:
    """A thread and the child it feeds."""

    def __init__(self, pool: ReaderPool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._child: Child | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Break off the file at hand; returns when the thread and its child are gone."""
        self._stopping = True
        child = self._child
        if child is not None:
            child.interrupt()
        self._thread.join()

    def _run(self) -> None:
        # The child is started and ended by this thread alone: it dies when the thread that began it does.
        try:
            while (job := self._pool.next_job()) is not None:
                try:
                    self._read(job)
                except BaseException as error:  # handed to the caller's thread
                    job.error = error
                self._pool.finish(job)
        finally:
            self._replace()

    def _read(self, job: _Job) -> None:
        for attempt in (1, 2):
            child = self._child = self._child or Child(self._limits)
            fresh = child.served == 0
            if self._stopping:
                return
            try:
                job.seen, job.packed = child.read(os.fspath(job.file.path.absolute()))
                if child.worn:
                    self._replace()
                return
            except ChildDied as death:
                self._replace()
                job.seen, job.skipped = death.seen, death.outcome
                if fresh or attempt == 2 or death.outcome.code == "timeout":
                    return

    def _replace(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _unpack(packed: Packed) -> Extracted | Skipped:
    rest = json.loads(packed.rest)
    if "skipped" in rest:
        code, reason = rest["skipped"]
        return Skipped(code, reason)
    return Extracted(
        packed.text.decode("utf-8"),
        rest["kind"],
        tuple(Mark(*mark) for mark in rest["marks"]),
        tuple(Span(*span) for span in rest["blocks"]),
        rest["hidden_removed"],
        tuple(rest["notes"]),
    )
