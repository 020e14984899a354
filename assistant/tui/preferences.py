"""The chat's own settings: `chat.toml` and `themes/*.toml` in the user's config folder, never in a library.

theme = "dusk"                 # textual-dark, textual-light, ... or one of themes/
editor = "code --wait"         # instead of $VISUAL and $EDITOR

[keys]
"chat.sources" = "ctrl+t"      # an id from the help, and the keys that do it
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.paths import config_file
from corpora.errors import UsageError

LIGHT, DARK = "textual-light", "textual-dark"
_COLOURS = frozenset(
    {"primary", "secondary", "warning", "error", "success", "accent"}
    | {"foreground", "background", "surface", "panel", "boost"}
)
_COLOUR = re.compile(r"#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?\Z")
_KEY = re.compile(r"[a-z0-9_]+(\+[a-z0-9_]+)*\Z")


@dataclass(frozen=True, slots=True)
class OwnTheme:
    """Colours of the user's own; `colours` maps names of Textual's to `#rrggbb`, `primary` is among them."""

    name: str
    dark: bool
    colours: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the user has set; `keys` maps ids of bindings to keys, comma-separated."""

    theme: str | None = None
    editor: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    themes: tuple[OwnTheme, ...] = ()


def read_preferences(binding_ids: frozenset[str]) -> Preferences:
    """The user's chat settings. Raises UsageError that names every wrong key of a file at once."""
    path = _file()
    table = _toml(path)
    problems = [f"unknown key {name!r}" for name in table if name not in ("theme", "editor", "keys")]
    for name in ("theme", "editor"):
        if not isinstance(table.get(name, ""), str):
            problems.append(f"{name!r} takes a text")
    keys = table.get("keys", {})
    problems += _key_problems(keys, binding_ids)
    editor: tuple[str, ...] = ()
    try:
        editor = tuple(shlex.split(str(table.get("editor", ""))))
    except ValueError as error:
        problems.append(f"'editor': {error}")
    if problems:
        raise UsageError(
            f"{path}: {'; '.join(problems)}.", hint="F1 in the chat lists the keys", code="bad_config"
        )
    themes = tuple(_theme(one) for one in sorted((path.parent / "themes").glob("*.toml")))
    return Preferences(table.get("theme") or None, editor, keys, themes)


def editor_command(preferences: Preferences) -> tuple[str, ...]:
    """The user's editor as an argument list; empty where there is none."""
    if preferences.editor:
        return preferences.editor
    for variable in ("VISUAL", "EDITOR"):
        try:
            words = tuple(shlex.split(os.environ.get(variable, "")))
        except ValueError:
            words = ()
        if words:
            return words
    return ()


def remembered_theme() -> str | None:
    """The theme that was chosen in the chat last."""
    try:
        return _state_file().read_text("utf-8").strip()[:100] or None
    except (OSError, UnicodeDecodeError):
        return None


def remember_theme(name: str) -> None:
    """Use this theme from now on; a folder that cannot be written is no error, it is only forgotten."""
    try:
        _state_file().parent.mkdir(parents=True, exist_ok=True)
        _state_file().write_text(f"{name}\n", "utf-8")
    except OSError:
        return


def _theme(path: Path) -> OwnTheme:
    table = _toml(path)
    problems = [f"unknown key {name!r}" for name in table if name not in _COLOURS and name != "dark"]
    if not isinstance(table.get("dark", True), bool):
        problems.append("'dark' takes true or false")
    colours = {name: value for name, value in table.items() if name in _COLOURS}
    for name, value in colours.items():
        if not isinstance(value, str) or not _COLOUR.match(value):
            problems.append(f'{name!r} takes a colour like "#1e90ff"')
    if "primary" not in table:
        problems.append("'primary' is missing")
    if problems:
        raise UsageError(f"{path}: {'; '.join(problems)}.", code="bad_config")
    return OwnTheme(path.stem, table.get("dark", True), colours)


def _key_problems(keys: Any, binding_ids: frozenset[str]) -> list[str]:
    if not isinstance(keys, dict):
        return ["'keys' takes a table"]
    problems = []
    for name, value in keys.items():
        if name not in binding_ids:
            problems.append(f"unknown key [keys] {name!r} (known: {', '.join(sorted(binding_ids))})")
        elif not isinstance(value, str) or not all(_KEY.match(one.strip()) for one in value.split(",")):
            problems.append(f'[keys] {name!r} takes keys like "ctrl+t" or "f5,ctrl+t"')
    return problems


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}", code="bad_config") from error


def _file() -> Path:
    return config_file().with_name("chat.toml")


def _state_file() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "assistant" / "theme"
