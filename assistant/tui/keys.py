"""The keys that can be set: every binding with an id, and how the help shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.binding import Binding

from assistant.tui.chat import ChatScreen
from assistant.tui.dialogs import Correction
from assistant.tui.past import PastSessions
from assistant.tui.prompt import Entry
from assistant.tui.sources import PassageScreen

if TYPE_CHECKING:
    from assistant.tui.app import ChatApp


def bindings() -> list[Binding]:
    """Every binding that has an id, by which `chat.toml` may give it other keys."""
    from assistant.tui.app import ChatApp

    found: list[Binding] = []
    for owner in (Entry, ChatScreen, ChatApp, PassageScreen, PastSessions, Correction):
        found += [one for one in owner.BINDINGS if isinstance(one, Binding) and one.id]
    return found


def key_rows(app: ChatApp, keymap: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """For each of them the keys as they are set, what they do, and the id."""
    rows = []
    for binding in bindings():
        keys = keymap.get(binding.id or "", binding.key)
        single = Binding.make_bindings([Binding(keys, binding.action, binding.description)])
        shown = ", ".join(app.get_key_display(one) for one in single)
        rows.append((shown, binding.tooltip or binding.description, binding.id or ""))
    return rows
