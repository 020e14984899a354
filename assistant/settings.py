"""What is set, and where it was set: flags > environment > user's config > library's config > default.

A library travels with a folder and may come from anybody, so its config.toml may hold only the keys marked
`library` below; endpoints, language models and anything else that could send documents somewhere
are read from the user's own config, the environment or flags.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from assistant.paths import config_file
from corpora.errors import UsageError

Origin = Literal["flag", "environment", "user config", "library config", "default"]
PREFIX = "ASSISTANT_"
# Read elsewhere: where the library is, debugging, and where the test suite keeps weights and data.
OTHER_VARIABLES = frozenset(
    {"ASSISTANT_LIBRARY", "ASSISTANT_DEBUG", "ASSISTANT_TEST_CACHE", "ASSISTANT_SHARED_DATA"}
)


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its type, its default, whether a library may set it, and what it means."""

    type: type[int] | type[str] | type[bool]
    default: int | str | bool | None
    library: bool
    help: str
    choices: tuple[str, ...] = ()
    minimum: int = 0


KEYS: Mapping[str, Key] = {
    "encoder": Key(str, None, True, "encoder of a new library (default: chosen from the text)"),
    "chunk_tokens": Key(int, None, True, "longest passage, in the encoder's tokens", minimum=32),
    "chunk_overlap": Key(int, 0, True, "tokens that neighbouring passages share"),
    "k": Key(int, 6, True, "passages retrieved for a question", minimum=1),
    "mode": Key(str, "hybrid", True, "how passages are found", choices=("hybrid", "dense", "lexical")),
    "per_source": Key(int, 0, True, "most passages from one document (0: no cap)"),
    "links": Key(bool, True, True, "clickable source links on terminals that have them"),
    "model": Key(str, "smollm2-135m", False, "language model that answers"),
    "adapter": Key(str, None, False, "adapter of that model (default: the one in use), or none"),
    "base_url": Key(str, None, False, "OpenAI-compatible endpoint of a remote model"),
    "reranker": Key(str, None, False, "cross-encoder that reorders the passages found"),
    "offline": Key(bool, False, False, "never use the network"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Resolved settings; the fields are the keys of `KEYS`."""

    encoder: str | None
    chunk_tokens: int | None
    chunk_overlap: int
    k: int
    mode: str
    per_source: int
    links: bool
    model: str
    adapter: str | None
    base_url: str | None
    reranker: str | None
    offline: bool
    origins: Mapping[str, Origin]

    def chosen_by_user(self, key: str) -> bool:
        """Whether the person at the keyboard set `key`, rather than a library or a default."""
        return self.origins[key] in ("flag", "environment", "user config")


def resolve(library: Path | None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings for a command. `flags` maps keys to values, None meaning that the flag was not given."""
    layers: list[tuple[Origin, Mapping[str, Any]]] = [
        ("flag", {key: value for key, value in (flags or {}).items() if value is not None}),
        ("environment", _environment()),
        ("user config", read_config(config_file())),
        ("library config", read_config(library / "config.toml", of_library=True) if library else {}),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for name, key in KEYS.items():
        origins[name], values[name] = next(
            ((origin, layer[name]) for origin, layer in layers if name in layer), ("default", key.default)
        )
    return Settings(**values, origins=origins)


def read_config(path: Path, *, of_library: bool = False) -> dict[str, Any]:
    """The settings in a TOML file ({} where there is none); every wrong key is named at once."""
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint="assistant config path", code="bad_config") from error
    problems = []
    for name, value in table.items():
        if name not in KEYS:
            problems.append(f"unknown key {name!r}")
        elif of_library and not KEYS[name].library:
            problems.append(f"{name!r} may not be set by a library")
        elif of_library and name == "encoder" and not _is_embedded_encoder(value):
            problems.append("'encoder' of a library may only name an embedded encoder")
        else:
            problems.extend(_problem(name, value))
    if problems:
        hint = f"remove it from {path}" if of_library else "assistant config show lists the keys"
        raise UsageError(f"{path}: {'; '.join(problems)}.", hint=hint, code="bad_config")
    return dict(table)


def unknown_variables() -> list[str]:
    """ASSISTANT_* variables that mean nothing: most likely a typing error (shown by `doctor`)."""
    known = {PREFIX + name.upper() for name in KEYS} | OTHER_VARIABLES
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)


def _environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key in KEYS.items():
        raw = os.environ.get(PREFIX + name.upper())
        if raw is None or raw == "":
            continue
        value = _parse(key, raw)
        problems = _problem(name, value)
        if problems:
            raise UsageError(f"{PREFIX}{name.upper()}={raw}: {problems[0]}.", code="bad_config")
        found[name] = value
    return found


def _parse(key: Key, raw: str) -> int | str | bool:
    if key.type is bool:
        return _BOOLEANS.get(raw.lower(), raw)
    if key.type is int:
        try:
            return int(raw)
        except ValueError:
            return raw
    return raw


def _problem(name: str, value: Any) -> list[str]:
    key = KEYS[name]
    if type(value) is not key.type:
        return [f"{name!r} takes {_WORDS[key.type]}"]
    if key.choices and value not in key.choices:
        return [f"{name!r} takes one of {', '.join(key.choices)}"]
    if isinstance(value, int) and value < key.minimum:
        return [f"{name!r} takes a number of at least {key.minimum}"]
    return []


def _is_embedded_encoder(value: Any) -> bool:
    return value in ("all-minilm-l6-v2", "multilingual-e5-small")


_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("1", "true", "yes"), True),
    **dict.fromkeys(("0", "false", "no"), False),
}
_WORDS: Mapping[type, str] = {int: "a whole number", str: "a text", bool: "true or false"}
if {field.name for field in fields(Settings)} != {*KEYS, "origins"}:  # pragma: no cover - a slip of ours
    raise AssertionError("Settings and KEYS disagree")
