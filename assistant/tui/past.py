"""Past conversations: found as the words are typed, opened, renamed, forked, deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from assistant.terminal import clean_line
from assistant.tui import words
from assistant.tui.words import DIM

if TYPE_CHECKING:
    from assistant.chat.records import Session, Turn

    Found = Sequence[tuple[Session, Turn | None]]

_PAUSE_SECONDS = 0.15  # of typing, before it is searched
_SNIPPET = 90


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be done with a conversation."""

    do: Literal["open", "fork", "rename", "delete"]
    session: Session


class PastSessions(ModalScreen[Choice | None]):
    """A search field over the conversations that hold its words; without words all, the last one first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False, priority=True),
        Binding("down", "move(1)", "Down", show=False, priority=True),
        Binding("pageup", "page(-1)", "Page up", show=False, priority=True),
        Binding("pagedown", "page(1)", "Page down", show=False, priority=True),
        Binding("f2", "choose('rename')", "Rename", id="sessions.rename"),
        Binding("f4", "choose('fork')", "Fork", id="sessions.fork"),
        Binding("f8", "choose('delete')", "Delete", id="sessions.delete"),
        Binding("escape", "dismiss(None)", "Back"),
    ]

    def __init__(self, search: Callable[[str, Callable[[Found], None]], None], query: str = "") -> None:
        """`search` finds conversations in the background, and tells them."""
        super().__init__()
        self._search, self._query = search, clean_line(query)  # a field has one line
        self._found: Found = ()
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Search field, list, keys."""
        with Vertical(classes="sessions-box"):
            yield Static("Past conversations", markup=False, classes="heading")
            yield Input(self._query, placeholder="search all that was said", select_on_focus=False)
            yield OptionList(id="session-list", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """All of them."""
        self.query_one(OptionList).can_focus = False
        self._look()

    @on(Input.Changed)
    def _typed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_PAUSE_SECONDS, self._look)

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_choose("open")

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self._found):
            self.dismiss(Choice("open", self._found[event.option_index][0]))

    def action_move(self, step: int) -> None:
        """Another conversation."""
        chosen = self.query_one(OptionList)
        chosen.action_cursor_up() if step < 0 else chosen.action_cursor_down()

    def action_page(self, step: int) -> None:
        """A page of conversations."""
        chosen = self.query_one(OptionList)
        if step < 0:
            chosen.action_page_up()  # type: ignore[no-untyped-call]
        else:
            chosen.action_page_down()  # type: ignore[no-untyped-call]

    def action_choose(self, do: Literal["open", "fork", "rename", "delete"]) -> None:
        """Do it with the one that is highlighted."""
        at = self.query_one(OptionList).highlighted
        if at is not None and at < len(self._found):
            self.dismiss(Choice(do, self._found[at][0]))

    def _look(self) -> None:
        query = self.query_one(Input).value
        self._search(query, lambda found: self._show(query, found))

    def _show(self, query: str, found: Found) -> None:
        if not self.is_mounted or query != self.query_one(Input).value:
            return
        self._found = found
        chosen = self.query_one(OptionList)
        chosen.clear_options()
        if found:
            chosen.add_options([Option(_listed(session, turn)) for session, turn in found])
            chosen.highlighted = 0
        else:
            none = "Nothing was said like that." if query.strip() else "No conversations yet."
            chosen.add_option(Option(Content.styled(none, DIM), disabled=True))


def _listed(session: Session, turn: Turn | None) -> Content:
    turns = f"{session.turns} turn{'' if session.turns == 1 else 's'}"
    when = session.updated[:16].replace("T", " ")
    facts = f"{when} · {turns}" + (f" · from {session.parent}" if session.parent else "")
    parts = [words.line(session.name or "(no question yet)", "bold", 100), words.line(facts, DIM)]
    if turn is not None and turn.question != session.name:
        parts.append(words.line(f"… {words.shortened(turn.question, _SNIPPET)}", f"italic {DIM}"))
    return words.joined(parts, "\n")
