"""The file of results on the disk: one writer at a time, whole windows appended, each on the disk at once.

with OutFile.open(path) as out:
    out.resume(expected)                 # drops a torn last line; refuses what is not of this run
    out.append(rows)

Its lines are in the order of the input and are written in that order, so what is there is always the
beginning of the whole. A lock of the kernel is held on the file itself; it dies with its holder.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assistant.batch.results import Format, Kept, format_for
from assistant.paths import no_place
from corpora.errors import Busy, Conflict, UsageError
from index.cache_files import make_durable

Named = tuple[str | int, str]  # id and key of a row


class OutFile:
    """An open file of results. `kept` are the rows that it holds."""

    def __init__(self, path: Path, descriptor: int, form: Format) -> None:
        self.path, self._descriptor, self._format = path, descriptor, form
        self.kept: list[Kept] = []

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[OutFile]:
        """Open or make the file, locked. Raises Busy (another run has it), UsageError.

        A file that was made here and in which nothing was written when an error came is taken away.
        """
        path = Path(os.path.realpath(path))
        made = not path.exists()
        out = cls(path, _locked(path), format_for(path.name))
        try:
            out._retried.unlink(missing_ok=True)
            yield out
        except BaseException:
            if made and not os.fstat(out._descriptor).st_size:
                path.unlink(missing_ok=True)  # while it is locked: whoever waits for it makes another
            raise
        finally:
            os.close(out._descriptor)

    def resume(self, expected: Sequence[Named], *, again: bool = False) -> None:
        """Read what is there, rows of which must be those `expected`, in order; a torn last line is dropped.

        With `again`, rows that failed may have another key: they are to be asked again. Raises Conflict,
        nothing being changed, where the file holds anything else.
        """
        data = self._read()
        header = self._format.header
        if not data.startswith(header):
            if not header.startswith(data.rstrip(b"\0")):
                raise self._foreign()
            data = b""
        end, self.kept = 0, []
        for raw in self._format.records(data[len(header) :]):
            try:
                kept = self._format.read(raw)
            except ValueError:
                rest = data[len(header) + end :]
                self._refuse_unless_torn(rest, expected)
                break
            self._check(kept, expected, again=again)
            self.kept.append(kept)
            end += len(raw)
        whole = len(header) + end if data else 0
        if whole < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, whole)
            os.fsync(self._descriptor)

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows behind those that are there; they are on the disk when this returns."""
        lines = [self._format.line(row) for row in rows]
        start = b"" if os.fstat(self._descriptor).st_size else self._format.header
        _write(self._descriptor, start + b"".join(lines))
        self.kept += [self._format.read(line) for line in lines]

    def replace(self, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """Put `rows`, by their places, where others were: all of them at once, or at no time."""
        there = self._format.records(self._read()[len(self._format.header) :])
        lines = [self._format.line(rows[n]) if n in rows else raw for n, raw in enumerate(there)]
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = stat.S_IMODE(os.fstat(self._descriptor).st_mode)
        new = os.open(self._retried, flags, mode)
        try:
            fcntl.flock(new, fcntl.LOCK_EX)
            _write(new, self._format.header + b"".join(lines))
            self._retried.replace(self.path)
        except BaseException:
            os.close(new)
            raise
        os.close(self._descriptor)
        self._descriptor = new
        make_durable([self.path.parent])
        self.kept = [self._format.read(line) for line in lines]

    @property
    def _retried(self) -> Path:
        return self.path.with_name(f".{self.path.name}.retried")

    def _read(self) -> bytes:
        with open(os.dup(self._descriptor), "rb") as file:  # noqa: PTH123 - it is open already
            file.seek(0)
            return file.read()

    def _check(self, kept: Kept, expected: Sequence[Named], *, again: bool) -> None:
        place = len(self.kept)
        if place >= len(expected):
            raise self._conflict(f"{self.path} holds more rows than the input ({len(expected)}).")
        name, key = expected[place]
        if kept.id != self._format.name(name):
            raise self._conflict(
                f"Row {place + 1} of {self.path} is {kept.id[:40]!r}, of the input {name!r}."
            )
        if kept.key == key or (again and kept.status == "error"):
            return
        half = len(key) // 2
        if kept.key[:half] != key[:half]:
            raise self._conflict(f"{self.path} was made with other documents, another model or settings.")
        raise self._conflict(
            f"Row {place + 1} of {self.path} ({name!r}) answers another question or options."
        )

    def _refuse_unless_torn(self, rest: bytes, expected: Sequence[Named]) -> None:
        """What a killed run leaves of a line begins as that of the next row does, and nothing follows it."""
        torn = rest.rstrip(b"\0")  # blocks that a machine without power did not fill
        place = len(self.kept)
        head = self._format.head(*expected[place]) if place < len(expected) else b""
        begins = torn.startswith(head) if len(torn) >= len(head) else head.startswith(torn)
        if not head or not begins or not self._format.torn(torn):
            raise self._foreign()

    def _foreign(self) -> Conflict:
        return self._conflict(f"{self.path} holds what is no result of this program.")

    def _conflict(self, message: str) -> Conflict:
        return Conflict(message, hint="name another file with -o, or move that one away", code="other_run")


def _locked(path: Path) -> int:
    """The file at `path`, opened to append, made where there is none, under a lock."""
    while True:
        try:
            new = not path.exists()
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o666)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise no_place(path, error) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{path} is no file.", hint="name a file for the results")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                if new:
                    make_durable([path.parent])
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise Busy(
                f"Another run is writing {path}.", hint="wait for it, or name another file with -o"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # another run put a new file in its place


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)
