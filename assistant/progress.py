"""A progress bar on standard error: only on a terminal, and only for work of over a second."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from assistant.terminal import clean_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE_SECONDS = 1.0
_NOTE_WIDTH = 40


class Bar:
    """How far some work is; made by `progress`. Does nothing where nobody watches."""

    def __init__(self, what: str, total: int | None) -> None:
        self.done = 0
        self.total = total
        self.what = what
        self._began = time.monotonic()
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._display: tuple[Progress, TaskID] | None = None

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` more units are done; `note` names what is at hand (untrusted text is cleaned)."""
        self.done += n
        if not self._shown:
            return
        if self._display is None:
            if time.monotonic() - self._began < _PATIENCE_SECONDS:
                return
            self._display = _opened(self.what, self.total)
        display, task = self._display
        display.update(task, completed=self.done, note=_short(clean_line(note)))

    def close(self) -> None:
        """Take the bar away; the summary is the caller's."""
        if self._display is not None:
            self._display[0].stop()
            self._display = None


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Bar]:
    """`with progress("Encoding", 500) as bar: bar.advance(10, "docs/a.md")`."""
    bar = Bar(what, total)
    try:
        yield bar
    finally:
        bar.close()


class StageBar:
    """A bar for a job that tells by itself when a stage begins (`index.sync_options.Progress`)."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self.done = 0
        self.total = 0

    def __enter__(self) -> StageBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, what: str, total: int) -> None:
        """A stage of `total` units begins."""
        self.__exit__()
        self._bar, self.done, self.total = Bar(what, total), 0, total

    def advance(self, n: int, note: str) -> None:
        """So many more units are done."""
        self.done += n
        if self._bar is not None:
            self._bar.advance(n, note)

    def report(self, what: str, done: int, total: int) -> None:
        """For work that tells a stage and how far it is (`index.weights.Progress`)."""
        if self._bar is None or self._bar.what != what:
            self.start(what, total)
        self.advance(done - self.done, "")


def _opened(what: str, total: int | None) -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    display = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=Console(stderr=True, highlight=False),
        transient=True,
        redirect_stdout=False,
    )
    task = display.add_task(what, total=total, note="")
    display.start()
    return display, task


def _short(text: str) -> str:
    """The end of a long path, which tells more than its beginning."""
    return text if len(text) <= _NOTE_WIDTH else f"…{text[1 - _NOTE_WIDTH :]}"
