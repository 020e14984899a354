"""The conversation: the last turns as widgets, earlier ones when the reader scrolls up to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual._styles_cache import StylesCache
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from assistant.tui.turns import TurnView
from assistant.tui.words import DIM

if TYPE_CHECKING:
    from assistant.chat.records import Turn

WINDOW = 30  # turns that are widgets while the reader is at the end: memory and layout stay flat
_STEP = 10


class Transcript(VerticalScroll, can_focus=False):
    """Turns, oldest first; stays at the end unless the reader scrolls up."""

    BINDINGS: ClassVar[list[BindingType]] = []

    @dataclass
    class Earlier(Message):
        """The reader wants the turns before number `before` (an id of a turn)."""

        before: int

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self._hidden = 0  # turns before the first widget
        self._notice = Static("", markup=False, id="earlier")

    def on_mount(self) -> None:
        """An empty conversation."""
        self.mount(self._notice)
        self._notice.display = False
        self.anchor()

    @property
    def views(self) -> list[TurnView]:
        """The turns that are widgets."""
        return list(self.query_children(TurnView))

    @property
    def last(self) -> TurnView | None:
        """The last turn."""
        views = self.views
        return views[-1] if views else None

    async def show(self, turns: Sequence[Turn]) -> None:
        """Show a conversation from its end."""
        await self.query_children("TurnView, .notice, #empty").remove()
        shown = turns[-WINDOW:]
        self._set_hidden(len(turns) - len(shown))
        await self.mount_all([TurnView(turn.question, turn) for turn in shown])
        self.anchor()

    async def add(self, question: str) -> TurnView:
        """A question that is being answered; the first ones make room."""
        view = TurnView(question)
        await self.query_children("#empty").remove()
        await self.mount(view)
        views = self.views
        if len(views) > WINDOW + _STEP:
            await self.remove_children(views[:_STEP])
            self._set_hidden(self._hidden + _STEP)
            _forget_removed()
        self.anchor()
        return view

    async def show_empty(self, content: Content) -> None:
        """What an empty conversation says; it goes with the first turn."""
        await self.query_children("#empty").remove()
        if not self.views:
            await self.mount(Static(content, markup=False, id="empty"))

    async def add_notice(self, content: Content, classes: str = "") -> None:
        """A message of the program's own, in its place among the turns."""
        await self.mount(Static(content, markup=False, classes=f"notice {classes}"))
        self.anchor()

    async def add_earlier(self, turns: Sequence[Turn]) -> None:
        """Put the turns before the first widget in front of it; `turns` are all that come before it."""
        views = self.views
        shown = list(turns[-_STEP:])
        self._set_hidden(len(turns) - len(shown))
        if shown and views:
            top = views[0]
            await self.mount_all([TurnView(turn.question, turn) for turn in shown], before=top)
            self.scroll_to_widget(top, animate=False, top=True)

    async def take_back(self, view: TurnView) -> None:
        """Remove a turn from the screen."""
        await view.remove()

    def scroll_page(self, direction: int) -> None:
        """A page up (-1) or down (1)."""
        if self.max_scroll_y <= 0:
            return
        if direction < 0:
            self.scroll_page_up(animate=False)
        else:
            self.scroll_page_down(animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """At the very top, earlier turns are asked for."""
        super().watch_scroll_y(old_value, new_value)
        views = self.views
        if self._hidden and new_value <= 0 < old_value and views and views[0].turn is not None:
            self.post_message(self.Earlier(views[0].turn.id))

    def _set_hidden(self, hidden: int) -> None:
        self._hidden = max(0, hidden)
        self._notice.display = bool(self._hidden)
        self._notice.update(Content.styled(f"{self._hidden} earlier turns: scroll up", DIM))


def _forget_removed() -> None:
    """Let go of the lines of removed widgets, which a cache of Textual's holds (its issue 6665)."""
    clear = getattr(StylesCache.get_inner_outer, "cache_clear", None)
    if clear is not None:
        clear()
