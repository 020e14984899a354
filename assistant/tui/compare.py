"""One question answered side by side: the adapter against the base, with the documents and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from assistant.answer.screen import place
from assistant.tui import words
from assistant.tui.words import DIM


@dataclass(frozen=True, slots=True)
class Side:
    """One way to answer."""

    title: str
    adapter: str | None
    retrieval: bool


def sides(adapter: str | None) -> list[Side]:
    """The ways that are worth comparing where `adapter` is the one in use."""
    name = adapter or "none"
    both = [Side(f"adapter {adapter}", adapter, True), Side("base model", "none", True)]
    with_documents = both if adapter else [Side("with documents", "none", True)]
    return [*with_documents, Side("without documents", name, False)]


class CompareScreen(Screen[None]):
    """The answers as they are written, one after the other."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back"),
    ]

    def __init__(self, question: str, compared: Sequence[Side], stop: Callable[[], bool]) -> None:
        """`stop` breaks off what is under way, and says whether there was anything."""
        super().__init__()
        self._question, self._sides, self._stop = question, compared, stop
        self._at = 0
        self._written = [""] * len(compared)

    def compose(self) -> ComposeResult:
        """The question over a pane for each side."""
        yield Static(words.text(self._question, "bold"), markup=False, classes="asked")
        with Container(id="panes"):
            for number, side in enumerate(self._sides):
                with Vertical(classes="pane"):
                    yield Static(words.line(side.title, "bold"), markup=False, classes="heading")
                    with VerticalScroll():
                        yield Static(Content.styled("waiting…", DIM), markup=False, id=f"side-{number}")
        yield Footer(compact=True, show_command_palette=False)

    def begin(self, side: int) -> None:
        """This side is being answered."""
        self._at = side
        self._pane(side).update(Content.styled("…", DIM))

    def write(self, text: str) -> None:
        """More of the answer of the side at hand."""
        self._written[self._at] += text
        self._pane(self._at).update(words.text(self._written[self._at]))

    def finish(self, side: int, row: Mapping[str, Any]) -> None:
        """The answer of a side, as the object of `ask`."""
        pane = self._pane(side)
        pane.update(_answer(row))
        pane.set_class(bool(row["refused"]), "-refused")

    def stop(self, why: str) -> None:
        """No more comes."""
        for number in range(len(self._sides)):
            pane = self._pane(number)
            if str(pane.content) in ("…", "waiting…"):
                pane.update(words.text(why, DIM))

    def action_leave(self) -> None:
        """Back to the conversation; what is not written yet never will be."""
        self._stop()
        self.dismiss(None)

    def _pane(self, side: int) -> Static:
        return self.query_one(f"#side-{side}", Static)


def _answer(row: Mapping[str, Any]) -> Content:
    parts = []
    if row["refused"]:
        parts.append(Content.styled("⊘ Not in your documents", "bold $text-warning"))
    parts.append(words.text(row["answer"] or ""))
    if not row["passages"] and not row["refused"]:
        parts.append(Content.styled("△ from the model alone", "$text-warning"))
    elif row["unsupported"]:
        parts.append(Content.styled("△ not supported by your documents", "$text-warning"))
    if row["citations"]:
        parts.append(Content(" "))
    for citation in row["citations"]:
        where = place(citation["path"], citation["page"], citation["line_start"])
        parts.append(words.line(f"[{citation['marker']}] {where}", "$text-secondary"))
    by = " + ".join(name for name in (row["model"], row["adapter"]) if name)
    tokens = row["usage"]["completion_tokens"]
    parts.append(words.line(f"{by} · {tokens} tokens · {row['seconds']['total']:.1f} s", DIM))
    return words.joined(parts, "\n")
