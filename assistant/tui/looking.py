"""The part of the chat screen that shows sources: the panel, and the passage behind a marker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from textual import on
from textual.screen import Screen

from assistant.tui import words
from assistant.tui.prompt import Entry, Prompt
from assistant.tui.shelf import Source, sources_of
from assistant.tui.sources import PassageScreen, SourcesPanel
from assistant.tui.transcript import Transcript
from assistant.tui.turns import Reply, TurnView

if TYPE_CHECKING:
    from assistant.chat.records import Turn
    from assistant.tui.app import ChatApp


class LookingScreen(Screen[None]):
    """A screen with a transcript, a prompt and a panel of sources."""

    def __init__(self, app: ChatApp) -> None:
        super().__init__()
        self.chat_app = app

    @property
    def transcript(self) -> Transcript:
        """The conversation."""
        return self.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        """Where the user types."""
        return self.query_one(Prompt)

    @property
    def entry(self) -> Entry:
        """The text area of the prompt."""
        return self.prompt.entry

    @property
    def sources(self) -> SourcesPanel:
        """The panel."""
        return self.query_one(SourcesPanel)

    @property
    def last_turn(self) -> Turn | None:
        """The last turn that is kept."""
        return next((view.turn for view in reversed(self.transcript.views) if view.turn is not None), None)

    def tell(self, message: str, severity: str = "information") -> None:
        """A message that goes away by itself."""
        shown = words.shortened(message, 300)
        self.notify(shown, severity=cast("Any", severity), markup=False, timeout=6)

    # -- sources -----------------------------------------------------------------------------------

    def show_sources(self) -> None:
        """Fill the panel from the last answer."""
        turn = self.last_turn
        self.sources.show(sources_of(turn, words.score) if turn else [])

    def open_source(self, turn: Turn, number: int) -> None:
        """Show source `number`, as its marker says, else the passage of that rank."""
        found = sources_of(turn, words.score)
        fitting = [at for at, one in enumerate(found) if one.number == number]  # cited ones come first
        if fitting:
            self.open_sources(found, fitting[0])
        else:
            self.tell(f"There is no source {number}.", "warning")

    def open_sources(self, found: Sequence[Source], at: int) -> None:
        """Show one of these passages."""
        app = self.chat_app
        app.push_screen(
            PassageScreen(
                found, at, lambda one, then: app.in_background(lambda: app.shelf.around(one.passage), then)
            )
        )

    @on(Reply.Cited)
    def _cited(self, event: Reply.Cited) -> None:
        view = event.reply.parent
        if isinstance(view, TurnView) and view.turn is not None:
            self.open_source(view.turn, event.number)

    @on(SourcesPanel.Opened)
    def _source_opened(self, event: SourcesPanel.Opened) -> None:
        turn = self.last_turn
        if turn is not None:
            self.open_sources(sources_of(turn, words.score), event.index)

    @on(SourcesPanel.Left)
    def _source_left(self) -> None:
        self.entry.focus()
        if self.has_class("-narrow"):
            self.action_sources()

    def action_sources(self) -> None:
        """Open or close the sources."""
        opening = not self.sources.has_class("-open")
        self.sources.set_class(opening, "-open")
        self.query_one("#middle").set_class(opening, "-sources")
        if opening:
            self.show_sources()
            self.sources.take_focus()
        else:
            self.entry.focus()
