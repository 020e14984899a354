"""The sources panel beside the conversation, and the screen that shows one passage in its surroundings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from assistant.tui import words
from assistant.tui.shelf import Around, Source
from assistant.tui.words import DIM

_SNIPPET = 110


class SourcesPanel(Vertical):
    """The passages of the last answer, cited ones first; Enter or a click opens one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back", show=False)]

    @dataclass
    class Opened(Message):
        """The user wants to see a source, by its place in the list."""

        index: int

    class Left(Message):
        """The user goes back to the prompt."""

    def __init__(self) -> None:
        super().__init__(id="sources")

    def compose(self) -> ComposeResult:
        """A heading over a list."""
        yield Static("Sources", markup=False, classes="heading")
        yield OptionList(id="source-list", markup=False, compact=True)

    def show(self, sources: Sequence[Source]) -> None:
        """List these."""
        chosen = self.query_one(OptionList)
        chosen.clear_options()
        chosen.add_options([Option(_listed(source)) for source in sources])
        heading = "Sources" if any(source.spans for source in sources) else "Nearest passages"
        self.query_one(".heading", Static).update(Content(heading if sources else "No sources"))
        if sources:
            chosen.highlighted = 0

    def take_focus(self) -> None:
        """The list hears the keys."""
        self.query_one(OptionList).focus()

    def action_leave(self) -> None:
        """Back to the prompt."""
        self.post_message(self.Left())

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Opened(event.option_index))


class PassageScreen(ModalScreen[None]):
    """One source: its passage with the cited span, what stands around it, and where it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open the file", id="passage.open"),
        Binding("left,p", "turn(-1)", "Previous", id="passage.previous"),
        Binding("right,n", "turn(1)", "Next", id="passage.next"),
        Binding("y", "copy", "Copy the quote", id="passage.copy"),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("escape,q", "dismiss(None)", "Back"),
    ]

    @dataclass
    class FileWanted(Message):
        """The user wants the file of a source opened, where it is known."""

        source: Source
        around: Around | None

    def __init__(
        self,
        sources: Sequence[Source],
        index: int,
        look: Callable[[Source, Callable[[Around], None]], None],
    ) -> None:
        """`look` finds the surroundings of a source, in the background, and tells them."""
        super().__init__()
        self._sources, self._index, self._look = sources, index, look
        self._around: Around | None = None

    def compose(self) -> ComposeResult:
        """Place, text, keys."""
        with Vertical(classes="passage-box"):
            yield Static("", markup=False, id="place")
            with VerticalScroll(id="passage-scroll"):
                yield Static("", markup=False, id="before", classes="neighbour")
                yield Static("", markup=False, id="passage")
                yield Static("", markup=False, id="after", classes="neighbour")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show the first one asked for."""
        self._show()

    @property
    def source(self) -> Source:
        """The one that is shown."""
        return self._sources[self._index]

    def action_turn(self, step: int) -> None:
        """The next or the previous source."""
        self._index = (self._index + step) % len(self._sources)
        self._show()

    def action_open(self) -> None:
        """Ask for the file."""
        self.post_message(self.FileWanted(self.source, self._around))

    def action_copy(self) -> None:
        """Copy what is cited, else the passage."""
        source = self.source
        quotes = [source.passage.text[span.start : span.end] for span in source.spans]
        self.app.copy_to_clipboard("\n".join(quotes) or source.passage.text)
        self.notify("Copied.", markup=False)

    def action_scroll(self, direction: int) -> None:
        """A line."""
        self.query_one("#passage-scroll").scroll_relative(y=direction, animate=False)

    def action_page(self, direction: int) -> None:
        """A page."""
        scroll = self.query_one("#passage-scroll")
        scroll.scroll_relative(y=direction * max(1, scroll.size.height - 1), animate=False)

    def _show(self) -> None:
        source = self.source
        self._around = None
        self.query_one("#place", Static).update(self._place())
        self.query_one("#passage", Static).update(words.passage(source.passage.text, source.spans))
        for name in ("#before", "#after"):
            self.query_one(name, Static).update("")
        self._look(source, lambda around: self._surround(source, around))
        self.call_after_refresh(self._scroll_to_span)

    def _surround(self, source: Source, around: Around) -> None:
        if not self.is_mounted or source is not self.source:
            return
        self._around = around
        before, after = around.before, around.after
        self.query_one("#before", Static).update(words.text(before.text, DIM) if before else "")
        self.query_one("#after", Static).update(words.text(after.text, DIM) if after else "")
        self.query_one("#place", Static).update(self._place())
        self.call_after_refresh(self._scroll_to_span)

    def _scroll_to_span(self) -> None:
        """The cited span a few lines below the top."""
        passage = self.query_one("#passage", Static)
        first = min((span.start for span in self.source.spans), default=0)
        above = words.text(self.source.passage.text[:first])
        lines = above.get_height({}, max(1, passage.content_size.width)) - 1 if above else 0
        scroll = self.query_one("#passage-scroll")
        scroll.scroll_to(y=max(0, passage.virtual_region.y + lines - 3), animate=False)

    def _place(self) -> Content:
        source = self.source
        parts = [
            words.line(f"[{source.number}]", "bold"),
            words.line(source.place, "bold $text-accent"),
        ]
        if source.passage.heading:
            parts.append(words.line(source.passage.heading, DIM, 60))
        if source.score:
            parts.append(words.line(source.score, DIM))
        parts.append(words.line(f"{self._index + 1} of {len(self._sources)}", DIM))
        if self._around is not None and self._around.changed:
            parts.append(words.line("this document has changed since", "bold $text-warning"))
        return words.joined(parts, " · ")


def _listed(source: Source) -> Content:
    cited = bool(source.spans)
    head = Content.assemble(
        words.line(f"[{source.number}]", "bold" if cited else DIM),
        " ",
        words.line(words.shortened_path(source.place, 60), "bold" if cited else DIM),
    )
    text = source.passage.text
    if cited:
        span = source.spans[0]
        shown = words.line(f"“{words.shortened(text[span.start : span.end], _SNIPPET)}”")
    else:
        shown = words.line(text, DIM, _SNIPPET)
    parts = [head, shown]
    if source.score:
        parts.append(words.line(source.score, DIM))
    return words.joined(parts, "\n")
