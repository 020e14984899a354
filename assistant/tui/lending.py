"""A command that was asked for, run: in the terminal, which is lent to it, or beside it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported

if TYPE_CHECKING:
    from textual.app import App

    from assistant.tui.opening import Opening


def run_command(app: App[Any], command: Opening) -> str | None:
    """Run it; what went wrong, for people, if anything did."""
    try:
        if command.terminal:
            with app.suspend():
                subprocess.run(command.arguments, check=False)  # noqa: S603 - no shell, asked before
        else:
            subprocess.Popen(  # noqa: S603 - no shell, asked before
                command.arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
    except OSError as error:
        return f"{command.arguments[0]}: {error.strerror}"
    except SuspendNotSupported:
        return "This terminal cannot be lent to an editor."
    return None
