"""Opening `library.db`: pragmas, permissions, and SQLite's errors in the program's own words."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from corpora.errors import AssistantError, Busy, Conflict, NothingToDo, StorageError

DATABASE = "library.db"
WAIT_SECONDS = 30.0


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn any sqlite3.Error inside into the AssistantError that a user can act on."""
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(error, folder) from error


def _in_words(error: sqlite3.Error, folder: Path) -> AssistantError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary == sqlite3.SQLITE_FULL:
        free = _free_megabytes(folder)
        return StorageError(
            f"No space left for {folder} ({free} MB free); the library is as it was.",
            hint="free some space and run the command again",
            code="no_space",
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(f"Another process is writing to {folder}.", hint="wait for it, or stop it, and try again")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(folder, str(error))
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return read_only(folder)
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH):
        return StorageError(f"{folder / DATABASE}: {error}.", hint="assistant doctor")
    if isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError) and "no such" in str(error):
        return damaged(folder, str(error))
    return StorageError(f"{folder / DATABASE}: {error}.", hint="assistant doctor")


def damaged(folder: Path, detail: str) -> StorageError:
    """The error for a file that is no sound library."""
    return StorageError(
        f"{folder / DATABASE} is damaged: {detail}.",
        hint=f"move {folder} away and ingest the documents again, or restore it from a backup",
        code="damaged",
    )


def read_only(folder: Path) -> StorageError:
    """The error for writing where one may only read."""
    return StorageError(
        f"{folder} is read-only: search and ask work, changes do not.",
        hint="make the folder writable, or name another one with --library",
        code="read_only",
    )


def not_writable(folder: Path) -> AssistantError:
    """Why a library that can be read cannot be written: permissions, or what SQLite says."""
    if os.access(folder, os.W_OK) and os.access(folder / DATABASE, os.W_OK):
        try:
            connect(folder).close()
        except sqlite3.Error as error:
            return _in_words(error, folder)
    return read_only(folder)


def _free_megabytes(folder: Path) -> int:
    with suppress(OSError):
        return shutil.disk_usage(folder).free // 1_000_000
    return 0


def refuse_foreign(folder: Path) -> None:
    """Raise Conflict when another user owns the library: its settings and texts are not ours to trust."""
    allowed = {os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        allowed.add(int(os.environ["SUDO_UID"]))  # as git does for safe.directory
    for path in (folder, folder / DATABASE):
        owner = path.stat().st_uid
        if owner not in allowed:
            raise Conflict(
                f"{path} belongs to another user (uid {owner}).",
                hint=f"if you trust it, name it: --library {folder}",
                code="foreign_library",
            )


class Access(StrEnum):
    """How `library.db` can be opened; the values are SQLite's URI parameters."""

    WRITE = "mode=rw"
    READ = "mode=ro"  # not ours to write, but somebody may be writing it
    FROZEN = "mode=ro&immutable=1"  # nothing can change it: no WAL, no locks


def connect(folder: Path, access: Access = Access.WRITE) -> sqlite3.Connection:
    """A connection with our pragmas, in autocommit mode: transactions are begun and ended by hand."""
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(folder / DATABASE))}?{access.value}",
        uri=True,
        timeout=WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens the file and its WAL
    except BaseException:
        connection.close()
        raise
    return connection


def access_to(folder: Path) -> Access:
    """The widest access to the library; raises the error for one that cannot even be read.

    On read-only media and on a full disk the side files of a WAL database cannot be made. If they are there,
    they are read; if they are not, nobody is writing, and the database is read as it lies.
    """
    database = folder / DATABASE
    if not database.is_file():
        raise NothingToDo(f"No library in {folder}.", hint="assistant ingest FOLDER")
    tries = [Access.FROZEN]
    if _has_wal(database):
        tries = [Access.READ]
    if os.access(folder, os.W_OK) and os.access(database, os.W_OK):
        tries.insert(0, Access.WRITE)
    with translated(folder):
        for access in tries:
            try:
                connect(folder, access).close()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _NOT_TO_BE_WRITTEN:
                    raise
            else:
                return access
    raise StorageError(
        f"{folder} cannot be written to and holds an unfinished write ({DATABASE}-wal).",
        hint=f"copy {folder} to a disk with space and name the copy with --library",
        code="read_only",
    )


_NOT_TO_BE_WRITTEN = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
)


def _has_wal(database: Path) -> bool:
    wal = database.with_name(database.name + "-wal")
    return wal.is_file() and wal.stat().st_size > 0
