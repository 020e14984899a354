"""Where the user types: Enter sends, Ctrl+J and Shift+Enter begin a new line; completions above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from assistant.terminal import clean
from assistant.tui import slash, words
from assistant.tui.stage import Stage
from assistant.tui.words import DIM

PLACEHOLDER = "Ask your documents… (/ for commands, F1 for help)"
_MOST_COMPLETIONS = 8


class Entry(TextArea):
    """The text that is being typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="prompt.send", show=False),
        Binding("ctrl+j,shift+enter", "new_line", "New line", id="prompt.newline", show=False),
        Binding("tab", "complete", "Complete", id="prompt.complete", show=False),
        Binding("ctrl+d", "leave_or_delete", "Quit when empty", id="prompt.leave", show=False),
    ]

    @dataclass
    class Sent(Message):
        """Enter: `text` is to be done."""

        text: str

    @dataclass
    class Scrolled(Message):
        """A page up (-1) or down (1) of the conversation."""

        direction: int

    @dataclass
    class Completing(Message):
        """A key for the completions: "accept", "up", "down"."""

        key: str

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=True, tab_behavior="focus", show_line_numbers=False, compact=True, id="entry"
        )
        self.highlight_cursor_line = False
        self.completing = False
        self._history: list[str] = []
        self._at = 0  # in the history; its length means what is being typed
        self._draft = ""

    async def _on_key(self, event: events.Key) -> None:
        """Keys of ours act in their turn: a priority binding would overtake what was typed before it."""
        active = None if event.is_printable else self.screen.active_bindings.get(event.key)
        if active is None or active.node is not self or not (active.binding.id or "").startswith("prompt."):
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        await self.run_action(active.binding.action)

    def remember(self, text: str) -> None:
        """Put a text at the end of the history."""
        if not self._history or self._history[-1] != text:
            self._history.append(text)
        self._at = len(self._history)

    def set_text(self, text: str) -> None:
        """Replace what is typed; the cursor goes to its end."""
        self.text = clean(text)
        self.move_cursor(self.document.end)

    def action_send(self) -> None:
        """Send what is typed; a chosen completion first becomes part of it."""
        if self.completing:
            self.post_message(self.Completing("enter"))
        else:
            self.submit()

    def submit(self) -> None:
        """Send what is typed."""
        text = self.text.strip()
        if text:
            self.remember(text)
            self.text = ""
            self.post_message(self.Sent(text))

    def action_new_line(self) -> None:
        """Begin a new line."""
        start, end = self.selection
        self.replace("\n", start, end)

    def action_complete(self) -> None:
        """Take the completion, or go to the next widget."""
        if self.completing:
            self.post_message(self.Completing("accept"))
        else:
            self.screen.focus_next()

    def action_leave_or_delete(self) -> None:
        """Quit when there is nothing here, as shells do; else delete to the right."""
        if self.text:
            self.action_delete_right()
        else:
            self.app.exit()

    def action_cursor_up(self, select: bool = False) -> None:
        """Up: in the completions, in the text, or to an earlier question."""
        if self.completing:
            self.post_message(self.Completing("up"))
        elif self.cursor_at_first_line and not select and self._at > 0:
            self._recall(self._at - 1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down: in the completions, in the text, or to a later question."""
        if self.completing:
            self.post_message(self.Completing("down"))
        elif self.cursor_at_last_line and not select and self._at < len(self._history):
            self._recall(self._at + 1)
        else:
            super().action_cursor_down(select)

    def action_cursor_page_up(self) -> None:
        """The conversation scrolls, not the few lines here."""
        self.post_message(self.Scrolled(-1))

    def action_cursor_page_down(self) -> None:
        """The conversation scrolls, not the few lines here."""
        self.post_message(self.Scrolled(1))

    def _recall(self, at: int) -> None:
        if self._at == len(self._history):
            self._draft = self.text
        self._at = at
        self.set_text(self._history[at] if at < len(self._history) else self._draft)


class Prompt(Vertical):
    """The entry with its completions above it. `choices` completes the arguments of commands."""

    def __init__(self, choices: Callable[[str, str], Sequence[str]]) -> None:
        super().__init__(id="prompt")
        self._choices = choices
        self._found: list[slash.Completion] = []
        self._closed_for = ""  # the text for which the list was put away

    def compose(self) -> ComposeResult:
        """The list over the entry."""
        yield OptionList(id="completions", markup=False, compact=True)
        yield Stage()
        yield Entry()

    def on_mount(self) -> None:
        """Nothing typed."""
        self._list.can_focus = False
        self._list.display = False
        self.entry.placeholder = Content(PLACEHOLDER)

    @property
    def entry(self) -> Entry:
        """The text area."""
        return self.query_one(Entry)

    @property
    def stage(self) -> Stage:
        """What is being waited for."""
        return self.query_one(Stage)

    def close_completions(self) -> bool:
        """Put the list away until something else is typed; whether it was there."""
        was_open = self.entry.completing
        self._closed_for = self.entry.text
        self._show([])
        return was_open

    @property
    def _list(self) -> OptionList:
        return self.query_one("#completions", OptionList)

    @on(TextArea.Changed, "#entry")
    def _typed(self) -> None:
        text = self.entry.text
        if text != self._closed_for:
            self._closed_for = ""
            self._show(slash.completions(text, self._choices))

    @on(Entry.Completing)
    def _key(self, event: Entry.Completing) -> None:
        event.stop()
        if event.key == "up":
            self._list.action_cursor_up()
        elif event.key == "down":
            self._list.action_cursor_down()
        elif event.key == "accept":
            self._accept(self._list.highlighted or 0)
        else:
            self._enter()

    @on(OptionList.OptionSelected, "#completions")
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._accept(event.option_index)
        self.entry.focus()

    def _accept(self, index: int) -> None:
        if index < len(self._found):
            self.entry.set_text(self._found[index].text)

    def _enter(self) -> None:
        """Take what is highlighted, then run a command that is whole; one that needs more waits for it."""
        if self._list.highlighted is not None:
            self._accept(self._list.highlighted)
        line = slash.read(self.entry.text)
        if line is None or line.command is None or line.argument or not line.command.needs_argument:
            self.close_completions()
            # Sent by this widget it would not come further up than to it.
            self.entry.call_next(self.entry.submit)
        elif not self.entry.text.endswith(" "):
            self.entry.set_text(f"{self.entry.text} ")

    def _show(self, found: Sequence[slash.Completion]) -> None:
        self._found = list(found)[:200]
        self.entry.completing = bool(self._found)
        self._list.display = bool(self._found)
        self._list.clear_options()
        if self._found:
            self._list.add_options([Option(_option(one)) for one in self._found])
            # An argument is sent as it was typed unless another one is chosen.
            self._list.highlighted = None if " " in self.entry.text else 0
            self._list.styles.height = min(len(self._found), _MOST_COMPLETIONS)


def _option(completion: slash.Completion) -> Content:
    label = words.line(completion.label, "bold")
    if not completion.help:
        return label
    return Content.assemble(label, "  ", words.line(completion.help, DIM))
