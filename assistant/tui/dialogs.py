"""Small modal dialogs: a yes-or-no question, a line of text, a corrected answer."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Footer, Input, Static, TextArea

from assistant.terminal import clean, clean_line
from assistant.tui.words import DIM, line, text


class Confirm(ModalScreen[bool]):
    """Asks before something is done; `dangerous` puts the focus on the way out."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, detail: str, yes: str, *, dangerous: bool = False) -> None:
        super().__init__()
        self._question, self._detail, self._yes, self._dangerous = question, detail, yes, dangerous

    def compose(self) -> ComposeResult:
        """The question, what would be done, and two buttons."""
        with Vertical(classes="dialog"):
            yield Static(line(self._question, "bold"))
            yield Static(text(self._detail, DIM))
            with Horizontal(classes="buttons"):
                yield Button(self._yes, variant="error" if self._dangerous else "primary", id="yes")
                yield Button("Cancel", id="no")

    def on_mount(self) -> None:
        """Enter does what is harmless."""
        self.query_one("#no" if self._dangerous else "#yes").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer by key."""
        self.dismiss(yes)


class AskLine(ModalScreen[str | None]):
    """Asks for a line of text; None when it is given up."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, question: str, value: str) -> None:
        super().__init__()
        self._question, self._value = question, clean_line(value)  # a field has one line

    def compose(self) -> ComposeResult:
        """The question over an input."""
        with Vertical(classes="dialog"):
            yield Static(line(self._question, "bold"))
            yield Input(self._value, select_on_focus=False)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)


class Correction(ModalScreen[str | None]):
    """The right answer to a question, written by the user; None when it is given up.

    An empty answer means that the documents hold none.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save", id="fix.save"),
        Binding("escape", "dismiss(None)", "Cancel"),
    ]

    def __init__(self, question: str, answer: str) -> None:
        super().__init__()
        self._question, self._answer = question, clean(answer)

    def compose(self) -> ComposeResult:
        """Question, answer to be changed, and what is done with it."""
        with Vertical(classes="dialog"):
            yield Static(text(self._question, "bold"), classes="clipped")
            yield TextArea(self._answer, soft_wrap=True, id="correction")
            yield Static(
                text("As short as can be, in words of the documents. Empty: they do not answer this.", DIM)
            )
        yield Footer(compact=True, show_command_palette=False)

    def action_save(self) -> None:
        """Take what is written."""
        self.dismiss(self.query_one(TextArea).text.strip())
