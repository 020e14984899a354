"""One write transaction: everything put through it becomes visible and durable at once, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from corpora.store.records import CacheSegment, NewDocument, SkippedFile, Stat, stored_path

# A cache that is being built from before a removal must still find the tombstone when it is done.
_TOMBSTONE_SECONDS = 3600


def now_text() -> str:
    """This moment, ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def passage_id(document_id: str, sha256: str, start: int, end: int) -> str:
    """What users and exports call a passage: the same for the same span of the same bytes (16 hex digits)."""
    key = f"{document_id}\0{sha256}\0{start}\0{end}".encode()
    return hashlib.blake2b(key, digest_size=8).hexdigest()


class Writer:
    """Made by `Library.write()`; not to be kept after its `with` block."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.changed = False
        row = connection.execute("SELECT value FROM manifest WHERE key = 'generation'").fetchone()
        self.generation = int(row[0]) + 1
        """The library's generation once this transaction is committed, should it change passages."""

    def finish(self) -> None:
        """Last act before the commit."""
        if self.changed:
            self.set_manifest("generation", str(self.generation))

    def set_manifest(self, key: str, value: str | None) -> None:
        """Store a fact about the library; None takes it away."""
        if value is None:
            self.connection.execute("DELETE FROM manifest WHERE key = ?", (key,))
        else:
            self.connection.execute("REPLACE INTO manifest VALUES (?, ?)", (key, value))

    def set_job(self, kind: str, detail: str | None) -> None:
        """Note down what a long job needs to go on after a kill; None when it is done."""
        if detail is None:
            self.connection.execute("DELETE FROM jobs WHERE kind = ?", (kind,))
        else:
            self.connection.execute("REPLACE INTO jobs VALUES (?, ?, ?)", (kind, detail, now_text()))

    def add_root(self, path: str) -> None:
        """Remember that this file or folder was ingested now."""
        self.connection.execute("REPLACE INTO roots VALUES (?, ?)", (stored_path(path), now_text()))

    def put_document(self, new: NewDocument) -> str:
        """Add a document, or replace the version stored under its path; returns its id.

        Raises ValueError when there are no passages or their vectors do not fit the library's dimension.
        """
        self._check_vectors(new)
        number, document_id = self._document_row(new)
        text = new.extracted.text
        self.connection.execute(
            "REPLACE INTO texts (document, marks, blocks, text) VALUES (?, ?, ?, ?)",
            (
                number,
                json.dumps([[mark.start, mark.page, mark.heading] for mark in new.extracted.marks]),
                json.dumps([[block.start, block.end] for block in new.extracted.blocks]),
                text,
            ),
        )
        width = len(new.vectors) // len(new.pieces)
        vectors = memoryview(new.vectors)
        for ordinal, piece in enumerate(new.pieces):
            cursor = self.connection.execute(
                'INSERT INTO passages (id, document, ordinal, start, "end", line_start, line_end, page,'
                " heading, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    passage_id(document_id, new.sha256, piece.start, piece.end),
                    number,
                    ordinal,
                    piece.start,
                    piece.end,
                    piece.line_start,
                    piece.line_end,
                    piece.page,
                    piece.heading,
                    text[piece.start : piece.end],
                ),
            )
            self.connection.execute(
                "INSERT INTO vectors VALUES (?, ?)",
                (cursor.lastrowid, vectors[ordinal * width : (ordinal + 1) * width]),
            )
        self.forget_skip(new.path)
        self.changed = True
        return document_id

    def _check_vectors(self, new: NewDocument) -> None:
        if not new.pieces:
            raise ValueError(f"{new.path}: no passages")
        row = self.connection.execute("SELECT value FROM manifest WHERE key = 'dimension'").fetchone()
        if row is None or len(new.vectors) != len(new.pieces) * int(row[0]) * 4:
            raise ValueError(f"{new.path}: {len(new.vectors)} bytes of vectors do not fit the library")

    def _document_row(self, new: NewDocument) -> tuple[int, str]:
        """Insert or renew the row of `documents`; a replaced version's passages are gone after it."""
        extracted, stat = new.extracted, new.stat
        values = {
            "path": stored_path(new.path),
            "kind": extracted.kind,
            "sha256": new.sha256,
            "size": stat.size,
            "mtime_ns": stat.mtime_ns,
            "ctime_ns": stat.ctime_ns,
            "checked_ns": stat.checked_ns,
            "characters": len(extracted.text),
            "passages": len(new.pieces),
            "hidden_removed": extracted.hidden_removed,
            "notes": json.dumps(extracted.notes, ensure_ascii=False),
            "stale": None,
            "ingested_at": now_text(),
        }
        row = self.connection.execute(
            "SELECT number, id FROM documents WHERE path = ?", (values["path"],)
        ).fetchone()
        if row is not None:
            self._drop_passages(row[0])
            self.connection.execute("DELETE FROM pending_documents WHERE document = ?", (row[0],))
            assignments = ", ".join(f"{name} = :{name}" for name in values)
            self.connection.execute(
                f"UPDATE documents SET {assignments} WHERE number = :number",  # noqa: S608 - our own names
                {**values, "number": row[0]},
            )
            return int(row[0]), str(row[1])
        document_id = self._free_id(new.path)
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        cursor = self.connection.execute(
            f"INSERT INTO documents (id, {names}) VALUES (:id, {places})",  # noqa: S608 - our own names
            {**values, "id": document_id},
        )
        return int(cursor.lastrowid or 0), document_id

    def _free_id(self, path: str) -> str:
        """The id of a document first seen at `path`; salted where a renamed document still has it."""
        salt = 0
        while True:
            key = os.fsencode(path) + (f"\0{salt}".encode() if salt else b"")
            candidate = hashlib.sha256(key).hexdigest()[:16]
            if not self.connection.execute("SELECT 1 FROM documents WHERE id = ?", (candidate,)).fetchone():
                return candidate
            salt += 1

    def _drop_passages(self, number: int) -> None:
        self.connection.execute(
            "INSERT INTO tombstones SELECT rowid, ?, ? FROM passages WHERE document = ?",
            (self.generation, int(time.time()), number),
        )
        self.connection.execute("DELETE FROM passages WHERE document = ?", (number,))
        self.changed = True

    def remove_document(self, document_id: str) -> None:
        """Take a document out with its text, passages and vectors; an unknown id is no error."""
        row = self.connection.execute("SELECT number FROM documents WHERE id = ?", (document_id,)).fetchone()
        if row is not None:
            self._drop_passages(row[0])
            self.connection.execute("DELETE FROM documents WHERE number = ?", (row[0],))

    def rename(self, document_id: str, path: str, stat: Stat | None = None) -> None:
        """Give a document another path; its id, passages and vectors stay."""
        self.connection.execute(
            "UPDATE documents SET path = ?, stale = NULL WHERE id = ?", (stored_path(path), document_id)
        )
        if stat is not None:
            self.set_stat(document_id, stat)
        self.changed = True

    def set_stat(self, document_id: str, stat: Stat) -> None:
        """The file looks different but holds the same bytes."""
        self.connection.execute(
            "UPDATE documents SET size = ?, mtime_ns = ?, ctime_ns = ?, checked_ns = ? WHERE id = ?",
            (stat.size, stat.mtime_ns, stat.ctime_ns, stat.checked_ns, document_id),
        )

    def mark_stale(self, document_id: str, reason: str | None) -> None:
        """Say why the stored version is older than the file; None when it is not any more."""
        self.connection.execute("UPDATE documents SET stale = ? WHERE id = ?", (reason, document_id))

    def remember_skip(self, skip: SkippedFile) -> None:
        """Remember a file that gave no text, so that it is listed, and not read again while unchanged."""
        stat = skip.stat
        self.connection.execute(
            "REPLACE INTO skips VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stored_path(skip.path),
                stat.size,
                stat.mtime_ns,
                stat.ctime_ns,
                stat.checked_ns,
                skip.sha256,
                skip.code,
                skip.reason,
                skip.reader,
            ),
        )

    def forget_skip(self, path: str) -> None:
        """The file is gone, or it gives text now."""
        self.connection.execute("DELETE FROM skips WHERE path = ?", (stored_path(path),))

    def set_cache_segments(self, cache: str, segments: Iterable[CacheSegment]) -> None:
        """Replace what is known of a derived cache, and drop tombstones that no cache needs any more."""
        self.connection.execute("DELETE FROM cache_segments WHERE cache = ?", (cache,))
        self.connection.executemany(
            "INSERT INTO cache_segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_segment_row(cache, segment) for segment in segments],
        )
        self.connection.execute(
            "DELETE FROM tombstones WHERE removed_at < ? AND NOT EXISTS (SELECT 1 FROM cache_segments AS s"
            " WHERE tombstones.rowid BETWEEN s.first AND s.last AND s.generation < tombstones.generation)",
            (int(time.time()) - _TOMBSTONE_SECONDS,),
        )


def _segment_row(cache: str, segment: CacheSegment) -> Sequence[str | int]:
    return (
        cache,
        segment.name,
        segment.first,
        segment.last,
        segment.rows,
        segment.generation,
        segment.sha256,
        segment.size,
        segment.mtime_ns,
        segment.inode,
        segment.detail,
    )
