"""The library: documents, passages and vectors in one SQLite file, the only truth.

    with Library.create(folder) as library:            # folder is the `.assistant` itself
        with library.write() as w:                     # one durable transaction
            w.put_document(NewDocument(...))
        library.passages([3, 1])

Reads may come from any thread and are never blocked by a writer (WAL). Each read sees the last commit;
inside `snapshot()` all reads of a thread see the same one.
"""

from __future__ import annotations

import json
import os
import sqlite3
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpora.errors import StorageError
from corpora.records import Document, Extracted, Mark, Passage, Span, indexed_text
from corpora.store import schema
from corpora.store.connection import DATABASE, Access, access_to, not_writable, refuse_foreign, translated
from corpora.store.database import Database
from corpora.store.glob import compile_glob
from corpora.store.guard import held
from corpora.store.migrate import ensure_current, sync
from corpora.store.records import CacheSegment, KnownDocument, SkippedFile, Stat, shown_path, stored_path
from corpora.store.writer import now_text

_DOCUMENT = (
    "SELECT id, path, kind, sha256, size, mtime_ns, characters, passages, hidden_removed, notes, stale,"
    " ingested_at FROM documents"
)
_PASSAGE = (
    'SELECT p.rowid, p.id, d.id, d.path, d.kind, p.ordinal, p.start, p."end", p.line_start, p.line_end,'
    " p.page, p.heading, p.text FROM passages AS p JOIN documents AS d ON d.number = p.document"
)


class Library(Database):
    """An open library folder. Use `create` or `open`, and close it (or use it as a context manager)."""

    @classmethod
    def create(cls, folder: Path, *, named: bool = False) -> Library:
        """Open the library in `folder`, making it (mode 0700) where there is none."""
        folder = Path(os.path.realpath(folder))
        if not (folder / DATABASE).exists():
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(
                    f"{folder}: {error.strerror}.", hint="name another folder with --library"
                ) from error
            with held(folder):
                if not (folder / DATABASE).exists():
                    _build(folder)
        return cls.open(folder, writable=True, named=named)

    @classmethod
    def open(cls, folder: Path, writable: bool = False, *, named: bool = False) -> Library:
        """Open an existing library; an older format is migrated first.

        `named` says that the user named this folder, so that another owner is accepted. Raises NothingToDo
        (none here), Conflict (foreign, newer format), StorageError (damaged; read-only though `writable`).
        """
        folder = Path(os.path.realpath(folder))
        access = access_to(folder)
        if not named:
            refuse_foreign(folder)
        if writable and access is not Access.WRITE:
            raise not_writable(folder)
        ensure_current(folder, access)
        return cls(folder, access)

    # -- the library as a whole --------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Grows by each commit that changes passages or their paths."""
        return int(self.manifest("generation") or 0)

    def manifest(self, key: str) -> str | None:
        """A stored fact: encoder, encoder_fingerprint, dimension, chunk_tokens, chunk_overlap, ..."""
        row = self.fetch_one("SELECT value FROM manifest WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def counts(self) -> tuple[int, int]:
        """Documents and passages."""
        row = self.fetch_one("SELECT count(*), coalesce(sum(passages), 0) FROM documents")
        return int(row[0]), int(row[1])

    def roots(self) -> list[str]:
        """The files and folders that were ever named to `ingest`, absolute."""
        return [shown_path(row[0]) for row in self.fetch("SELECT path FROM roots ORDER BY path")]

    def job(self, kind: str) -> str | None:
        """What an unfinished job of this kind has noted down, else None."""
        row = self.fetch_one("SELECT detail FROM jobs WHERE kind = ?", (kind,))
        return None if row is None else str(row[0])

    # -- documents ---------------------------------------------------------------------------------

    def documents(self) -> list[Document]:
        """All of them, by path."""
        found = [_document(row) for row in self.fetch(_DOCUMENT)]
        return sorted(found, key=lambda document: document.path)

    def document(self, path: str) -> Document | None:
        """The document of this path (relative to `root`, or absolute outside of it)."""
        row = self.fetch_one(f"{_DOCUMENT} WHERE path = ?", (stored_path(path),))
        return None if row is None else _document(row)

    def text(self, document_id: str) -> str:
        """The extracted text; empty for an unknown id."""
        row = self.fetch_one(
            "SELECT text FROM texts JOIN documents ON number = document WHERE id = ?", (document_id,)
        )
        return "" if row is None else str(row[0])

    def extracted(self, document_id: str) -> Extracted | None:
        """What the reader made of the file, marks and blocks included."""
        row = self.fetch_one(
            "SELECT text, kind, marks, blocks, hidden_removed, notes FROM texts"
            " JOIN documents ON number = document WHERE id = ?",
            (document_id,),
        )
        if row is None:
            return None
        return Extracted(
            text=row[0],
            kind=row[1],
            marks=tuple(Mark(*mark) for mark in json.loads(row[2])),
            blocks=tuple(Span(*block) for block in json.loads(row[3])),
            hidden_removed=row[4],
            notes=tuple(json.loads(row[5])),
        )

    def known(self) -> list[KnownDocument]:
        """What a sync compares the files with."""
        rows = self.fetch(
            "SELECT id, path, sha256, size, mtime_ns, ctime_ns, checked_ns, stale FROM documents"
        )
        return [KnownDocument(row[0], shown_path(row[1]), row[2], Stat(*row[3:7]), row[7]) for row in rows]

    def skipped(self) -> list[SkippedFile]:
        """The files that gave no text, by path."""
        rows = self.fetch(
            "SELECT path, size, mtime_ns, ctime_ns, checked_ns, sha256, code, reason, reader FROM skips"
        )
        found = [SkippedFile(shown_path(row[0]), Stat(*row[1:5]), *row[5:]) for row in rows]
        return sorted(found, key=lambda skip: skip.path)

    # -- passages ----------------------------------------------------------------------------------

    def passages(self, rowids: Sequence[int]) -> list[Passage]:
        """Passages in the order asked; those that are gone are left out."""
        found: dict[int, Passage] = {}
        for at in range(0, len(rowids), 500):
            some = [int(rowid) for rowid in rowids[at : at + 500]]
            places = ",".join("?" * len(some))
            for row in self.fetch(f"{_PASSAGE} WHERE p.rowid IN ({places})", some):
                found[row[0]] = _passage(row)
        return [found[rowid] for rowid in map(int, rowids) if rowid in found]

    def passages_of(self, document_id: str) -> list[Passage]:
        """The passages of one document, in its order."""
        return [
            _passage(row)
            for row in self.fetch(f"{_PASSAGE} WHERE d.id = ? ORDER BY p.ordinal", (document_id,))
        ]

    def passage_keys(self) -> list[tuple[int, str, str]]:
        """(rowid, passage id, document id) of every passage, by document path, then in its order."""
        rows = self.fetch(
            "SELECT p.rowid, p.id, d.id FROM passages AS p JOIN documents AS d ON d.number = p.document"
            " ORDER BY d.path, p.ordinal"
        )
        return [(int(rowid), str(name), str(document)) for rowid, name, document in rows]

    def rows(self, after: int, limit: int) -> list[tuple[int, str]]:
        """(rowid, indexed text) of the next `limit` passages with rowid > `after`, by rowid."""
        rows = self.fetch(
            "SELECT rowid, heading, text FROM passages WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, limit)
        )
        return [(rowid, indexed_text(heading, text)) for rowid, heading, text in rows]

    def vectors(self, after: int, limit: int) -> tuple[array[int], bytes]:
        """Rowids (int64) and float32 little-endian rows joined, of the next `limit` passages."""
        rows = self.fetch(
            "SELECT rowid, vector FROM vectors WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, limit)
        )
        return array("q", [row[0] for row in rows]), b"".join(row[1] for row in rows)

    def vectors_of(self, rowids: Sequence[int]) -> tuple[array[int], bytes]:
        """As `vectors`, of just these passages, by rowid; those that are gone are left out."""
        rows = self.fetch(
            "SELECT rowid, vector FROM vectors WHERE rowid IN (SELECT value FROM json_each(?))"
            " ORDER BY rowid",
            (json.dumps([int(rowid) for rowid in rowids]),),
        )
        return array("q", [row[0] for row in rows]), b"".join(row[1] for row in rows)

    def vectors_by_text(self, document_id: str) -> dict[str, bytes]:
        """The vector of each indexed text of one document, to be used again in its next version."""
        rows = self.fetch(
            "SELECT p.heading, p.text, v.vector FROM passages AS p JOIN vectors AS v ON v.rowid = p.rowid"
            " JOIN documents AS d ON d.number = p.document WHERE d.id = ?",
            (document_id,),
        )
        return {indexed_text(heading, text): vector for heading, text, vector in rows}

    def filter_rowids(self, glob: str | None = None, kind: str | None = None) -> array[int] | None:
        """Sorted rowids (int64) of passages whose document matches; None when nothing is filtered."""
        if glob is None and kind is None:
            return None
        pattern = compile_glob(glob) if glob is not None else None
        numbers = [
            number
            for number, path, its_kind in self.fetch("SELECT number, path, kind FROM documents")
            if (kind is None or its_kind == kind) and (pattern is None or pattern.fullmatch(shown_path(path)))
        ]
        rows = self.fetch(
            "SELECT rowid FROM passages WHERE document IN (SELECT value FROM json_each(?)) ORDER BY rowid",
            (json.dumps(numbers),),
        )
        return array("q", [row[0] for row in rows])

    # -- derived caches ----------------------------------------------------------------------------

    def removed(self, after_generation: int = 0) -> array[int]:
        """Sorted rowids (int64) gone since a generation, as far as a cache may still hold them."""
        rows = self.fetch(
            "SELECT rowid FROM tombstones WHERE generation > ? ORDER BY rowid", (after_generation,)
        )
        return array("q", [row[0] for row in rows])

    def cache_segments(self, cache: str) -> list[CacheSegment]:
        """The segments of a derived cache as last recorded, by first rowid."""
        rows = self.fetch(
            "SELECT name, first, last, rows, generation, sha256, size, mtime_ns, inode, detail"
            " FROM cache_segments WHERE cache = ? ORDER BY first",
            (cache,),
        )
        return [CacheSegment(*row) for row in rows]


def _document(row: Sequence[Any]) -> Document:
    document_id, path, *rest = row
    rest[7] = tuple(json.loads(rest[7]))  # the notes
    return Document(document_id, shown_path(path), *rest)


def _passage(row: Sequence[Any]) -> Passage:
    rowid, passage_id, document_id, path, *rest = row
    return Passage(rowid, passage_id, document_id, shown_path(path), *rest)


def _build(folder: Path) -> None:
    """Make `library.db` under another name and move it in place whole; the caller holds the guard."""
    partial = folder / f"{DATABASE}.partial"
    for name in (partial.name, f"{partial.name}-journal"):
        (folder / name).unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with translated(folder):
        connection = sqlite3.connect(partial, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size = {schema.PAGE_SIZE}")
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.executescript(f"BEGIN; {schema.TABLES} {schema.EXAMPLES} {schema.SESSIONS} COMMIT;")
            facts = {
                "format_version": str(schema.FORMAT_VERSION),
                "generation": "0",
                "created_at": now_text(),
            }
            connection.executemany("INSERT INTO manifest VALUES (?, ?)", list(facts.items()))
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
    sync(partial)
    partial.replace(folder / DATABASE)
    sync(folder)
