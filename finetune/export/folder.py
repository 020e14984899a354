"""A folder that appears whole or not at all, with what has to travel with the weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpora.errors import Conflict, StorageError, UsageError
from finetune.card import CARD
from finetune.export.source import Source
from index.cache_files import make_durable

_SPARE_BYTES = 64 << 20
_NO_SPACE = 28
_LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*", "ATTRIBUTION*")
_TOKENIZER = (
    "tokenizer*.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.jinja",
)


@contextmanager
def new_folder(target: Path, needed: int) -> Iterator[Path]:
    """A folder to fill, which takes the name `target` when all went well, and is gone otherwise.

    Raises UsageError where `target` has no parent, Conflict where it holds anything, StorageError without
    room for `needed` bytes or when writing fails.
    """
    target = Path(os.path.realpath(target))
    check_target(target)
    parent = target.parent
    _sweep(target)
    free = shutil.disk_usage(parent).free
    if free < needed + _SPARE_BYTES:
        raise StorageError(
            f"The export needs {_size(needed)}, and {parent} has {_size(free)} left.",
            hint="free some space, or -o a folder on another disk",
            code="no_space",
        )
    building = parent / f".{target.name}.tmp-{os.getpid()}"
    try:
        building.mkdir()
        yield building
        folders = [path for path in building.rglob("*") if path.is_dir()]
        make_durable([path for path in building.rglob("*") if path.is_file()])
        make_durable([*folders, building])
        building.rename(target)  # an empty folder of that name gives way
        make_durable([parent])
    except OSError as error:
        raise StorageError(
            f"{target} could not be written: {error.strerror or error}.",
            hint="free some space" if error.errno == _NO_SPACE else None,
            code="no_space" if error.errno == _NO_SPACE else "io",
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def check_target(target: Path) -> None:
    """Raises UsageError or Conflict unless `target` is new or empty, in a folder that is there."""
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such folder.", hint=f"mkdir -p {target.parent}")
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        raise Conflict(
            f"{target} is there already, and nothing is overwritten.",
            hint="-o a folder that is new or empty",
            code="not_empty",
        )


def copy_companions(source: Source, folder: Path) -> None:
    """The card, and licences and notices of adapter and base."""
    card = source.folder / CARD
    if card.is_file():
        shutil.copyfile(card, folder / CARD)
    for path in _found(source.folder, (*_LICENCES, "README.md")):
        if not path.is_symlink():  # an adapter may come from anybody, and point anywhere
            named = "adapter-README.md" if path.name == "README.md" else path.name
            shutil.copyfile(path, folder / named)
    if not source.is_whole:
        for path in _found(source.base_folder, _LICENCES):
            shutil.copyfile(path, folder / f"base-{path.name}")


def copy_tokenizer(source: Source, folder: Path) -> None:
    """Tokenizer and chat template, which no training here changes: those of the base."""
    for path in _found(source.base_folder, _TOKENIZER):
        shutil.copyfile(path, folder / path.name)


def stored_bytes(folder: Path) -> int:
    """Bytes of all files in `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _found(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]


def _sweep(target: Path) -> None:
    """What killed exports to the same place have left behind."""
    for stale in target.parent.glob(f".{target.name}.tmp-*"):
        number = stale.name.rpartition("-")[2]
        if number.isdigit() and not _is_running(int(number)):
            shutil.rmtree(stale, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
