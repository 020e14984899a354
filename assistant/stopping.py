"""Ctrl-C and SIGTERM during long work: the first asks it to stop cleanly, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from assistant.terminal import say

_PATIENCE_SECONDS = 10.0


class StopOnSignal:
    """`with StopOnSignal() as stop: work(stop=stop.requested)`, and exit with `stop.exit_code` if asked.

    Work that does not stop by itself within a few seconds of the first signal is interrupted by
    KeyboardInterrupt, as it is by a second signal; where SIGTERM was the first, that leaves as an exit with
    143. Outside of the main thread it hears nothing.
    """

    def __init__(self) -> None:
        self._signal = 0
        self._previous: dict[int, object] = {}

    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._signal != 0

    @property
    def exit_code(self) -> int:
        """130 or 143."""
        return 128 + (self._signal or signal.SIGINT)

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            for number, handler in (
                (signal.SIGINT, self._asked),
                (signal.SIGTERM, self._asked),
                (signal.SIGALRM, self._overdue),
            ):
                self._previous[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if kind is KeyboardInterrupt and self._signal == signal.SIGTERM:
            raise SystemExit(self.exit_code) from error

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if self._signal:
            raise KeyboardInterrupt
        self._signal = number
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS, 1.0)  # a callback may swallow one
        say("Stopping after what is at hand (again to stop now).")

    def _overdue(self, _number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt
