"""The word cache of a library: a folder that tantivy wrote, one folder for each state of the library.

A new state links the files of the last one (tantivy never changes a segment's file), deletes and adds in that
folder, and is put in place whole: a reader of the last state, and a kill at any instant, see no half state.
Tantivy merges its small segments by itself, eight of a size at a time. When a quarter of what was indexed is
gone, the cache is built anew, since deleted passages would still count in the word statistics.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from corpora.store import CacheSegment, Library
from index.cache_files import checked, described, detail_of, make_durable, sweep
from index.lexical import FORMAT, LexicalIndex

NAME = "lexical"
_BATCH = 2_000
_CHANGED_IN_PLACE = frozenset({"meta.json", ".managed.json"})  # replaced by name at each commit: never linked
_LOCKS = (".tantivy-writer.lock", ".tantivy-meta.lock")


def sound_rows(library: Library, folder: Path, *, deep: bool = False) -> list[CacheSegment]:
    """All recorded files when each is whole and of this format, else none."""
    rows = library.cache_segments(NAME)
    now = [checked(row, folder, deep=deep) for row in rows if detail_of(row).get("format") == FORMAT]
    whole = [row for row in now if row is not None]
    return whole if len(whole) == len(rows) else []


def _change(library: Library, rows: list[CacheSegment]) -> tuple[list[int], bool]:
    """Rowids to take out of the recorded state, and whether there are passages to add."""
    last = rows[0].last if rows else 0
    removed = [rowid for rowid in library.removed(rows[0].generation) if rowid <= last] if rows else []
    return removed, bool(library.rows(last, 1))


def covered(library: Library, folder: Path) -> int:
    """How many passages the sound files hold, removed ones included."""
    rows = sound_rows(library, folder)
    return rows[0].rows if rows else 0


def needs_work(library: Library, folder: Path) -> bool:
    """Whether `refresh` would change anything."""
    rows = sound_rows(library, folder)
    removed, more = _change(library, rows)
    return bool(removed) or more or rows != library.cache_segments(NAME)


def refresh(library: Library, folder: Path) -> None:
    """Bring the files up to the library; the caller holds the caches' lock."""
    with library.snapshot():
        recorded = library.cache_segments(NAME)
        rows = sound_rows(library, folder)
        removed, more = _change(library, rows)
        if removed or more:
            rows = _next_state(library, folder, rows, removed)
    if rows != recorded:
        with library.write() as writer:
            writer.set_cache_segments(NAME, rows)
    sweep(folder, {row.name.split("/")[0] for row in rows}, "words-*")


def _next_state(
    library: Library, folder: Path, rows: list[CacheSegment], removed: list[int]
) -> list[CacheSegment]:
    dead = int(str(detail_of(rows[0]).get("dead", 0))) if rows else 0
    if rows and (dead + len(removed)) * 4 >= rows[0].rows + dead:
        rows, removed, dead = [], [], 0
    dead += len(removed)
    name = f"words-{secrets.token_hex(8)}"
    partial = folder / f".tmp-{name}"
    partial.mkdir(mode=0o700)
    known = {Path(row.name).name: row for row in rows}
    for row in rows:
        _link(folder / row.name, partial)
    index = LexicalIndex(partial, create=not rows)
    last = _apply(library, index, rows, removed)
    count = len(index)
    del index  # lets go of tantivy's own lock files
    for lock in _LOCKS:
        (partial / lock).unlink(missing_ok=True)
    if not count:
        shutil.rmtree(partial)
        return []
    files = sorted(path for path in partial.iterdir() if path.is_file())
    make_durable([*files, partial])
    facts = json.dumps({"format": FORMAT, "dead": dead})
    state = CacheSegment("", 1, last, count, library.generation, "", 0, 0, 0, facts)
    described_rows = [
        described(replace(state, name=f"{name}/{path.name}"), path, _same_hash(path, known.get(path.name)))
        for path in files
    ]
    partial.replace(folder / name)
    make_durable([folder])
    return described_rows


def _same_hash(path: Path, row: CacheSegment | None) -> str | None:
    """The hash of a linked file, known from the state before."""
    if row is None or path.name in _CHANGED_IN_PLACE:
        return None
    stat = path.stat()
    unchanged = (stat.st_size, stat.st_mtime_ns, stat.st_ino) == (row.size, row.mtime_ns, row.inode)
    return row.sha256 if unchanged else None


def _link(source: Path, folder: Path) -> None:
    target = folder / source.name
    if source.name not in _CHANGED_IN_PLACE:
        with suppress(OSError):  # a file system without links
            os.link(source, target)
            return
    shutil.copyfile(source, target)


def _apply(library: Library, index: LexicalIndex, rows: list[CacheSegment], removed: list[int]) -> int:
    """Change `index` from its recorded state to the library's; returns the last rowid in it."""
    after = last = rows[0].last if rows else 0

    def added() -> Iterator[tuple[int, str]]:
        nonlocal after
        while batch := library.rows(after, _BATCH):
            yield from batch
            after = batch[-1][0]

    index.change(added(), removed)
    return max(last, after)


class OpenLexical:
    """A lexical index at one state of the library, and the temporary folder it may need."""

    def __init__(self, index: LexicalIndex, temporary: Path | None = None) -> None:
        self.index = index
        if temporary is not None:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)


def load(library: Library, folder: Path) -> OpenLexical:
    """The index at the library's present state; raises ValueError or OSError when its files are broken.

    What the files lack is added in a temporary folder of links to them; without sound files everything is
    indexed in memory.
    """
    with library.snapshot():
        rows = sound_rows(library, folder)
        if not rows:
            return _in_memory(library)
        removed, more = _change(library, rows)
        if not (removed or more):
            with suppress(PermissionError):
                return OpenLexical(_opened((folder / rows[0].name).parent, rows[0].rows))
        return _aside(library, folder, rows, removed)


def _aside(library: Library, folder: Path, rows: list[CacheSegment], removed: list[int]) -> OpenLexical:
    """The recorded state brought up to date in a temporary folder, which goes away with the index."""
    temporary = Path(tempfile.mkdtemp(prefix="assistant-words-"))
    try:
        for row in rows:
            source = folder / row.name
            if source.name in _CHANGED_IN_PLACE:
                shutil.copyfile(source, temporary / source.name)
            else:
                (temporary / source.name).symlink_to(source)
        index = _opened(temporary, rows[0].rows)
        _apply(library, index, rows, removed)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return OpenLexical(index, temporary)


def load_anew(library: Library, folder: Path) -> OpenLexical:
    """As `load`, but broken files are not looked at a second time."""
    try:
        return load(library, folder)
    except (ValueError, OSError):
        with library.snapshot():
            return _in_memory(library)


def _in_memory(library: Library) -> OpenLexical:
    index = LexicalIndex(None, create=True)
    _apply(library, index, [], [])
    return OpenLexical(index)


def _opened(folder: Path, count: int) -> LexicalIndex:
    index = LexicalIndex(folder, create=False)
    if len(index) != count:
        raise ValueError(f"{folder.name} holds {len(index)} passages, not {count}")
    return index
