"""Erase a document for good: no byte of its text is left in any file of the library."""

from __future__ import annotations

import shutil

from corpora.errors import Busy
from corpora.store.connection import DATABASE, connect, translated
from corpora.store.library import Library
from corpora.store.writer import Writer


def purge(library: Library, document_id: str) -> None:
    """Remove a document, rewrite the database without its free pages, drop caches and older copies.

    Every example that quotes it goes too, reviewed or not, and all stored replies of teachers, since any of
    them may repeat it; and so do conversations, from the first answer on for which it was read.

    The derived caches are rebuilt by the next search. Takes the time of copying the database. Raises Busy
    if another process keeps the old pages in use: they go when it ends, or with the next purge.
    """
    with library.guard():
        with library.write() as writer:
            writer.connection.execute("DELETE FROM cache_segments")
            writer.connection.execute(
                "DELETE FROM examples WHERE number IN"
                " (SELECT example FROM example_quotes WHERE document_id = ?)",
                (document_id,),
            )
            writer.connection.execute("DELETE FROM teacher_replies")
            _forget_conversations(writer, document_id)
            path = next((known.path for known in library.known() if known.id == document_id), None)
            writer.remove_document(document_id)
            if path is not None:
                writer.forget_skip(path)
        shutil.rmtree(library.folder / "index", ignore_errors=True)
        for copy in library.folder.glob(f"{DATABASE}.format-*"):
            copy.unlink()
        _rewrite(library)


def _forget_conversations(writer: Writer, document_id: str) -> None:
    """Later turns may repeat what an earlier one said."""
    writer.connection.execute(
        "DELETE FROM turns WHERE number IN (SELECT later.number FROM turns AS read JOIN turns AS later"
        " ON later.session = read.session AND later.number >= read.number WHERE instr(read.answer, ?))",
        (f'"document_id":"{document_id}"',),
    )
    writer.connection.execute("DELETE FROM sessions WHERE number NOT IN (SELECT session FROM turns)")


def _rewrite(library: Library) -> None:
    with translated(library.folder):
        connection = connect(library.folder)
        try:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("VACUUM")  # deleted text lives on in free pages, also that of older versions
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
    if busy:
        raise Busy(
            "Removed, but another process still uses the old pages; they go when it ends.",
            hint="end it (a chat or search that runs on this library)",
        )
