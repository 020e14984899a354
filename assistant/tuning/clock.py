"""The time that a command may take, from its beginning."""

from __future__ import annotations

import math
import time


class Clock:
    """Runs from when it is made; `seconds` None is no limit."""

    def __init__(self, seconds: float | None) -> None:
        self._began = time.monotonic()
        self._seconds = seconds

    def limit(self, seconds: float | None) -> None:
        """Set the limit, counted from the beginning."""
        self._seconds = seconds

    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def left(self) -> float:
        """Seconds that are left; infinite without a limit."""
        return math.inf if self._seconds is None else self._seconds - self.spent()

    def deadline(self, reserve: float) -> float | None:
        """When, as `time.monotonic` counts, `reserve` seconds are left; None without a limit."""
        return None if self._seconds is None else self._began + self._seconds - reserve
