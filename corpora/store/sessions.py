"""Conversations in the library: written as they happen, a transaction a step.

store = SessionStore(library)
with library.write() as writer:
    session = store.add(writer, name="", parent=None)
    turn = store.begin(writer, session, NewTurn(...))     # what a kill leaves
with library.write() as writer:
    store.finish(writer, turn, "done", answer=answer)
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from corpora.errors import UsageError
from corpora.records import Answer
from corpora.store.database import Database
from corpora.store.example_rows import clean
from corpora.store.session_rows import (
    NewTurn,
    Rating,
    Session,
    Turn,
    TurnStatus,
    answer_text,
    folded,
    read_turn,
)
from corpora.store.writer import Writer, now_text

_SESSION = (
    "SELECT s.id, coalesce(nullif(s.name, ''), (SELECT t.question FROM turns AS t WHERE t.session = s.number"
    " ORDER BY t.number LIMIT 1), ''), s.created_at, s.updated_at,"
    " (SELECT count(*) FROM turns AS t WHERE t.session = s.number), s.parent FROM sessions AS s"
)
_LATEST_FIRST = " ORDER BY s.updated_at DESC, s.number DESC"
_TURN = (
    "SELECT t.number, s.id, t.question, t.searched, t.answer, t.status, t.error, t.rating, t.created_at,"
    " t.model, t.adapter, t.retrieval FROM turns AS t JOIN sessions AS s ON s.number = t.session"
)
# Columns of a turn that go with it to another session.
_COPIED = "question, searched, status, error, rating, model, adapter, retrieval, created_at, words, answer"


class SessionStore:
    """The conversations of one open library. Writes go through the `Writer` of a transaction."""

    def __init__(self, library: Database) -> None:
        self._library = library

    # -- reading -----------------------------------------------------------------------------------

    def sessions(self, limit: int | None = None) -> list[Session]:
        """All of them, the one that was last spoken in first."""
        rows = self._library.fetch(f"{_SESSION}{_LATEST_FIRST} LIMIT ?", (-1 if limit is None else limit,))
        return [Session(*row) for row in rows]

    def find(self, name: str) -> Session | None:
        """The session whose id is `name` or alone begins with it; UsageError where several do."""
        wanted = name.casefold()
        rows = self._library.fetch(
            f"{_SESSION} WHERE substr(s.id, 1, length(?1)) = ?1 ORDER BY s.id = ?1 DESC, s.id LIMIT 2",
            (wanted,),
        )
        if not wanted or not rows:
            return None
        if len(rows) > 1 and rows[0][0] != wanted:
            raise UsageError(f"{name!r} begins several ids.", hint="give more of its digits")
        return Session(*rows[0])

    def turns(self, session_id: str) -> list[Turn]:
        """The turns of a session, oldest first."""
        rows = self._library.fetch(f"{_TURN} WHERE s.id = ? ORDER BY t.number", (session_id,))
        return [read_turn(row) for row in rows]

    def turn(self, turn_id: int) -> Turn | None:
        """One turn by its number."""
        row = self._library.fetch_one(f"{_TURN} WHERE t.number = ?", (turn_id,))
        return None if row is None else read_turn(row)

    def search(self, query: str, limit: int | None = None) -> list[tuple[Session, Turn | None]]:
        """Sessions that hold all words of `query` in one turn, or in their name; latest first.

        With each goes the first turn that does, None where only the name does. Case does not matter, and
        words may be parts of words. A query without words finds nothing.
        """
        words = folded(query).split()
        if not words:
            return []
        every = " AND ".join(["instr(t.words, ?) > 0"] * len(words))
        with self._library.snapshot():
            numbers = self._library.fetch(
                "SELECT s.id, min(t.number) FROM turns AS t JOIN sessions AS s ON s.number = t.session"  # noqa: S608
                f" WHERE {every} GROUP BY s.id",  # our own text, a mark for each word
                words,
            )
            first = {str(session): int(number) for session, number in numbers}
            found: list[tuple[Session, Turn | None]] = []
            for session in self.sessions():
                if limit is not None and len(found) >= limit:
                    break
                named = all(word in folded(session.name) for word in words)
                if session.id in first:
                    found.append((session, self.turn(first[session.id])))
                elif named:
                    found.append((session, None))
        return found

    # -- writing -----------------------------------------------------------------------------------

    def add(self, writer: Writer, name: str = "", parent: str | None = None) -> str:
        """A new session without turns; returns its id (8 hex digits)."""
        while True:
            session_id = secrets.token_hex(4)
            cursor = writer.connection.execute(
                "INSERT OR IGNORE INTO sessions (id, name, parent, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (session_id, clean(name), parent, now_text(), now_text()),
            )
            if cursor.rowcount:
                return session_id

    def rename(self, writer: Writer, session_id: str, name: str) -> None:
        """Call a session `name`; "" lets its first question name it again."""
        writer.connection.execute("UPDATE sessions SET name = ? WHERE id = ?", (clean(name), session_id))

    def delete(self, writer: Writer, session_id: str) -> None:
        """Take a session out with all its turns; an unknown id is no error."""
        writer.connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    def copy_turns(self, writer: Writer, source: str, target: str, last: int | None = None) -> None:
        """Copy what was said in one session, up to the turn `last`, to the end of another.

        Turns that were never answered are left out.
        """
        writer.connection.execute(
            f"INSERT INTO turns (session, {_COPIED})"  # noqa: S608 - our own names
            f" SELECT (SELECT number FROM sessions WHERE id = ?), {_COPIED} FROM turns"
            " WHERE session = (SELECT number FROM sessions WHERE id = ?) AND status <> 'pending'"
            " AND number <= coalesce(?, number) ORDER BY number",
            (target, source, last),
        )

    def begin(self, writer: Writer, session_id: str, new: NewTurn) -> int:
        """Add a pending turn; returns its number. Raises UsageError where the session is gone."""
        cursor = writer.connection.execute(
            "INSERT INTO turns (session, question, searched, status, model, adapter, retrieval, created_at,"
            " words) SELECT number, ?, ?, 'pending', ?, ?, ?, ?, ? FROM sessions WHERE id = ?",
            (
                clean(new.question),
                clean(new.searched),
                new.model,
                new.adapter,
                new.retrieval,
                now_text(),
                folded(new.question),
                session_id,
            ),
        )
        if not cursor.rowcount:
            raise UsageError("This conversation was deleted meanwhile.", hint="begin a new one")
        writer.connection.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", (now_text(), session_id))
        return int(cursor.lastrowid or 0)

    def set_searched(self, writer: Writer, turn_id: int, searched: str) -> None:
        """What a pending turn's question became."""
        writer.connection.execute(
            "UPDATE turns SET searched = ? WHERE number = ?", (clean(searched), turn_id)
        )

    def finish(
        self,
        writer: Writer,
        turn_id: int,
        status: TurnStatus,
        *,
        answer: Answer | None = None,
        error: str | None = None,
    ) -> None:
        """What came of a turn."""
        said = answer.answer if answer else None
        writer.connection.execute(
            "UPDATE turns SET status = ?, error = ?, answer = ?, model = coalesce(?, model),"
            " adapter = CASE WHEN ? THEN ? ELSE adapter END, words = ? || words WHERE number = ?",
            (
                status,
                None if error is None else clean(error),
                None if answer is None else answer_text(answer),
                answer.model if answer else None,
                answer is not None and answer.model is not None,
                answer.adapter if answer else None,
                f"{folded(said)}\n" if said else "",
                turn_id,
            ),
        )

    def rate(self, writer: Writer, turn_id: int, rating: Rating | None) -> None:
        """What the user thinks of an answer."""
        writer.connection.execute("UPDATE turns SET rating = ? WHERE number = ?", (rating, turn_id))

    def remove_turns(self, writer: Writer, turn_ids: Sequence[int]) -> None:
        """Take out these turns."""
        writer.connection.executemany("DELETE FROM turns WHERE number = ?", [(one,) for one in turn_ids])
