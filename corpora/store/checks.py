"""Is the library whole, and does it hold the same as another one? For `doctor --deep` and the kill tests."""

from __future__ import annotations

import hashlib
import json
import sqlite3

from corpora.store.connection import connect, translated
from corpora.store.library import Library


def content_hash(library: Library) -> str:
    """sha256 (hex) over documents, extracted texts, passages and their offsets, in the order of paths.

    Row numbers, ids, times and vectors are not in it: two libraries made from the same files in any
    order, with any interruptions, have the same hash.
    """
    digest = hashlib.sha256()
    with library.snapshot():
        for document in library.documents():
            digest.update(_line(document.path, document.kind, document.sha256, document.hidden_removed))
            extracted = library.extracted(document.id)
            if extracted is not None:
                marks = [[mark.start, mark.page, mark.heading] for mark in extracted.marks]
                blocks = [[block.start, block.end] for block in extracted.blocks]
                digest.update(_line(extracted.text, marks, blocks))
            for p in library.passages_of(document.id):
                digest.update(
                    _line(p.ordinal, p.start, p.end, p.line_start, p.line_end, p.page, p.heading, p.text)
                )
    return digest.hexdigest()


def _line(*values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def problems(library: Library) -> list[str]:
    """What is wrong inside `library.db`, a line each; empty when all is well. Reads everything once."""
    found: list[str] = []
    with translated(library.folder):
        connection = connect(library.folder, library.access)
        try:
            connection.execute("BEGIN")  # one state for all the questions
            for (line,) in connection.execute("PRAGMA integrity_check").fetchall():
                if line != "ok":
                    found.append(f"integrity: {line}")
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                found.append("rows without an owner")
            for query, what in _COUNTED:
                count = connection.execute(query).fetchone()[0]
                if count:
                    found.append(f"{count} {what}")
            found += _offsets(connection)
        finally:
            connection.close()
    return found


_COUNTED = (
    (
        "SELECT count(*) FROM documents AS d WHERE d.passages <>"
        " (SELECT count(*) FROM passages AS p WHERE p.document = d.number)",
        "documents without exactly their passages",
    ),
    (
        "SELECT count(*) FROM documents AS d WHERE d.passages - 1 <>"
        " (SELECT max(ordinal) FROM passages AS p WHERE p.document = d.number)",
        "documents with a gap in their passages",
    ),
    (
        "SELECT count(*) FROM documents LEFT JOIN texts ON document = number WHERE document IS NULL",
        "documents without a text",
    ),
    (
        "SELECT count(*) FROM passages AS p LEFT JOIN vectors AS v ON v.rowid = p.rowid"
        " WHERE v.rowid IS NULL",
        "passages without a vector",
    ),
    (
        "SELECT count(*) FROM vectors WHERE length(vector) <>"
        " 4 * coalesce((SELECT value FROM manifest WHERE key = 'dimension'), 0)",
        "vectors of a wrong length",
    ),
    (
        "SELECT count(*) FROM tombstones JOIN passages USING (rowid)",
        "passages that are marked as removed",
    ),
)

_SPANS = {
    "passages": 'SELECT start, "end", text FROM passages WHERE document = ?',
    "quotes": 'SELECT q.start, q."end", q.text FROM example_quotes AS q JOIN examples ON number = q.example'
    " WHERE q.document = ? AND status = 'accepted' AND stale IS NULL",
}


def _offsets(connection: sqlite3.Connection) -> list[str]:
    """Passages, and quotes of living examples, whose text is not the span of the document that they name."""
    wrong = {"passages": 0, "quotes": 0}
    for number, text in connection.execute("SELECT document, text FROM texts"):
        for what, query in _SPANS.items():
            rows = connection.execute(query, (number,))
            wrong[what] += sum(text[start:end] != quoted for start, end, quoted in rows)
    return [f"{n} {what} whose text is not that of their offsets" for what, n in wrong.items() if n]
