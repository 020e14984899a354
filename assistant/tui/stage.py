"""What the engine does before it can answer: loading, downloading, reading documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import ProgressBar, Static

from assistant.tui import words


class Stage(Horizontal):
    """A line with a bar above the entry; gone when there is nothing to wait for."""

    def compose(self) -> ComposeResult:
        """Words and a bar."""
        yield Static("", markup=False)
        yield ProgressBar(total=100, show_eta=False)  # one without an end moves all the time

    def show(self, event: Mapping[str, Any]) -> None:
        """A `stage` event: `what`, and where they are known `done`, `total` and `note`."""
        total, done = event.get("total"), event.get("done")
        note = words.shortened_path(event.get("note") or "", 40)
        counted = f" {done}/{total}" if total else ""
        self.query_one(Static).update(words.line(f"{event['what']}{counted}  {note}".rstrip()))
        self.query_one(ProgressBar).update(total=total or None, progress=done or 0)
        self.add_class("-on")

    def hide(self) -> None:
        """Nothing to wait for."""
        self.remove_class("-on")
        self.query_one(ProgressBar).update(total=100)
