"""The derived caches of a library, vectors and words: always those of its present state.

    caches = open_caches(library)
    caches.dense().search(vector, 100)
    caches.lexical().search("words", 100)

What the files in `index/` hold is recorded in `library.db`. A file that is missing, foreign, changed or
behind is built again from the library, on disk where one may write, else in memory. One process at a time
writes (a kernel lock that dies with it); nobody waits for it to read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING

from corpora.errors import AssistantError
from corpora.store import Library
from corpora.store.guard import held
from index.cache_files import cache_folder

if TYPE_CHECKING:
    from index.cache_lexical import OpenLexical
    from index.dense import DenseIndex, Segment
    from index.lexical import LexicalIndex

Notice = Callable[[int], None]
"""Hears how many passages are about to be indexed, when that will take more than a moment."""

_NOTICED = 20_000  # passages indexed in about a second


def _both() -> tuple[ModuleType, ModuleType]:
    """The caches; imported when used, so that a search by words alone does not load FAISS."""
    from index import cache_dense, cache_lexical

    return cache_dense, cache_lexical


def refresh(library: Library, *, wait: float = 30.0) -> None:
    """Write both caches up to the library's present state.

    Raises Busy when another process has been writing them for `wait` seconds, StorageError or OSError
    when they cannot be written; the library itself answers right all the same.
    """
    folder = cache_folder(library.folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    with held(folder, wait=wait):
        for cache in _both():
            cache.refresh(library, folder)


def verify(library: Library, *, deep: bool = False) -> list[str]:
    """What is wrong with the caches, a line each; the next search mends it.

    Files are hashed where size, mtime or inode changed, all of them when `deep`. Those found broken are
    taken out of the record (where one may write), so that the next search builds them again.
    """
    folder = cache_folder(library.folder)
    found: list[str] = []
    for cache in _both():
        sound = {row.name for row in cache.sound_rows(library, folder, deep=deep)}
        broken = [row.name for row in library.cache_segments(cache.NAME) if row.name not in sound]
        if broken:
            shown = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
            found.append(f"The {cache.NAME} index is damaged: {shown}.")
            _forget(library, cache, broken)
        elif cache.needs_work(library, folder):
            found.append(f"The {cache.NAME} index is behind the library.")
    return found


def _forget(library: Library, cache: ModuleType, names: list[str]) -> None:
    with suppress(AssistantError, OSError), library.write() as writer:
        kept = [row for row in library.cache_segments(cache.NAME) if row.name not in names]
        writer.set_cache_segments(cache.NAME, kept)


class Caches:
    """Both indexes of one open library, opened when asked for and kept in step with it."""

    def __init__(self, library: Library, notice: Notice | None = None) -> None:
        self._library = library
        self._folder = cache_folder(library.folder)
        self._notice = notice
        self._segments: dict[str, Segment] = {}
        self._dense: tuple[int, DenseIndex] | None = None
        self._lexical: tuple[int, OpenLexical] | None = None

    def dense(self) -> DenseIndex:
        """The vector index at the library's present state."""
        from index import cache_dense

        generation = self._library.generation
        if self._dense is None or self._dense[0] != generation:
            self._catch_up(cache_dense)
            index, self._segments, broken = cache_dense.load(self._library, self._folder, self._segments)
            if broken:
                _forget(self._library, cache_dense, broken)
                self._catch_up(cache_dense)
                index, self._segments, _ = cache_dense.load(self._library, self._folder, self._segments)
            self._dense = (generation, index)
        return self._dense[1]

    def lexical(self) -> LexicalIndex:
        """The word index at the library's present state."""
        from index import cache_lexical

        generation = self._library.generation
        if self._lexical is None or self._lexical[0] != generation:
            self._catch_up(cache_lexical)
            try:
                opened = cache_lexical.load(self._library, self._folder)
            except (ValueError, OSError):
                names = [row.name for row in self._library.cache_segments(cache_lexical.NAME)]
                _forget(self._library, cache_lexical, names)
                self._catch_up(cache_lexical)
                opened = cache_lexical.load_anew(self._library, self._folder)
            self._lexical = (generation, opened)
        return self._lexical[1].index

    def _catch_up(self, cache: ModuleType) -> None:
        """Write what is behind, unless that is not possible now: then it is made up for in memory."""
        library = self._library
        if not cache.needs_work(library, self._folder):
            return
        if self._notice is not None:
            behind = library.counts()[1] - cache.covered(library, self._folder)
            if behind > _NOTICED:
                self._notice(behind)
        if library.read_only:
            return
        with suppress(AssistantError, OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with held(self._folder, wait=0.0):
                cache.refresh(library, self._folder)


def open_caches(library: Library, notice: Notice | None = None) -> Caches:
    """The caches of a library; nothing is read before it is asked for."""
    return Caches(library, notice)
