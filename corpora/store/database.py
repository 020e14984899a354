"""An open `library.db`: a connection for each reading thread, one for writing, transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from corpora.store.connection import WAIT_SECONDS, Access, connect, read_only, translated
from corpora.store.guard import LOCK, held
from corpora.store.writer import Writer


class Database:
    """The connections of a library folder; close it, or use it as a context manager."""

    def __init__(self, folder: Path, access: Access) -> None:
        self.folder = folder
        self.root = folder.parent
        """The folder that holds the library; document paths are relative to it."""
        self.access = access
        self.read_only = access is not Access.WRITE
        self._own = threading.local()
        self._readers: dict[threading.Thread, sqlite3.Connection] = {}
        self._readers_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._writer_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, those of other threads too."""
        with self._readers_lock:
            for connection in self._readers.values():
                connection.close()
            self._readers.clear()
            self._own = threading.local()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = connect(self.folder, self.access)
            connection.execute("PRAGMA query_only = ON")
            with self._readers_lock:
                for thread in [thread for thread in self._readers if not thread.is_alive()]:
                    self._readers.pop(thread).close()
                self._readers[threading.current_thread()] = connection
            self._own.connection = connection
        return connection

    def fetch(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with translated(self.folder):
            return self._reader().execute(query, values).fetchall()

    def fetch_one(self, query: str, values: Sequence[object] = ()) -> Any:
        rows = self.fetch(query, values)
        return rows[0] if rows else None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads of this thread inside see one state of the library; may be nested."""
        with translated(self.folder):
            connection = self._reader()
            if connection.in_transaction:
                yield
                return
            connection.execute("BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.ProgrammingError):  # closed inside
                    connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """One transaction: durable when the block ends, undone when it raises. Threads take turns."""
        if self.read_only:
            raise read_only(self.folder)
        with self._writer_lock, translated(self.folder):
            if self._writer is None:
                self._writer = connect(self.folder)
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                writer = Writer(connection)
                yield writer
                writer.finish()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite ends it by itself on a full disk
                    connection.execute("ROLLBACK")
                raise

    def guard(
        self,
        *,
        wait: float = WAIT_SECONDS,
        on_wait: Callable[[str], None] | None = None,
        lock: str = LOCK,
    ) -> AbstractContextManager[None]:
        """Hold the library for a long write of several transactions (see `corpora.store.guard`)."""
        return held(self.folder, wait=wait, on_wait=on_wait, lock=lock)
