"""The conversations of a library: list, search, resume, name, fork, delete, export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from assistant.chat.export import session_json, session_markdown
from assistant.chat.records import Rating, Session, Turn, TurnStatus
from corpora.errors import UsageError
from corpora.records import Answer
from corpora.store import Library, NewTurn, SessionStore

ExportFormat = Literal["markdown", "json"]
# `Sessions.list` hides the type of this name.
Turns = list[Turn]
Found = list[tuple[Session, Turn | None]]


class Sessions:
    """The conversations of one open library; every change is a durable transaction of its own."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._store = SessionStore(library)

    # -- looking -----------------------------------------------------------------------------------

    def list(self, limit: int | None = None) -> list[Session]:
        """The one that was last spoken in first; `limit` is how many at most."""
        return self._store.sessions(limit)

    def latest(self) -> Session | None:
        """The one to resume where none is named."""
        return next(iter(self._store.sessions(limit=1)), None)

    def search(self, query: str, limit: int | None = None) -> Found:
        """As `SessionStore.search`."""
        return self._store.search(query, limit)

    def open(self, name: str) -> Session:
        """The session whose id is `name` or begins with it. Raises UsageError where none or several do."""
        if not name.strip():
            raise UsageError("Which conversation? Name it by its id.", hint="assistant sessions list")
        session = self._store.find(name.strip())
        if session is None:
            raise UsageError(f"No conversation {name} in the library.", hint="assistant sessions list")
        return session

    def turns(self, session_id: str) -> Turns:
        """What was said, oldest first."""
        return self._store.turns(session_id)

    def turn(self, turn_id: int) -> Turn:
        """One turn. Raises UsageError where it is gone."""
        turn = self._store.turn(turn_id)
        if turn is None:
            raise UsageError("This answer was removed meanwhile.")
        return turn

    def export(self, session: Session, form: ExportFormat) -> str:
        """A whole conversation as a Markdown page or as one JSON object; ends with a newline."""
        turns = self.turns(session.id)
        return session_markdown(session, turns) if form == "markdown" else session_json(session, turns)

    # -- changing ----------------------------------------------------------------------------------

    def create(self, name: str = "") -> Session:
        """A new session without turns; without a name its first question names it."""
        with self.library.write() as writer:
            session_id = self._store.add(writer, name)
        return self.open(session_id)

    def rename(self, session: Session, name: str) -> Session:
        """Call a session `name`; "" lets its first question name it again."""
        with self.library.write() as writer:
            self._store.rename(writer, session.id, " ".join(name.split()))
        return self.open(session.id)

    def fork(self, session: Session, last: Turn | None = None, name: str = "") -> Session:
        """A new session that begins with what was said in `session`, up to the turn `last` if it is given."""
        with self.library.write() as writer:
            session_id = self._store.add(writer, name, parent=session.id)
            self._store.copy_turns(writer, session.id, session_id, last.id if last else None)
        return self.open(session_id)

    def delete(self, session: Session) -> None:
        """Take a session out of the library for good."""
        with self.library.write() as writer:
            self._store.delete(writer, session.id)

    # -- turns, for a conversation -----------------------------------------------------------------

    def begin(self, session: Session | None, new: NewTurn) -> Turn:
        """Add a pending turn to a session, or to a new one where it is None; in one transaction."""
        with self.library.write() as writer:
            session_id = session.id if session else self._store.add(writer)
            turn_id = self._store.begin(writer, session_id, new)
        return self.turn(turn_id)

    def set_searched(self, turn: Turn, searched: str) -> None:
        """What the question of a pending turn became."""
        with self.library.write() as writer:
            self._store.set_searched(writer, turn.id, searched)

    def finish(
        self,
        turn: Turn,
        status: TurnStatus,
        *,
        answer: Answer | None = None,
        error: str | None = None,
        instead_of: Sequence[Turn] = (),
    ) -> Turn:
        """What came of a turn; with it go the turns that it replaces."""
        with self.library.write() as writer:
            self._store.finish(writer, turn.id, status, answer=answer, error=error)
            self._store.remove_turns(writer, [one.id for one in instead_of])
        return self.turn(turn.id)

    def remove(self, turns: Sequence[Turn]) -> None:
        """Take these turns out of their session; what another process has added stays."""
        with self.library.write() as writer:
            self._store.remove_turns(writer, [turn.id for turn in turns])

    def rate(self, turn: Turn, rating: Rating | None) -> Turn:
        """What the user thinks of an answer."""
        with self.library.write() as writer:
            self._store.rate(writer, turn.id, rating)
        return self.turn(turn.id)
