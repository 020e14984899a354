"""Notices changes below folders and of single files, by the system's own events where it has them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

_TICK_MS = 500  # how often single files, vanished roots and the wish to stop are looked at
_QUIET_MS = 200  # a set of changes ends after so long without another
_LONGEST_MS = 3000  # and after so long at the latest


def changes(roots: Sequence[Path], ignored: Path, stop: Callable[[], bool]) -> Iterator[int]:
    """How many paths changed, each time some did; the first one says that watching has begun, and is 0.

    `roots` are absolute, without symbolic links. No change after the first yield is missed, also while the
    caller works. Hidden entries and what lies under `ignored` do not count. A root that goes away and comes
    back is watched again.
    """
    begun = False
    looks = [_look(root) for root in roots]
    while not stop():
        folders = [root for root in roots if root.is_dir()]
        for count in _ticks(folders, ignored):
            if stop():
                return
            before, looks = looks, [_look(root) for root in roots]
            if not begun:
                begun = True
                yield 0
            elif count or looks != before:
                yield max(count, 1)
            if folders != [root for root in roots if root.is_dir()] or _replaced(roots, before, looks):
                break  # watch what is there now


def _look(root: Path) -> tuple[int, ...]:
    """What betrays a change of a root itself; of a folder only that it is another one."""
    try:
        found = root.stat()
    except OSError:
        return ()
    if root.is_dir():
        return found.st_dev, found.st_ino
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _replaced(roots: Sequence[Path], before: list[tuple[int, ...]], after: list[tuple[int, ...]]) -> bool:
    pairs = zip(roots, before, after, strict=True)
    return any(old != new for root, old, new in pairs if root.is_dir())


def _ticks(folders: Sequence[Path], ignored: Path) -> Iterator[int]:
    """Every half second or sooner, the number of paths that changed below `folders`."""
    if not folders:
        while True:
            time.sleep(_TICK_MS / 1000)
            yield 0
    from watchfiles import watch

    start = partial(
        watch,
        *folders,
        watch_filter=lambda _, path: _counts(path, folders, ignored),
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
    )
    try:
        for found in start():
            yield len(found)
    except OSError:  # no more system events to be had for a tree of this size
        for found in start(force_polling=True, poll_delay_ms=2 * _TICK_MS):
            yield len(found)


def _counts(path: str, folders: Sequence[Path], ignored: Path) -> bool:
    if Path(path).is_relative_to(ignored):
        return False
    inside = (os.path.relpath(path, folder) for folder in folders if Path(path).is_relative_to(folder))
    return any(not any(part.startswith(".") for part in name.split("/")) or name == "." for name in inside)
