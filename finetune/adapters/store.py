"""The adapters of a library and of the package: found by name, put in and taken out whole or not at all.

In the library an adapter is the folder `adapters/NAME`; the package's own are in `finetune/shipped`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from corpora.errors import Conflict, Missing, StorageError, UsageError
from corpora.store import Library
from finetune.adapters.active import forget
from finetune.adapters.config import CONFIG
from finetune.adapters.fitting import check_adapter
from finetune.adapters.weights import WEIGHTS
from finetune.card import CARD, Card, is_adapter_name
from index.cache_files import make_durable, sha256_of, sweep

FOLDER = "adapters"
_LOCK = "adapters.db"  # held while a folder is put in or taken out; documents may be ingested beside it
_NOTICES = ("LICENSE", "NOTICE", "NOTICE.md", "README.md")
_NO_PATTERN = "no-file-of-ours"


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter by its name; nothing of the folder has been looked at."""

    name: str
    folder: Path
    shipped: bool


def shipped() -> list[Adapter]:
    """The adapters that came with the program, by name."""
    folder = Path(str(files("finetune"))) / "shipped"
    return [Adapter(one.name, one, True) for one in sorted(folder.glob(f"*/{CARD}")) for one in [one.parent]]


def in_library(library: Library) -> list[Adapter]:
    """The adapters of a library, by name; damaged ones too."""
    folder = library.folder / FOLDER
    if not _is_own_folder(folder):
        return []
    found = [one for one in folder.iterdir() if is_adapter_name(one.name) and _is_own_folder(one)]
    return [Adapter(one.name, one, False) for one in sorted(found)]


def find(name: str, library: Library | None) -> Adapter:
    """The adapter called `name`, of the library or shipped. Raises Missing; UsageError for no name at all."""
    if not is_adapter_name(name):
        raise UsageError(f"{name!r} is no name of an adapter.", hint="assistant adapters list")
    known = [*(in_library(library) if library else []), *shipped()]
    for adapter in known:
        if adapter.name == name:
            return adapter
    raise Missing(
        f"There is no adapter called {name}.", hint="assistant adapters list", code="adapter_missing"
    )


def install(library: Library, source: Path, card: Card) -> Adapter:
    """Copy the adapter files in `source`, with `card`, to `adapters/NAME` of the library (NAME: the card's).

    What is copied is checked as an adapter from anywhere. Raises Conflict (name_taken, bad_adapter, ...),
    StorageError; then nothing has changed.
    """
    with building(library, card.name) as folder:
        for name in (WEIGHTS, CONFIG, *_NOTICES):
            path = source / name
            if path.is_file() and not path.is_symlink():
                shutil.copyfile(path, folder / name)
        card.write(folder)
    return find(card.name, library)


@contextmanager
def building(library: Library, name: str) -> Iterator[Path]:
    """A folder to write an adapter into, which is `adapters/NAME` when the block ends well, else nothing.

    Raises Conflict for a name that is taken and for what check_adapter refuses, StorageError.
    """
    if not is_adapter_name(name):
        raise UsageError(f"{name!r} is no name for an adapter.", hint="letters, digits, . _ - (64 at most)")
    folder = library.folder / FOLDER
    try:
        with library.guard(lock=_LOCK):
            _sweep(library)
            folder.mkdir(mode=0o700, exist_ok=True)
            if os.path.lexists(folder / name) or any(one.name == name for one in shipped()):
                raise Conflict(
                    f"There is an adapter called {name} already.",
                    hint=f"another name, or assistant adapters remove {name}",
                    code="name_taken",
                )
            work = folder / f".tmp-{os.getpid()}"
            made = work / name
            try:
                made.mkdir(mode=0o700, parents=True)
                yield made
                check_adapter(made)
                make_durable([*made.iterdir(), made])
                made.rename(folder / name)
                make_durable([folder, library.folder])
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        code = "no_space" if error.errno == 28 else "io"
        raise StorageError(f"The adapter {name} could not be stored: {error}.", code=code) from error


def remove(library: Library, name: str, *, on_wait: Callable[[str], None] | None = None) -> list[str]:
    """Take the adapter `name` out of the library; returns the bases on which it was in use until now.

    Whatever comes next there, it is no longer asked for: see `finetune.adapters.active`. Raises Missing,
    UsageError for a shipped one.
    """
    with library.guard(lock=_LOCK, on_wait=on_wait):
        _sweep(library)
        adapter = find(name, library)
        if adapter.shipped:
            raise UsageError(
                f"{name} came with the program and stays.",
                hint="assistant adapters use none does without it",
            )
        lost = forget(library, name)  # first, so that no moment has an active adapter without a folder
        doomed = adapter.folder.with_name(f".tmp-{os.getpid()}-{name}")
        adapter.folder.rename(doomed)
        make_durable([doomed.parent])
        _sweep(library)
    return lost


def _sweep(library: Library) -> None:
    """Remove what a killed install or removal has left; the lock is held, so that nobody is at work there."""
    folder = library.folder / FOLDER
    if folder.is_symlink():
        raise Conflict(
            f"{folder} is a link: adapters are kept inside of the library.",
            hint=f"remove the link {folder}",
            code="bad_adapter",
        )
    sweep(folder, [], _NO_PATTERN)


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def weights_sha256(folder: Path) -> str:
    """Of the weights file of an adapter, as a card holds it."""
    return sha256_of(folder / WEIGHTS)
