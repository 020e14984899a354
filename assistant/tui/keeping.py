"""Slash commands on conversations as they are kept: past ones, names, forks, exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.chat.exporting import export_path, write_export
from assistant.paths import is_there
from assistant.tui import words
from assistant.tui.dialogs import AskLine, Confirm
from assistant.tui.past import Choice, PastSessions
from assistant.tui.words import DIM

if TYPE_CHECKING:
    from assistant.chat.records import Session
    from assistant.tui.chat import ChatScreen
    from assistant.tui.past import Found


class SessionCommands:
    """The commands that need nothing of the engine but its saved words."""

    def __init__(self, chat: ChatScreen) -> None:
        self._chat = chat

    async def new(self) -> None:
        """Begin a new conversation; the one at hand is saved as it is."""
        if not self._busy():
            await self._chat.show_session(None, [])

    async def _new(self, _argument: str) -> None:
        await self.new()

    async def _sessions(self, argument: str) -> None:
        self.past_sessions(argument)

    def past_sessions(self, query: str) -> None:
        """Look for a past conversation."""
        chat = self._chat
        if chat.facts is None:
            chat.tell("There is no library yet.", "warning")
            return
        app = chat.chat_app

        def search(query: str, then: Callable[[Found], None]) -> None:
            app.in_background(lambda: app.shelf.past(query), then)

        chat.app.push_screen(PastSessions(search, query), self._chosen)

    def _chosen(self, choice: Choice | None) -> None:
        if choice is None:
            return
        session = choice.session
        if choice.do == "open":
            if not self._busy():
                self._chat.chat_app.open_session(session)
        elif choice.do == "fork":
            self._fork_of(session)
        elif choice.do == "rename":
            ask = AskLine("A name for this conversation", session.name)
            self._chat.app.push_screen(ask, lambda name: self._renamed(session, name))
        else:
            question = "Delete this conversation?"
            dialog = Confirm(question, f"{session.name}\n{session.turns} turns", "Delete", dangerous=True)
            self._chat.app.push_screen(dialog, lambda yes: self._deleted(session, yes))

    def _renamed(self, session: Session, name: str | None) -> None:
        if name is not None:
            shelf = self._chat.chat_app.shelf
            self._chat.chat_app.in_background(lambda: shelf.sessions.rename(session, name), self._is_named)

    def _is_named(self, session: Session) -> None:
        if self._chat.session is not None and self._chat.session.id == session.id:
            self._chat.session = session
            self._chat.refresh_state()
        self._chat.tell(f"It is called {session.name} now.")

    def _deleted(self, session: Session, yes: bool | None) -> None:
        if yes and not self._busy():
            shelf = self._chat.chat_app.shelf
            app = self._chat.chat_app
            app.in_background(lambda: shelf.sessions.delete(session), lambda _: self._is_gone(session))

    def _is_gone(self, session: Session) -> None:
        self._chat.tell("Deleted.")
        if self._chat.session is not None and self._chat.session.id == session.id:
            self._chat.call_next(self._chat.show_session, None, [])

    async def _rename(self, argument: str) -> None:
        session = self._session()
        if session is not None and argument:
            self._renamed(session, argument)

    async def _fork(self, _argument: str) -> None:
        session = self._session()
        if session is not None:
            self._fork_of(session)

    def _fork_of(self, session: Session) -> None:
        if self._busy():
            return
        app = self._chat.chat_app

        def opened(forked: Session) -> None:
            app.open_session(forked)
            self._chat.tell("You go on in a copy; the first one stays as it is.")

        app.in_background(lambda: app.shelf.sessions.fork(session), opened)

    async def _export(self, argument: str) -> None:
        session = self._session()
        if session is None:
            return
        path = export_path(argument, session.name)
        if argument and is_there(path):
            dialog = Confirm("Write over this file?", str(path), "Write over", dangerous=True)
            self._chat.app.push_screen(dialog, lambda yes: self._write(session, path, yes))
        else:
            self._write(session, path, True)

    def _write(self, session: Session, path: Path, yes: bool | None) -> None:
        if yes:
            app = self._chat.chat_app
            app.in_background(
                lambda: write_export(app.shelf.sessions, session, path, over=True),
                lambda _: self._chat.say(words.line(f"Written to {path}", DIM)),
            )

    def _session(self) -> Session | None:
        if self._chat.session is None:
            self._chat.tell("Nothing was said yet.", "warning")
        return self._chat.session

    def _busy(self) -> bool:
        if self._chat.requests.at_work is not None:
            self._chat.tell("One thing at a time: Esc stops the one at hand.", "warning")
            return True
        return False
