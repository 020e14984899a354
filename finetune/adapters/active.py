"""Which adapter answers on which base: one entry of the library's manifest for each base model.

An entry holds what is in use and what was in use before. Both are the name of an adapter, "none" (the plain
base), or null (nobody has chosen: the shipped adapter of that base, if there is one).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corpora.errors import NothingToDo
from corpora.store import Library, Writer
from finetune.base_identity import base_name
from finetune.card import is_adapter_name

NONE = "none"
_KEY = "active_adapter:"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is in use on a base; `previous` is meaningless while `changed` is False."""

    name: str | None = None
    previous: str | None = None
    changed: bool = False


def choice_for(library: Library, base: str) -> Choice:
    """What was chosen for the base model that the user calls `base`."""
    return _read(library.manifest(_key(base)))


def choose(library: Library, base: str, name: str | None) -> Choice:
    """Put `name` to use on `base`, from the next answer on; what was in use is remembered."""
    with library.write() as writer:
        now = _stored(writer, _key(base))
        if now.name == name:
            return now
        then = Choice(name, now.name, True)
        _write(writer, _key(base), then)
    return then


def roll_back(library: Library, base: str) -> Choice:
    """Put to use again what was in use before, on `base`; twice is as before. Raises NothingToDo."""
    with library.write() as writer:
        now = _stored(writer, _key(base))
        if not now.changed:
            others = [name for name, choice in _entries(writer) if choice.changed]
            raise NothingToDo(
                f"No other adapter was in use on {base} before.",
                hint=f"--model {others[0]}" if others else "assistant adapters list",
                code="no_previous",
            )
        then = Choice(now.previous, now.name, True)
        _write(writer, _key(base), then)
    return then


def forget(library: Library, name: str) -> list[str]:
    """Let no base use the adapter `name`; returns those that did. There, what was in use before is again."""
    lost = []
    with library.write() as writer:
        for base, now in _entries(writer):
            if now.name == name:
                lost.append(base)
                _write(writer, _KEY + base, Choice(now.previous if now.previous != name else None))
            elif now.changed and now.previous == name:
                _write(writer, _KEY + base, Choice(now.name))
    return lost


def _entries(writer: Writer) -> list[tuple[str, Choice]]:
    """Every base for which something was chosen."""
    rows = writer.connection.execute(
        "SELECT key, value FROM manifest WHERE key >= ? AND key < ? ORDER BY key", (_KEY, _KEY[:-1] + ";")
    ).fetchall()
    return [(str(key).removeprefix(_KEY), _read(value)) for key, value in rows]


def _key(base: str) -> str:
    return _KEY + base_name(base)


def _stored(writer: Writer, key: str) -> Choice:
    row = writer.connection.execute("SELECT value FROM manifest WHERE key = ?", (key,)).fetchone()
    return _read(row[0] if row else None)


def _write(writer: Writer, key: str, choice: Choice) -> None:
    value: dict[str, Any] = {"active": choice.name}
    if choice.changed:
        value["previous"] = choice.previous
    writer.set_manifest(key, json.dumps(value) if choice.name or choice.changed else None)


def _read(value: str | None) -> Choice:
    """A library may come from anybody: what is no entry of ours is as if nothing were chosen."""
    try:
        entry = json.loads(value) if value else {}
    except (ValueError, RecursionError):
        return Choice()
    if not isinstance(entry, Mapping):
        return Choice()
    return Choice(_name(entry.get("active")), _name(entry.get("previous")), "previous" in entry)


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and (value == NONE or is_adapter_name(value)) else None
