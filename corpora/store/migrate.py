"""From an older format of `library.db` to this one: a copy first, then every step in one transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from corpora.errors import Conflict
from corpora.store.connection import DATABASE, Access, connect, damaged, read_only, translated
from corpora.store.guard import held
from corpora.store.schema import APPLICATION_ID, EXAMPLES, FORMAT_VERSION, SESSIONS


def _adds(tables: str) -> Callable[[sqlite3.Connection], None]:
    """A step that creates what a format adds."""

    def step(connection: sqlite3.Connection) -> None:
        statement = ""
        for line in tables.splitlines(keepends=True):  # executescript would end the transaction
            statement += line
            if sqlite3.complete_statement(statement):
                connection.execute(statement)
                statement = ""

    return step


# Step n turns format n into n + 1, inside a transaction that is not its own.
STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _adds(EXAMPLES), 2: _adds(SESSIONS)}


def format_of(connection: sqlite3.Connection, folder: Path) -> int:
    """The stored format version; raises StorageError for a file that is no library."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise damaged(folder, "it is not a library")
    row = connection.execute("SELECT value FROM manifest WHERE key = 'format_version'").fetchone()
    if row is None or not str(row[0]).isdigit():
        raise damaged(folder, "its format version is missing")
    return int(row[0])


def ensure_current(folder: Path, access: Access) -> None:
    """Check the format and bring an older one up to date; Conflict (file untouched) for a newer one."""
    with translated(folder):
        connection = connect(folder, access)
        try:
            found = format_of(connection, folder)
        finally:
            connection.close()
    if found > FORMAT_VERSION:
        raise Conflict(
            f"{folder} has format {found}; this program reads up to {FORMAT_VERSION}.",
            hint="pip install --upgrade grounded-assistant",
            code="wrong_format",
        )
    if found < FORMAT_VERSION:
        if access is not Access.WRITE:
            raise read_only(folder)
        with held(folder):
            _migrate(folder)


def _migrate(folder: Path) -> None:
    with translated(folder):
        connection = connect(folder)
        try:
            found = format_of(connection, folder)
            if found >= FORMAT_VERSION:  # another process was quicker
                return
            if any(step not in STEPS for step in range(found, FORMAT_VERSION)):
                raise Conflict(
                    f"{folder} has format {found}, which this program no longer reads.",
                    hint=f"move {folder} away and ingest the documents again",
                    code="wrong_format",
                )
            _copy(connection, folder / f"{DATABASE}.format-{found}")
            connection.execute("PRAGMA foreign_keys = OFF")  # a step may rebuild tables
            connection.execute("BEGIN IMMEDIATE")
            for step in range(found, FORMAT_VERSION):
                STEPS[step](connection)
            connection.execute(
                "UPDATE manifest SET value = ? WHERE key = 'format_version'", (str(FORMAT_VERSION),)
            )
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise damaged(folder, "rows without an owner after migration")
            connection.execute("COMMIT")
        finally:
            connection.close()


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """A full, durable copy under the final name only once it is whole."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    copy = sqlite3.connect(partial)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    sync(partial)
    partial.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Force a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
