"""What the engine was asked for and has not done yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assistant.tui.link import Link
    from assistant.tui.turns import TurnView


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the next question is asked with; None: what flags and settings say."""

    model: str | None = None
    adapter: str | None = None
    k: int | None = None
    within: str | None = None
    retrieval: bool = True

    def row(self) -> dict[str, Any]:
        """As a request carries it."""
        return {
            "model": self.model,
            "adapter": self.adapter,
            "k": self.k,
            "within": self.within,
            "retrieval": self.retrieval,
        }


@dataclass(slots=True)
class Pending:
    """A request: `what` it is, the word for it, and since when it is waited for (seconds of the clock).

    `view` shows its answer, and `replaces` is the turn whose place a whole answer takes. `before` is what to
    go back to when a choice of model comes to nothing.
    """

    what: str
    verb: str
    since: float
    view: TurnView | None = None
    replaces: TurnView | None = None
    before: Chosen | None = None


class Requests:
    """The requests under way, by their numbers."""

    def __init__(self, link: Link, clock: Callable[[], float]) -> None:
        self._link, self._clock = link, clock
        self._pending: dict[int, Pending] = {}

    def send(self, do: str, pending: Pending, **fields: Any) -> int:
        """Ask for something; it is pending until `done`."""
        number = self._link.send(do, **fields)
        self._pending[number] = pending
        return number

    def get(self, number: int) -> Pending | None:
        """The request of this number, while it is pending."""
        return self._pending.get(number)

    def done(self, number: int) -> Pending | None:
        """It is not pending any more."""
        return self._pending.pop(number, None)

    def drop_all(self) -> list[Pending]:
        """Nothing is pending any more; what was."""
        dropped = list(self._pending.values())
        self._pending.clear()
        return dropped

    @property
    def at_work(self) -> int | None:
        """The number of the request that Esc would stop: none for what loads or only looks."""
        stoppable = ("answer", "ingest", "compare")
        return next((n for n, one in reversed(self._pending.items()) if one.what in stoppable), None)

    @property
    def loading(self) -> bool:
        """Whether a model is being loaded: which adapter is going to answer is not known yet."""
        return any(one.what == "load" for one in self._pending.values())

    def doing(self) -> str | None:
        """What is going on, for the status line."""
        number = self.at_work
        if number is None:
            return None
        one = self._pending[number]
        return f"{one.verb} {self._clock() - one.since:.0f} s, Esc stops"

    def stop(self) -> bool:
        """Have the request at work stopped; whether there was one."""
        number = self.at_work
        if number is None:
            return False
        self._link.send("stop", target=number)
        self._pending[number].verb = "stopping"
        return True
