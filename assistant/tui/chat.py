"""The screen of the chat: conversation, sources, prompt, status line, and what is typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Footer, Static

from assistant.tui import slash, words
from assistant.tui.commands import Commands
from assistant.tui.hearing import Hearing
from assistant.tui.looking import LookingScreen
from assistant.tui.prompt import Entry, Prompt
from assistant.tui.requests import Chosen, Pending, Requests
from assistant.tui.shelf import Facts
from assistant.tui.sources import SourcesPanel
from assistant.tui.status import State, StatusLine
from assistant.tui.transcript import Transcript
from assistant.tui.turns import TurnView

if TYPE_CHECKING:
    from assistant.chat.records import Session, Turn
    from assistant.tui.app import ChatApp

_TICK_SECONDS = 0.5


class ChatFooter(Footer):
    """The keys, where there is room for them."""


class ChatScreen(LookingScreen):
    """One conversation."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Stop the answer", id="chat.cancel", show=False),
        Binding(
            "ctrl+o",
            "sources",
            "Sources",
            id="chat.sources",
            priority=True,
            tooltip="sources of the last answer",
        ),
        Binding(
            "ctrl+r",
            "sessions",
            "Past",
            id="chat.sessions",
            priority=True,
            tooltip="past conversations, with search",
        ),
        Binding("ctrl+y", "copy", "Copy", id="chat.copy", priority=True, tooltip="copy the last answer"),
        Binding("f1", "help", "Help", id="chat.help", priority=True, tooltip="keys and commands"),
        Binding("ctrl+n", "new", "New conversation", id="chat.new", priority=True, show=False),
        Binding("ctrl+home", "ends(-1)", "First turn", id="chat.first", priority=True, show=False),
        Binding("ctrl+end", "ends(1)", "Last turn", id="chat.last", priority=True, show=False),
    ]

    def __init__(self, app: ChatApp, chosen: Chosen, model: str) -> None:
        super().__init__(app)
        self.chosen = chosen
        self.state = State(model=model, retrieval=chosen.retrieval, k=chosen.k, within=chosen.within)
        self.session: Session | None = None
        self.facts: Facts | None = None
        self.requests = Requests(app.link, app.clock)
        self.editing = False
        self.commands = Commands(self)
        self.hearing = Hearing(self)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Static("", markup=False, id="title")
        with Horizontal(id="middle"):
            yield Transcript()
            yield SourcesPanel()
        yield Prompt(self.commands.choices)
        yield StatusLine()
        yield ChatFooter(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Everything slow begins after the first paint (`ChatApp.begin`)."""
        self.entry.focus()
        self.refresh_state()
        self.set_interval(_TICK_SECONDS, self._tick)

    # -- its parts ---------------------------------------------------------------------------------

    @property
    def standing(self) -> bool:
        """Whether it is on the screen whole: at the end it is taken down piece by piece."""
        return bool(self.query("#status"))

    def refresh_state(self) -> None:
        """Show what holds now."""
        if not self.standing:
            return
        self.state.doing = self.requests.doing()
        self.state.library = self.facts.root.name or str(self.facts.root) if self.facts else None
        self.query_one(StatusLine).show(self.state)
        name = self.session.name if self.session else "New conversation"
        self.query_one("#title", Static).update(words.line(name, "bold", 150), layout=False)

    def show_empty(self, content: Content) -> None:
        """What to do in a conversation that is empty; it goes with the first turn."""
        self.call_next(self.transcript.show_empty, content)

    def say(self, content: Content, classes: str = "") -> None:
        """A message of the program's own among the turns."""
        self.call_next(self.transcript.add_notice, content, classes)

    # -- asking ------------------------------------------------------------------------------------

    @on(Entry.Sent)
    async def _sent(self, event: Entry.Sent) -> None:
        line = slash.read(event.text)
        if line is not None:
            await self.commands.run(line)
        elif self.facts is None or not self.facts.documents:
            self.entry.set_text(event.text)
            self.tell("There are no documents yet: /ingest FOLDER reads yours.", "warning")
        elif self.requests.at_work is not None:
            self.entry.set_text(event.text)
            self.tell("One thing at a time: Esc stops the one at hand.", "warning")
        elif self.editing:
            await self.ask("edit", event.text, replaces=self.transcript.last)
        else:
            await self.ask("ask", event.text)

    async def ask(self, do: str, question: str, replaces: TurnView | None = None) -> None:
        """Have a question answered: `do` is "ask", or "edit" or "retry" of the turn that it replaces."""
        self.set_editing(False)
        view = await self.transcript.add(question)
        fields: dict[str, Any] = {} if do == "retry" else {"question": question}
        self.request(do, "answer", "answering", view=view, replaces=replaces, **fields)

    def request(
        self,
        do: str,
        what: str,
        verb: str,
        *,
        view: TurnView | None = None,
        replaces: TurnView | None = None,
        before: Chosen | None = None,
        **fields: Any,
    ) -> None:
        """Ask the engine for something."""
        if not self.chat_app.link.running:
            self.tell("The engine does not run. /quit, and start the chat again.", "error")
            if view is not None:
                view.fail("The engine does not run.", "/quit, and assistant chat")
            return
        pending = Pending(what, verb, self.chat_app.clock(), view, replaces, before)
        session = self.session.id if self.session else None
        self.requests.send(do, pending, session=session, options=self.chosen.row(), **fields)
        if what in ("load", "ingest"):
            self.prompt.stage.show({"what": "Starting the engine"})
        self.refresh_state()

    def set_editing(self, editing: bool) -> None:
        """Whether the next question takes the place of the last one."""
        self.editing = editing
        self.prompt.set_class(editing, "-editing")

    # -- conversations -----------------------------------------------------------------------------

    async def show_session(self, session: Session | None, turns: Sequence[Turn]) -> None:
        """Go on with a conversation; None begins a new one."""
        self.session = session
        self.set_editing(False)
        self.state.context_used = self.state.rate = None
        await self.transcript.show(turns)
        for turn in turns[-100:]:
            self.entry.remember(turn.question)
        self.show_sources()
        self.refresh_state()

    @on(Transcript.Earlier)
    def _earlier(self, event: Transcript.Earlier) -> None:
        session = self.session
        if session is not None:
            shelf = self.chat_app.shelf
            self.chat_app.in_background(
                lambda: [turn for turn in shelf.turns(session) if turn.id < event.before],
                lambda turns: self.call_next(self.transcript.add_earlier, turns),
            )

    # -- keys --------------------------------------------------------------------------------------

    def action_cancel(self) -> None:
        """Esc: the completions, the answer that is written, the edit."""
        if self.prompt.close_completions():
            return
        if self.requests.stop():
            self.refresh_state()
        elif self.editing:
            self.set_editing(False)
            self.entry.text = ""
        self.entry.focus()

    def action_sessions(self) -> None:
        """Past conversations."""
        self.commands.past_sessions("")

    def action_copy(self) -> None:
        """Copy the last answer."""
        self.commands.copy()

    def action_help(self) -> None:
        """Keys and commands."""
        self.chat_app.show_help()

    async def action_new(self) -> None:
        """A new conversation."""
        await self.commands.new()

    def action_ends(self, direction: int) -> None:
        """The first or the last turn on the screen."""
        if direction < 0:
            self.transcript.scroll_home(animate=False)
        else:
            self.transcript.scroll_end(animate=False)

    @on(Entry.Scrolled)
    def _scrolled(self, event: Entry.Scrolled) -> None:
        self.transcript.scroll_page(event.direction)

    def _tick(self) -> None:
        if self.requests.at_work is not None:
            self.refresh_state()
