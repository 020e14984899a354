"""The vector cache of a library: a list of segments that covers its rowids without overlap.

New passages make a new segment, which takes in its smaller neighbours (as the digits of a counter carry), up
to `SEGMENT_ROWS`: a change writes little, a long history of changes leaves few segments. A segment of which a
quarter is gone is written anew. Whatever lies between the sound segments is built from the library.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpora.store import CacheSegment, Library
from index.cache_files import checked, described, make_durable, sweep
from index.dense import FORMAT, SEGMENT_ROWS, BadSegment, DenseIndex, Segment

NAME = "dense"
Gap = tuple[int, int | None]
"""Rowids after the first number, up to the second (None: to the end), that no segment covers."""


def detail(library: Library) -> str:
    """What must hold of a segment for this library's vectors: format, encoder, dimension."""
    facts = {
        "format": FORMAT,
        "encoder": library.manifest("encoder_fingerprint"),
        "dimension": library.manifest("dimension"),
    }
    return json.dumps(facts, sort_keys=True)


def sound_rows(library: Library, folder: Path, *, deep: bool = False) -> list[CacheSegment]:
    """The recorded segments that are whole and belong to the library's present vectors, by rowid."""
    wanted = detail(library)
    sound: list[CacheSegment] = []
    for row in library.cache_segments(NAME):
        after_last = not sound or row.first > sound[-1].last
        if row.detail == wanted and after_last and (now := checked(row, folder, deep=deep)) is not None:
            sound.append(now)
    return sound


def gaps(library: Library, rows: Sequence[CacheSegment]) -> list[Gap]:
    """Where the library has vectors that no segment covers."""
    found: list[Gap] = []
    after = 0
    for row in rows:
        if row.first > after + 1 and _first_after(library, after, row.first - 1):
            found.append((after, row.first - 1))
        after = row.last
    if _first_after(library, after, None):
        found.append((after, None))
    return found


def _first_after(library: Library, after: int, until: int | None) -> bool:
    rowids, _ = library.vectors(after, 1)
    return bool(rowids) and (until is None or rowids[0] <= until)


def blocks(library: Library, gap: Gap) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The rowids and vectors of a gap, at most `SEGMENT_ROWS` at a time."""
    dimension = int(library.manifest("dimension") or 0)
    after, until = gap
    while True:
        ids, data = library.vectors(after, SEGMENT_ROWS)
        rowids = np.frombuffer(ids, np.int64) if ids else np.empty(0, np.int64)
        if until is not None:
            rowids = rowids[rowids <= until]
        if not len(rowids):
            return
        vectors = np.frombuffer(data, "<f4").reshape(-1, dimension)[: len(rowids)]
        yield rowids, np.ascontiguousarray(vectors, np.float32)
        after = int(rowids[-1])


def covered(library: Library, folder: Path) -> int:
    """How many passages the sound files hold, removed ones included."""
    return sum(row.rows for row in sound_rows(library, folder))


def needs_work(library: Library, folder: Path) -> bool:
    """Whether `refresh` would change anything."""
    rows = sound_rows(library, folder)
    return rows != library.cache_segments(NAME) or bool(gaps(library, rows)) or _worn(library, rows) != []


def _worn(library: Library, rows: Sequence[CacheSegment]) -> list[CacheSegment]:
    """Segments of which a quarter or more is gone."""
    if not rows:
        return []
    worn = []
    for row in rows:
        removed = np.frombuffer(library.removed(row.generation), np.int64)
        low, high = np.searchsorted(removed, [row.first, row.last + 1])
        if (high - low) * 4 >= row.rows:
            worn.append(row)
    return worn


def refresh(library: Library, folder: Path) -> None:
    """Bring the files up to the library; the caller holds the caches' lock."""
    with library.snapshot():
        generation, facts = library.generation, detail(library)
        sound = sound_rows(library, folder)
        worn = _worn(library, sound)
        kept = [row for row in sound if row not in worn]
        if gaps(library, kept):
            kept = _without_small_tail(library, kept)
        new = [
            _written(folder, rowids, vectors, generation, facts)
            for gap in gaps(library, kept)
            for rowids, vectors in blocks(library, gap)
        ]
        recorded = library.cache_segments(NAME)
    rows = sorted([*kept, *new], key=lambda row: row.first)
    if new:
        make_durable([folder])
    if rows != recorded:
        with library.write() as writer:
            writer.set_cache_segments(NAME, rows)
    sweep(folder, [row.name for row in rows], "dense-*.faiss")


def _without_small_tail(library: Library, kept: list[CacheSegment]) -> list[CacheSegment]:
    """Leave out the last segments that are no larger than what would follow them: they are merged with it."""
    rowids, _ = library.vectors(kept[-1].last if kept else 0, SEGMENT_ROWS)
    following = len(rowids)
    while kept and kept[-1].rows <= following and kept[-1].rows + following <= SEGMENT_ROWS:
        following += kept[-1].rows
        kept = kept[:-1]
    return kept


def _written(
    folder: Path, rowids: NDArray[np.int64], vectors: NDArray[np.float32], generation: int, facts: str
) -> CacheSegment:
    first, last = int(rowids[0]), int(rowids[-1])
    name = f"dense-{first}-{last}-{secrets.token_hex(4)}.faiss"
    partial = folder / f".tmp-{name}"
    try:
        Segment.build(rowids, vectors).write(partial)
    except RuntimeError as error:  # FAISS has no other word for a full disk
        raise OSError(f"{partial.name} could not be written") from error
    make_durable([partial])
    row = CacheSegment(name, first, last, len(rowids), generation, "", 0, 0, 0, facts)
    row = described(row, partial)
    partial.replace(folder / name)
    return row


def load(
    library: Library, folder: Path, loaded: Mapping[str, Segment]
) -> tuple[DenseIndex, dict[str, Segment], list[str]]:
    """The index at the library's present state, its segments by name, and the names of broken files.

    `loaded` are segments that were read before; a file never changes under its name. What no sound file
    covers is built in memory.
    """
    dimension = int(library.manifest("dimension") or 0)
    with library.snapshot():
        rows, broken = [], []
        named: dict[str, Segment] = {}
        for row in sound_rows(library, folder):
            try:
                named[row.name] = loaded.get(row.name) or Segment.read(
                    folder / row.name, dimension=dimension, rows=row.rows, first=row.first, last=row.last
                )
                rows.append(row)
            except BadSegment:
                broken.append(row.name)
        missing = [Segment.build(*block) for gap in gaps(library, rows) for block in blocks(library, gap)]
        oldest = min((row.generation for row in rows), default=library.generation)
        removed = np.frombuffer(library.removed(oldest), np.int64)
    return DenseIndex([*named.values(), *missing], removed), named, broken
