"""The status line: library, model, adapter, retrieval, context used, tokens a second, what is going on."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.widgets import Static

from assistant.tui.words import DIM, line

_SEPARATOR = " │ "


@dataclass(slots=True)
class State:
    """What holds for the next question, and how the last one went."""

    library: str | None = None  # the folder that holds it; None before there is one
    model: str = ""
    adapter: str | None = None
    retrieval: bool = True
    k: int | None = None
    within: str | None = None
    context_used: int | None = None  # tokens of the last prompt and its answer
    context_limit: int | None = None
    rate: float | None = None  # tokens a second of the last answer
    doing: str | None = None  # "writing 3 s": what Esc would stop


class StatusLine(Static):
    """One line; what matters least is left out where there is no room."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="status")
        self._state = State()

    def show(self, state: State) -> None:
        """Show this state from now on."""
        self._state = state
        self.update(status(state, self.size.width or 80), layout=False)

    def on_resize(self, _event: events.Resize) -> None:
        """The room has changed."""
        self.show(self._state)


def status(state: State, width: int) -> Content:
    """The line in `width` columns."""
    parts: list[tuple[int, Content]] = []  # (importance, what): the smallest number goes first

    def add(importance: int, value: str, style: str = DIM) -> None:
        parts.append((importance, line(value, style, 40)))

    if state.doing is not None:
        add(9, state.doing, "bold $text-accent")
    add(3, state.library or "no library", DIM if state.library else "bold $text-warning")
    if state.model:
        add(7, state.model, "")
        add(6, f"+{state.adapter}" if state.adapter else "no adapter", "" if state.adapter else DIM)
    add(
        8,
        "retrieval on" if state.retrieval else "retrieval OFF",
        DIM if state.retrieval else "bold $text-warning",
    )
    if state.k is not None:
        add(1, f"k {state.k}")
    if state.within is not None:
        add(5, f"in {state.within}", "bold $text-warning")
    if state.context_used is not None and state.context_limit is not None:
        add(4, f"context {state.context_used}/{state.context_limit}")
    if state.rate is not None:
        add(2, f"{state.rate:.1f} tok/s")
    while len(parts) > 1 and _width([part for _, part in parts]) > width - 2:
        parts.remove(min(parts, key=lambda part: part[0]))
    return Content(_SEPARATOR).join(part for _, part in parts)


def _width(parts: list[Content]) -> int:
    return sum(part.cell_length for part in parts) + len(_SEPARATOR) * (len(parts) - 1)
