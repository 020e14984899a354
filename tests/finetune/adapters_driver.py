"""Kills a change of a library's adapters at each of its steps: `adapters_driver.py LIBRARY SOURCE WORK`.

Every step that Python reports (opening, renaming, removing, a statement's connection) is one at which a child
process is killed by SIGKILL, on a fresh copy of the library. After each, the library is looked at, and the
change is made again. Prints {change: {"kills", "before", "after"}} as JSON: how often the state was still the
old one, or already the new one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from corpora.errors import Conflict, Missing
from corpora.store import Library, problems
from finetune.adapters.active import choice_for, choose, roll_back
from finetune.adapters.fitting import check_adapter
from finetune.adapters.store import in_library, install, remove
from finetune.card import Card

EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "sqlite3.connect", "shutil.rmtree"}

State = tuple[tuple[str, ...], str | None, str | None, bool]


def state(library: Library) -> State:
    """What is there and what answers; every adapter that is there is whole."""
    assert problems(library) == []
    adapters = in_library(library)
    for adapter in adapters:
        check_adapter(adapter.folder)
    choice = choice_for(library, "small")
    known = {adapter.name for adapter in adapters}
    assert choice.name is None or choice.name in known, "what answers is not there"
    return tuple(sorted(known)), choice.name, choice.previous, choice.changed


def changes(source: Path) -> dict[str, Callable[[Library], object]]:
    """Each brings the same library, in which a answers and b did before, to one new state."""

    def put_in(library: Library) -> None:
        try:
            install(library, source, Card.read(source))
        except Conflict as error:  # it was in when the first try was killed
            assert error.code == "name_taken"

    def take_out(library: Library) -> None:
        with suppress(Missing):  # it was out when the first try was killed
            remove(library, "a")

    return {
        "install": put_in,
        "use": lambda library: choose(library, "small", "b"),
        "roll back": lambda library: choice_for(library, "small").name == "b" or roll_back(library, "small"),
        "remove": take_out,
    }


def killed_at(step: int, folder: Path, change: Callable[[Library], object]) -> bool:
    """Make the change in a child that is killed at its `step`th step; False if it had ended before."""
    child = os.fork()
    if child == 0:
        library = Library.open(folder, writable=True)
        left = step

        def count(event: str, _arguments: object) -> None:
            nonlocal left
            if event in EVENTS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        change(library)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def main(library_folder: Path, source: Path, work: Path) -> None:
    report: dict[str, dict[str, int]] = {}
    for name, change in changes(source).items():
        whole = shutil.copytree(library_folder, work / "whole")
        with Library.open(whole, writable=True) as library:
            old = state(library)
            change(library)
            new = state(library)
        assert old != new
        shutil.rmtree(whole)
        counts = {"kills": 0, "before": 0, "after": 0}
        folder = work / "killed"
        while True:
            shutil.copytree(library_folder, folder)
            if not killed_at(counts["kills"], folder, change):
                break
            with Library.open(folder, writable=True) as library:
                seen = state(library)
                between = name == "remove" and seen == (old[0], *new[1:])  # out of use, not yet out
                assert seen in (old, new) or between, (name, counts, seen)
                counts["before" if seen == old or between else "after"] += 1
                change(library)
                assert state(library) == new
                left = {path.name for path in (folder / "adapters").iterdir()}
                assert left == set(new[0]) or name not in ("install", "remove"), left
            counts["kills"] += 1
            shutil.rmtree(folder)
        shutil.rmtree(folder)
        report[name] = counts
    print(json.dumps(report))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
