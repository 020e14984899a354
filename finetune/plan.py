"""In which order passages are worked on, and how many examples each may give.

Any beginning of the order covers every document in proportion to its length, and each from its start to its
end, so that a run that is limited or stopped has not only taught first pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from corpora.store import Library


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work that is done once: a passage (by its id), or a numbered round without a document."""

    name: str
    document_id: str | None = None
    rowid: int = 0  # of the passage


def passage_units(library: Library) -> list[Unit]:
    """All passages in the order of work. The same library gives the same order."""
    placed: list[tuple[float, int, Unit]] = []
    keys = library.passage_keys()
    for at, (document_id, group) in enumerate(groupby(keys, key=lambda key: key[2])):
        units = [Unit(name, document_id, rowid) for rowid, name, _ in group]
        order = sorted(range(len(units)), key=van_der_corput)
        placed += [((turn + 0.5) / len(units), at, units[index]) for turn, index in enumerate(order)]
    return [unit for _, _, unit in sorted(placed, key=lambda place: place[:2])]


def van_der_corput(number: int) -> float:
    """The binary digits of `number` mirrored at the point: 0, 1/2, 1/4, 3/4, 1/8 (van der Corput 1935)."""
    value, digit = 0.0, 0.5
    while number:
        value += digit * (number & 1)
        number >>= 1
        digit /= 2
    return value


def quota(per_passage: int, limit: int | None, units: int) -> int:
    """Accepted examples that one passage may give, so that `limit` is spread over all of them.

    One more than an even share, as some passages give none.
    """
    if limit is None or not units:
        return per_passage
    return min(per_passage, -(-limit // units) + 1)


def windows(units: Sequence[Unit], size: int) -> list[Sequence[Unit]]:
    """`units` in runs of `size`, the last one shorter."""
    return [units[at : at + size] for at in range(0, len(units), size)]
