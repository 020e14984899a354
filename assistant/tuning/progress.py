"""Progress of `tune` on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time

from assistant.progress import StageBar
from assistant.terminal import clean_line, say

_EVERY_SECONDS = 30.0


class TuneBar(StageBar):
    """A bar for each stage; where nobody watches a terminal, a line with loss and time left."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = not sys.stderr.isatty()
        self._what = ""
        self._began = self._said = time.monotonic()

    def start(self, what: str, total: int) -> None:
        """A stage of `total` units begins."""
        super().start(what, total)
        self._what, self._began = what, time.monotonic()
        self._said = self._began

    def advance(self, n: int, note: str) -> None:
        """So many more units are done."""
        super().advance(n, note)
        now = time.monotonic()
        if not self._lines or now - self._said < _EVERY_SECONDS or not self.done:
            return
        self._said = now
        left = (self.total - self.done) * (now - self._began) / self.done
        told = f", {clean_line(note)}" if self._what == "tune" else ""
        say(f"{self._what}: {self.done} of {self.total}{told}, about {_words(left)} left")


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
