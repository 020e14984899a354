"""Which passages a filter lets through: `--in GLOB` and `--type`, as sorted rowids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpora.store import Library


class Filter:
    """The rowids that a glob and a type allow, remembered until the library or the filter changes."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._known: tuple[tuple[int, str | None, str | None], NDArray[np.int64] | None] | None = None

    def allowed(self, glob: str | None, kind: str | None) -> NDArray[np.int64] | None:
        """Sorted rowids of the passages of matching documents; None when nothing is filtered.

        A pattern means what it does in .gitignore and ripgrep (see `corpora.store.glob`).
        """
        key = (self._library.generation, glob, kind)
        if self._known is None or self._known[0] != key:
            found = self._library.filter_rowids(glob, kind)
            self._known = (key, None if found is None else np.asarray(found, np.int64))
        return self._known[1]


def contained(rowids: NDArray[np.int64], allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each rowid whether it is among `allowed`, which is sorted; quicker than `np.isin`, which sorts."""
    if not len(allowed):
        return np.zeros(len(rowids), np.bool_)
    places = np.minimum(np.searchsorted(allowed, rowids), len(allowed) - 1)
    inside: NDArray[np.bool_] = allowed[places] == rowids
    return inside
