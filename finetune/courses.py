"""What a run of `generate` works through: a method with its units of work."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from corpora.examples import Method
from corpora.store import Library
from finetune.candidates import Candidate, Writer
from finetune.plan import Unit, passage_units, quota, windows

WINDOW = 16  # passages whose candidates are written, checked and stored together
_BARREN_ROUNDS = 8  # in a row, and the teacher has no more to give


class Course(Protocol):
    """A method at work. `scope` names method, teacher and versions: what is done under it is done."""

    @property
    def scope(self) -> str: ...

    @property
    def method(self) -> Method: ...

    @property
    def weight(self) -> float:
        """Its share of a limit, beside the other courses'."""

    def windows(self, done: set[str], limit: int | None) -> Iterator[Sequence[Unit]]:
        """What is left to do, in order; each window is settled before the next is asked for."""

    def write(self, units: Sequence[Unit]) -> list[list[Candidate]]:
        """The candidates of each unit, best first."""

    def quota(self, limit: int | None) -> int | None:
        """Accepted examples that one unit may give; None: as many as there are."""

    def total(self, done: set[str]) -> int:
        """Units left, as far as it is known (for a progress bar)."""


class PassageCourse:
    """Writers over the passages of a library; a passage's candidates are those of all writers, in turn."""

    weight = 9.0

    def __init__(
        self, library: Library, scope: str, method: Method, writers: Sequence[Writer], per_passage: int
    ) -> None:
        self.scope, self.method = scope, method
        self._library, self._writers, self._per_passage = library, writers, per_passage
        self._units = passage_units(library)

    def windows(self, done: set[str], limit: int | None) -> Iterator[Sequence[Unit]]:
        yield from windows([unit for unit in self._units if unit.name not in done], WINDOW)

    def write(self, units: Sequence[Unit]) -> list[list[Candidate]]:
        passages = self._library.passages([unit.rowid for unit in units])
        by_rowid: dict[int, list[Candidate]] = {unit.rowid: [] for unit in units}
        for writer in self._writers:
            for passage, candidates in zip(passages, writer.write(passages), strict=True):
                by_rowid[passage.rowid] += candidates
        return [by_rowid[unit.rowid] for unit in units]

    def quota(self, limit: int | None) -> int | None:
        return quota(self._per_passage, limit, len(self._units))

    def total(self, done: set[str]) -> int:
        return sum(unit.name not in done for unit in self._units)


@dataclass(slots=True)
class RoundCourse:
    """Numbered rounds (Self-Instruct), each made from what was accepted up to then.

    Without a limit there are `rounds` of them; with one they go on until it is reached, or a number of
    rounds in a row gave nothing (`accepted` tells how many examples there are).
    """

    scope: str
    method: Method
    write_round: Callable[[int], list[Candidate]]
    accepted: Callable[[], int]
    rounds: int
    weight: float = 9.0

    def windows(self, done: set[str], limit: int | None) -> Iterator[Sequence[Unit]]:
        barren = 0
        for number in itertools.count() if limit is not None else range(self.rounds):
            unit = Unit(f"round {number}")
            if unit.name in done:
                continue
            before = self.accepted()
            yield [unit]
            barren = 0 if self.accepted() > before else barren + 1
            if barren >= _BARREN_ROUNDS:
                return

    def write(self, units: Sequence[Unit]) -> list[list[Candidate]]:
        return [self.write_round(int(unit.name.removeprefix("round "))) for unit in units]

    def quota(self, limit: int | None) -> int | None:
        return None

    def total(self, done: set[str]) -> int:
        return self.rounds


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ListCourse(Generic[Item]):
    """Items that are all there from the start (pairs of passages, questions about a graph), in parts.

    A part is named by what is in it: in a library that has changed, only parts that are new are worked on.
    """

    scope: str
    method: Method
    items: Sequence[Item]
    name_of: Callable[[Item], str]
    write_items: Callable[[Sequence[Item]], list[Candidate]]
    weight: float = 1.0

    def windows(self, done: set[str], limit: int | None) -> Iterator[Sequence[Unit]]:
        for at, name in enumerate(self._parts()):
            if name not in done:
                yield [Unit(name, rowid=at)]

    def write(self, units: Sequence[Unit]) -> list[list[Candidate]]:
        return [self.write_items(self.items[u.rowid * WINDOW : (u.rowid + 1) * WINDOW]) for u in units]

    def quota(self, limit: int | None) -> int | None:
        return None

    def total(self, done: set[str]) -> int:
        return sum(name not in done for name in self._parts())

    def _parts(self) -> list[str]:
        parts = (self.items[at : at + WINDOW] for at in range(0, len(self.items), WINDOW))
        return [_digest([self.name_of(item) for item in part]) for part in parts]


def _digest(names: Sequence[str]) -> str:
    whole = json.dumps(names).encode()
    return hashlib.blake2b(whole, digest_size=8).hexdigest()
