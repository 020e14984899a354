"""Where things live (XDG); nothing is created by asking."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from corpora.errors import NothingToDo, UsageError

if TYPE_CHECKING:
    from corpora.store import Library

LIBRARY_NAME = ".assistant"


def config_file() -> Path:
    """The user's own config.toml."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "assistant" / "config.toml"


def typed_path(text: str) -> Path:
    """A path as a person types it, `~` and all; the `~name` of nobody stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises where there is no such user


def no_place(path: Path, error: OSError) -> UsageError:
    """What to raise where no file can be made at `path`."""
    return UsageError(f"{path}: {error.strerror}.", hint="name a file in a folder that is there")


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; False too where one may not look, or no name is so long."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for those


def find_library(given: Path | None) -> Path | None:
    """The library folder: the flag, ASSISTANT_LIBRARY, or the nearest `.assistant` upwards; else None.

    Raises Conflict for a library of another user that no flag names: it could hold anything.
    """
    if given is not None:
        return given.absolute() if _is_library(given) else None
    variable = os.environ.get("ASSISTANT_LIBRARY")
    here = Path.cwd()
    candidates = [Path(variable)] if variable else [folder / LIBRARY_NAME for folder in (here, *here.parents)]
    for candidate in candidates:
        if _is_library(candidate):
            from corpora.store.connection import refuse_foreign  # brings sqlite3

            refuse_foreign(candidate)
            return candidate.absolute()
    return None


def require_library(given: Path | None) -> Path:
    """As `find_library`, but a missing library is exit 3 with the command that makes one."""
    found = find_library(given)
    if found is None:
        where = given or os.environ.get("ASSISTANT_LIBRARY") or f"./{LIBRARY_NAME}"
        raise NothingToDo(f"No library in {where}.", hint="assistant ingest FOLDER")
    return found


def open_library(given: Path | None, *, writable: bool = False) -> Library:
    """The library that `require_library` finds. Raises as it does; NothingToDo, Conflict, Busy."""
    from corpora.store import Library  # brings SQLite

    return Library.open(require_library(given), writable=writable, named=given is not None)


def library_to_create(given: Path | None) -> Path:
    """Where `ingest` works: an existing library, else the one named, else `./.assistant`."""
    found = find_library(given)
    if found is not None:
        return found
    variable = os.environ.get("ASSISTANT_LIBRARY")
    named = given or (Path(variable) if variable else None)
    target = (named or Path.cwd() / LIBRARY_NAME).absolute()
    if target.exists() and not target.is_dir():
        raise UsageError(f"--library {target} is not a folder.", hint="name the library folder itself")
    return target


def _is_library(folder: Path) -> bool:
    try:
        return (folder / "library.db").is_file()
    except OSError:
        return False
