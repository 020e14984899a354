"""The chat as a Textual application: themes, keys, palette, the engine's process, work beside the screen."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from assistant.paths import config_file, is_there, library_to_create
from assistant.terminal import clean
from assistant.tui import preferences
from assistant.tui.chat import ChatScreen
from assistant.tui.dialogs import Confirm
from assistant.tui.keys import key_rows
from assistant.tui.lending import run_command
from assistant.tui.link import Engine, EngineProcess, Event, Link
from assistant.tui.looks import SHEET
from assistant.tui.opening import Opening, opening
from assistant.tui.pages import Page, help_content
from assistant.tui.preferences import Preferences
from assistant.tui.prompt import Entry
from assistant.tui.requests import Chosen
from assistant.tui.shelf import Facts, Shelf
from assistant.tui.slash import COMMANDS
from assistant.tui.sources import PassageScreen
from assistant.tui.turns import empty_content
from corpora.errors import AssistantError

if TYPE_CHECKING:
    from assistant.chat.records import Session, Turn

_HEARD_SECONDS = 0.5  # after which what was sent to an editor has reached the loop, which lets it go
_MOST_DEATHS = 3  # of the engine in a row, after which it is not started again


@dataclass(frozen=True, slots=True)
class Setup:
    """What the command line says. `model` is the one of flags and settings; `flags` go to the engine."""

    library: Path | None
    flags: Mapping[str, Any]
    model: str
    chosen: Chosen
    resume: str | None = None  # an id or its beginning; "" is the last conversation


class ChatApp(App[None]):
    """`assistant chat`. Errors of the work beside the screen become messages on it."""

    CSS = SHEET
    TITLE = "assistant"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", id="chat.quit", priority=True, show=False),
        Binding("ctrl+p", "command_palette", "Palette", id="chat.palette", priority=True),
    ]

    @dataclass
    class Spoken(Message):
        """The engine told something."""

        event: Event

    @dataclass
    class Finished(Message):
        """Work beside the screen is done: `then` takes `result`."""

        then: Callable[[Any], None]
        result: Any

    def __init__(
        self,
        setup: Setup,
        preferred: Preferences,
        *,
        start: Callable[[], Engine] = EngineProcess,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.setup, self.preferred, self.clock = setup, preferred, clock
        self.shelf = Shelf(setup.library)
        self.link = Link(start, self._heard)
        self.names: dict[str, list[str]] = {"adapters": [], "models": [], "paths": []}
        self.chat = ChatScreen(self, setup.chosen, setup.model)
        self._deaths = 0
        self._use_theme(preferred)
        self.set_keymap(dict(preferred.keys))

    def get_default_screen(self) -> Screen[None]:
        """The conversation."""
        return self.chat

    def on_mount(self) -> None:
        """The first paint comes first, then what takes time."""
        self.theme_changed_signal.subscribe(self, self._theme_chosen)
        self._hear_signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        self.call_after_refresh(self.begin)

    def _hear_signals(self, *numbers: int) -> None:
        with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):  # not in a thread, not there
            for number in numbers:
                asyncio.get_running_loop().add_signal_handler(number, self._ended, 128 + number)

    def _ended(self, code: int) -> None:
        """A signal ends it: the terminal is given back as it was."""
        self.exit(return_code=code)

    def begin(self) -> None:
        """Start the engine, look for the library, go on with a conversation."""
        self._start_engine()
        self.look_around(load=True, resume=self.setup.resume)

    def on_unmount(self) -> None:
        """End the engine; what it has written is saved."""
        self.link.close()
        self.shelf.close()

    async def on_event(self, event: events.Event) -> None:
        """What is pasted is cleaned before any widget sees it."""
        if isinstance(event, events.Paste):
            event.text = clean(event.text)
        await super().on_event(event)

    # -- the engine --------------------------------------------------------------------------------

    def _start_engine(self) -> None:
        library = str(self.setup.library) if self.setup.library is not None else None
        try:
            self.link.open({"library": library, "flags": dict(self.setup.flags)})
        except OSError as error:
            self.chat.tell(f"The engine cannot be started: {error.strerror}", "error")

    def restart_engine(self) -> bool:
        """It died: start it again, though not for ever. Whether it was."""
        self._deaths += 1
        if self._deaths <= _MOST_DEATHS:
            self._start_engine()
        if self.link.running:
            self.load()
        return self.link.running

    def engine_works(self) -> None:
        """It has loaded a model: earlier deaths do not count."""
        self._deaths = 0

    def load(self) -> None:
        """Have the models loaded, so that the first question need not wait."""
        self.chat.request("load", "load", "loading")

    def _heard(self, event: Event) -> None:
        """In the link's thread: fetch what the event only names, then tell the screen."""
        if event["event"] in ("turn", "rated"):
            event = {**event, "kept": None, "conversation": None}
            try:
                turn = self.shelf.sessions.turn(int(event["turn"]))
                event = {**event, "kept": turn, "conversation": self.shelf.sessions.open(turn.session_id)}
            except AssistantError as error:
                event = {"event": "failed", "id": event["id"], "code": error.code, "message": error.message,
                         "hint": error.hint}  # fmt: skip
        self.post_message(self.Spoken(event))

    @on(Spoken)
    async def _spoken(self, message: Spoken) -> None:
        if self.chat.standing:
            await self.chat.hearing.hear(message.event)

    # -- beside the screen -------------------------------------------------------------------------

    def in_background(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do `work` in a thread, `then` with its result on the screen's; an error of ours is shown."""

        def run() -> None:
            try:
                result = work()
            except AssistantError as error:
                hint = f" Try: {error.hint}" if error.hint else ""
                self.post_message(self.Finished(self._complain, f"{error.message}{hint}"))
            except OSError as error:
                self.post_message(self.Finished(self._complain, f"{error.strerror}: {error.filename or ''}"))
            else:
                self.post_message(self.Finished(then, result))

        self.run_worker(run, thread=True)

    def _complain(self, message: str) -> None:
        self.chat.tell(message, "error")

    @on(Finished)
    def _finished(self, message: Finished) -> None:
        if self.chat.standing:
            message.then(message.result)

    def look_around(self, *, load: bool = False, resume: str | None = None) -> None:
        """See what library there is; `load` the models if it holds anything, `resume` a conversation."""

        def seen(facts: Facts | None) -> None:
            chat = self.chat
            chat.facts = facts
            chat.refresh_state()
            documents = facts.documents if facts else 0
            if load and documents:
                self.load()
                self.in_background(self._all_names, self.names.update)
            if facts is not None and resume is not None:
                self.in_background(lambda: self._resumed(resume), self._resume)
            elif not chat.transcript.views and chat.session is None:
                root = facts.root.name if facts and documents else None
                chat.show_empty(empty_content(root, documents, facts.passages if facts else 0))

        self.in_background(self.shelf.facts, seen)

    @property
    def new_library(self) -> Path:
        """Where a library would be made."""
        return library_to_create(self.setup.library)

    def _all_names(self) -> dict[str, list[str]]:
        from index.weights import CATALOGUE

        models = sorted(name for name, known in CATALOGUE.items() if known.role != "encoder")
        return {"adapters": self.shelf.adapters(), "models": models, "paths": self.shelf.paths()}

    def _resumed(self, name: str) -> Session | None:
        return self.shelf.sessions.open(name) if name else self.shelf.sessions.latest()

    def _resume(self, session: Session | None) -> None:
        if session is None:
            self.chat.tell("There is no conversation to go on with yet.")
        else:
            self.open_session(session)

    def open_session(self, session: Session) -> None:
        """Read a conversation and show it."""
        self.in_background(
            lambda: self.shelf.turns(session),
            lambda turns: self._read_session(session, turns),
        )

    def _read_session(self, session: Session, turns: Sequence[Turn]) -> None:
        if self.chat.requests.at_work is not None:  # asked meanwhile
            self.chat.tell("One thing at a time: Esc stops the one at hand.", "warning")
        else:
            self.chat.call_next(self.chat.show_session, session, turns)

    # -- files -------------------------------------------------------------------------------------

    @on(PassageScreen.FileWanted)
    def _file_wanted(self, message: PassageScreen.FileWanted) -> None:
        around = message.around
        if around is None or not (is_there(around.file) and around.file.is_file()):
            self.chat.tell("The file of this source is not there any more.", "warning")
            return
        editor = preferences.editor_command(self.preferred)
        command = opening(around.file.absolute(), message.source.line, around.kind, editor)
        if command is None:
            self.chat.tell("Set $EDITOR, or editor in chat.toml, to open files.", "warning")
            return
        dialog = Confirm("Open this file?", command.shown, "Open")
        self.push_screen(dialog, lambda yes: self._open(command, yes))

    def _open(self, command: Opening, yes: bool | None) -> None:
        if not yes:
            return
        # A terminal sends Ctrl-C to the editor and to this program alike: it is meant for the editor.
        with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, lambda *_: None)
        problem = run_command(self, command)
        self.set_timer(_HEARD_SECONDS, lambda: self._hear_signals(signal.SIGINT))
        if problem is not None:
            self.chat.tell(problem, "error")

    # -- keys, palette, themes ---------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: what the slash commands do, in words."""
        if isinstance(screen, ChatScreen):
            for command in COMMANDS:
                title = f"{command.help[:1].upper()}{command.help[1:]}"
                yield SystemCommand(title, f"/{command.name}", lambda name=command.name: self._picked(name))

    def _picked(self, name: str) -> None:
        command = next(one for one in COMMANDS if one.name == name)
        if command.needs_argument:
            self.chat.entry.set_text(f"/{name} ")
            self.chat.entry.focus()
        else:
            self.chat.entry.post_message(Entry.Sent(f"/{name}"))

    def show_help(self) -> None:
        """Keys and commands."""
        if not isinstance(self.screen, Page):
            config = str(config_file().with_name("chat.toml"))
            self.push_screen(Page("Help", help_content(key_rows(self, self.preferred.keys), config)))

    def _use_theme(self, preferred: Preferences) -> None:
        for own in preferred.themes:
            colours: dict[str, Any] = dict(own.colours)
            self.register_theme(Theme(name=own.name, dark=own.dark, **colours))
        name = preferred.theme or preferences.remembered_theme() or preferences.DARK
        name = {"light": preferences.LIGHT, "dark": preferences.DARK}.get(name, name)
        self.theme = name if name in self.available_themes else preferences.DARK

    def _theme_chosen(self, theme: Theme) -> None:
        preferences.remember_theme(theme.name)
