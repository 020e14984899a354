"""What the engine tells, shown on the screen: a method for each event (`assistant.tui.worker` lists them)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textual.content import Content

from assistant.tui import words
from assistant.tui.compare import CompareScreen
from assistant.tui.pages import Page, why_content
from assistant.tui.requests import Pending
from assistant.tui.turns import failure
from assistant.tui.words import DIM

if TYPE_CHECKING:
    from assistant.chat.records import Turn
    from assistant.tui.chat import ChatScreen
    from assistant.tui.turns import TurnView

Event = Mapping[str, Any]
_PIECES_SECONDS = 0.04  # between two paints of an answer that is written, however fast it comes
_SKIPPED = 5


class Hearing:
    """Events in, changes of the screen out; called on the screen's own thread."""

    def __init__(self, chat: ChatScreen) -> None:
        self._chat = chat
        self._pieces: list[tuple[TurnView, str]] = []

    async def hear(self, event: Event) -> None:
        """Show one event; the turn that a `turn` or `rated` event speaks of is in it as `kept`."""
        number, name = int(event["id"]), str(event["event"])
        if name in ("stage", "say", "searched", "piece", "side", "sided"):
            pending = self._chat.requests.get(number)
        else:
            self.flush()
            self._chat.prompt.stage.hide()  # one request at a time is worked on, and this one is done
            pending = self._chat.requests.done(number)
        method = getattr(self, f"_{name}", None)
        if method is not None:
            await method(event, pending)
        self._chat.refresh_state()

    def flush(self) -> None:
        """Paint what has come."""
        pieces, self._pieces = self._pieces, []
        for view in dict.fromkeys(one for one, _ in pieces):
            if view.is_mounted and view.turn is None:
                view.write("".join(text for one, text in pieces if one is view))

    # -- making ready ------------------------------------------------------------------------------

    async def _stage(self, event: Event, _pending: Pending | None) -> None:
        self._chat.prompt.stage.show(event)

    async def _say(self, event: Event, _pending: Pending | None) -> None:
        self._chat.say(words.line(event["text"], DIM, 500))

    async def _ready(self, event: Event, _pending: Pending | None) -> None:
        state = self._chat.state
        state.model, state.adapter, state.context_limit = event["model"], event["adapter"], event["context"]
        self._chat.chat_app.engine_works()

    async def _ingested(self, event: Event, _pending: Pending | None) -> None:
        counts = ", ".join(f"{event[name]} {name}" for name in ("added", "updated", "removed", "unchanged"))
        lines = [
            Content.styled(
                f"{'Stopped: ' if event['stopped'] else ''}{counts}, {len(event['skipped'])} skipped;"
                f" {event['documents']} documents, {event['passages']} passages.",
                "bold",
            )
        ]
        for path, reason in event["skipped"][:_SKIPPED]:
            lines.append(words.line(f"skipped {path}: {reason}", DIM, 200))
        if len(event["skipped"]) > _SKIPPED:
            lines.append(words.line(f"… {len(event['skipped']) - _SKIPPED} more: assistant status", DIM))
        self._chat.say(words.joined(lines, "\n"), "-strong")
        self._chat.chat_app.look_around(load=True)

    # -- answers -----------------------------------------------------------------------------------

    async def _searched(self, event: Event, pending: Pending | None) -> None:
        if pending is not None and pending.view is not None:
            pending.view.show_searched(event["text"])

    async def _piece(self, event: Event, pending: Pending | None) -> None:
        screen = self._chat.app.screen
        if isinstance(screen, CompareScreen) and pending is not None and pending.what == "compare":
            screen.write(event["text"])
        elif pending is not None and pending.view is not None:
            if pending.verb != "stopping":
                pending.verb = "writing"
            if not self._pieces:
                self._chat.set_timer(_PIECES_SECONDS, self.flush)
            self._pieces.append((pending.view, event["text"]))

    async def _turn(self, event: Event, pending: Pending | None) -> None:
        turn: Turn | None = event["kept"]
        if turn is None or pending is None or pending.view is None:
            return
        chat = self._chat
        if pending.view.is_mounted:
            pending.view.finish(turn)
            if pending.replaces is not None and turn.status == "done":
                await chat.transcript.take_back(pending.replaces)
        chat.session = event["conversation"] or chat.session
        answer = turn.answer
        if answer is not None and answer.usage.prompt_tokens:
            chat.state.context_used = answer.usage.prompt_tokens + answer.usage.completion_tokens
        if answer is not None and answer.usage.completion_tokens and answer.seconds.generate > 0:
            chat.state.rate = answer.usage.completion_tokens / answer.seconds.generate
        if chat.sources.has_class("-open"):
            chat.show_sources()

    async def _stopped(self, _event: Event, pending: Pending | None) -> None:
        """Stopped while it waited for its turn: nothing was kept, the question goes back."""
        if pending is not None and pending.view is not None:
            await self._chat.transcript.take_back(pending.view)
            if not self._chat.entry.text:
                self._chat.entry.set_text(pending.view.question)

    async def _undone(self, event: Event, _pending: Pending | None) -> None:
        for view in self._chat.transcript.views:
            if view.turn is not None and view.turn.id == event["turn"]:
                await self._chat.transcript.take_back(view)
                if not self._chat.entry.text:
                    self._chat.entry.set_text(view.question)
        self._chat.show_sources()

    async def _rated(self, event: Event, _pending: Pending | None) -> None:
        turn: Turn | None = event["kept"]
        for view in self._chat.transcript.views:
            if turn is not None and view.turn is not None and view.turn.id == turn.id:
                view.finish(turn)
        self._chat.tell(event["text"])

    # -- looking into it ---------------------------------------------------------------------------

    async def _side(self, event: Event, _pending: Pending | None) -> None:
        screen = self._chat.app.screen
        if isinstance(screen, CompareScreen):
            screen.begin(event["side"])

    async def _sided(self, event: Event, _pending: Pending | None) -> None:
        screen = self._chat.app.screen
        if isinstance(screen, CompareScreen):
            screen.finish(event["side"], event["answer"])

    async def _compared(self, _event: Event, _pending: Pending | None) -> None:
        screen = self._chat.app.screen
        if isinstance(screen, CompareScreen):
            screen.stop("stopped")

    async def _why(self, event: Event, _pending: Pending | None) -> None:
        turn = next(
            (v.turn for v in self._chat.transcript.views if v.turn and v.turn.id == event["turn"]), None
        )
        if turn is not None:
            content = why_content(turn, event, self._chat.state.context_limit)
            self._chat.app.push_screen(Page("Why this answer", content))

    # -- failures ----------------------------------------------------------------------------------

    async def _failed(self, event: Event, pending: Pending | None) -> None:
        chat = self._chat
        at_start = pending is not None and pending.what == "load" and pending.before is None
        if event["code"] == "no_documents" and at_start:
            return
        if pending is not None and pending.before is not None:
            chat.chosen = pending.before
        screen = chat.app.screen
        if isinstance(screen, CompareScreen):
            screen.stop(event["message"])
        if pending is not None and pending.view is not None and pending.view.is_mounted:
            pending.view.fail(event["message"], event["hint"])
        else:
            chat.say(failure(event["message"], event["hint"]), "-failed")

    async def _died(self, event: Event, _pending: Pending | None) -> None:
        chat = self._chat
        for pending in chat.requests.drop_all():
            if pending.view is not None and pending.view.is_mounted:
                pending.view.fail("The engine ended before this was answered.", "/retry")
        again = chat.chat_app.restart_engine()
        hint = "it is started again; what was answered is saved" if again else "/quit, and assistant chat"
        chat.say(failure(event["message"], hint), "-failed")
