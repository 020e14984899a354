"""A second set of passages and vectors that grows beside the one in use, until it takes its place.

`assistant reindex` fills it, a document a transaction; a kill loses nothing, and searches go on with the
old set until `swap` puts the new one in place in one transaction. A document that is ingested again
meanwhile loses its pending passages and is done anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from corpora.store.library import Library
from corpora.store.writer import Writer, passage_id

if TYPE_CHECKING:
    from corpora.chunking import Piece

_JOB = "reindex"


def pending_facts(library: Library) -> dict[str, str] | None:
    """The manifest entries that an unfinished reindex is to set; None when there is none."""
    detail = library.job(_JOB)
    return None if detail is None else dict(json.loads(detail))


def pending_documents(library: Library) -> set[str]:
    """Ids of the documents that are done."""
    rows = library.fetch("SELECT id FROM documents JOIN pending_documents ON document = number")
    return {str(row[0]) for row in rows}


def start(writer: Writer, facts: Mapping[str, str]) -> None:
    """Begin anew; what an earlier unfinished job left is dropped."""
    abandon(writer)
    writer.set_job(_JOB, json.dumps(facts))


def abandon(writer: Writer) -> None:
    """Drop the pending set and its job."""
    writer.connection.execute("DELETE FROM pending_passages")
    writer.connection.execute("DELETE FROM pending_documents")
    writer.set_job(_JOB, None)


def put(writer: Writer, document_id: str, pieces: Sequence[Piece], vectors: bytes) -> None:
    """Add one document's passages; `vectors` are float32 little-endian rows, one a piece, joined."""
    row = writer.connection.execute("SELECT number FROM documents WHERE id = ?", (document_id,)).fetchone()
    if row is None:
        return
    writer.connection.execute("DELETE FROM pending_documents WHERE document = ?", row)
    writer.connection.execute("INSERT INTO pending_documents VALUES (?)", row)
    width = len(vectors) // len(pieces)
    writer.connection.executemany(
        "INSERT INTO pending_passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row[0],
                ordinal,
                piece.start,
                piece.end,
                piece.line_start,
                piece.line_end,
                piece.page,
                piece.heading,
                vectors[ordinal * width : (ordinal + 1) * width],
            )
            for ordinal, piece in enumerate(pieces)
        ],
    )


def swap(writer: Writer) -> None:
    """Put the pending set in place of the one in use. Raises ValueError if a document is not done.

    All passages get new rowids, so that no derived cache can mistake an old vector for a new one.
    """
    connection = writer.connection
    job = connection.execute("SELECT detail FROM jobs WHERE kind = ?", (_JOB,)).fetchone()
    undone = connection.execute(
        "SELECT count(*) FROM documents LEFT JOIN pending_documents ON document = number"
        " WHERE document IS NULL"
    ).fetchone()[0]
    if job is None or undone:
        raise ValueError(f"{undone} documents are not encoded yet")
    connection.execute(
        "INSERT INTO tombstones SELECT rowid, ?, ? FROM passages", (writer.generation, int(time.time()))
    )
    connection.execute("DELETE FROM passages")
    documents = connection.execute("SELECT number, id, sha256 FROM documents ORDER BY number").fetchall()
    for number, document_id, sha256 in documents:
        _swap_document(writer, number, document_id, sha256)
    for key, value in json.loads(job[0]).items():
        writer.set_manifest(key, value)
    connection.execute("DELETE FROM cache_segments")
    abandon(writer)
    writer.changed = True


def _swap_document(writer: Writer, number: int, document_id: str, sha256: str) -> None:
    connection = writer.connection
    text = connection.execute("SELECT text FROM texts WHERE document = ?", (number,)).fetchone()[0]
    rows = connection.execute(
        'SELECT start, "end", ordinal, line_start, line_end, page, heading, vector FROM pending_passages'
        " WHERE document = ? ORDER BY ordinal",
        (number,),
    ).fetchall()
    for start_, end, *between, vector in rows:
        rowid = connection.execute(
            'INSERT INTO passages (id, document, start, "end", text, ordinal, line_start, line_end, page,'
            " heading) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (passage_id(document_id, sha256, start_, end), number, start_, end, text[start_:end], *between),
        ).lastrowid
        connection.execute("INSERT INTO vectors VALUES (?, ?)", (rowid, vector))
    connection.execute("UPDATE documents SET passages = ? WHERE number = ?", (len(rows), number))
