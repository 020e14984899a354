"""One long writer at a time: a kernel lock on `lock.db`, taken through SQLite, that dies with its holder.

A transaction of `library.db` protects one commit. This lock covers a whole ingest, from its plan to its
last commit. The holder keeps a RESERVED lock, under which others can still read who holds it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from corpora.errors import Busy, StorageError
from corpora.store.connection import WAIT_SECONDS, translated

LOCK = "lock.db"
TEACHING = "teaching.db"  # held by a run of `generate`, beside which documents may be ingested
_PAUSE = 0.1


@contextmanager
def held(
    folder: Path,
    *,
    wait: float = WAIT_SECONDS,
    on_wait: Callable[[str], None] | None = None,
    lock: str = LOCK,
) -> Iterator[None]:
    """Hold the library for one long write; `on_wait` hears once who is being waited for.

    Raises Busy after `wait` seconds. Nothing has to be cleaned up after a holder that was killed.
    """
    with translated(folder):
        connection = _opened(folder / lock)
    try:
        with translated(folder):
            _acquire(connection, folder, wait, on_wait)
        yield
    finally:
        connection.close()  # ends the transaction and with it the lock


def _opened(path: Path) -> sqlite3.Connection:
    for attempt in (1, 2):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StorageError(
                f"{path}: {error.strerror}.", hint="make the library folder writable", code="read_only"
            ) from error
        connection = sqlite3.connect(path, timeout=0.05, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # what it holds is worth nothing after a crash
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:  # busy: it is sound
            return connection
        except sqlite3.DatabaseError:
            connection.close()
            if attempt == 2:
                raise
            path.unlink(missing_ok=True)  # damaged, so nobody can hold it
        else:
            return connection
    raise AssertionError


def _acquire(
    connection: sqlite3.Connection, folder: Path, wait: float, on_wait: Callable[[str], None] | None
) -> None:
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            if _holder(connection) == _me():
                return
            _sign(connection)  # and begin again: only a committed row can be read by those who wait
            continue
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        holder = _described(connection)
        if time.monotonic() >= deadline:
            raise Busy(
                f"{holder} holds {folder}; gave up after {wait:.0f} s.",
                hint="wait for it or stop it, then run the command again",
            )
        if not told and on_wait is not None:
            on_wait(f"{holder} holds {folder}; waiting up to {wait:.0f} s.")
        told = True
        time.sleep(_PAUSE)


def _me() -> tuple[int, str]:
    return os.getpid(), _STARTED


_STARTED = datetime.now().astimezone().isoformat(timespec="microseconds")


def _sign(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS holder (one INTEGER PRIMARY KEY, pid INTEGER, started TEXT)"
    )
    connection.execute("REPLACE INTO holder VALUES (1, ?, ?)", _me())
    connection.execute("COMMIT")


def _holder(connection: sqlite3.Connection) -> tuple[int, str] | None:
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'holder'").fetchone() is None:
        return None
    row = connection.execute("SELECT pid, started FROM holder").fetchone()
    return (int(row[0]), str(row[1])) if row else None


def _described(connection: sqlite3.Connection) -> str:
    try:
        holder = _holder(connection)
    except sqlite3.OperationalError:  # it is being written this very moment
        holder = None
    if holder is None:
        return "Another process"
    return f"Another process (pid {holder[0]}, started {holder[1][11:16]})"
