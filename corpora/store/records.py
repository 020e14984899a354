"""What goes into the store and comes out of it beside documents and passages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from corpora.records import Extracted, SkipCode

if TYPE_CHECKING:
    from corpora.chunking import Piece

# Status times may be as coarse as two seconds (FAT): a file that changed less than that before we looked
# may change again without looking different, so its stat proves nothing (git calls such entries racy).
_RACY_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Stat:
    """What the file system says of a file; `ctime_ns` also betrays a change that keeps the mtime.

    `checked_ns` is the wall time at which it was looked at. All times are nanoseconds since 1970.
    """

    size: int
    mtime_ns: int
    ctime_ns: int = 0
    checked_ns: int = 0

    def proves(self, now: Stat) -> bool:
        """Whether a file that looks like `now` must still hold the bytes it held at this stat."""
        same = (self.size, self.mtime_ns, self.ctime_ns) == (now.size, now.mtime_ns, now.ctime_ns)
        return same and self.checked_ns - self.ctime_ns > _RACY_NS


@dataclass(frozen=True, slots=True)
class NewDocument:
    """One document as it is put. `vectors` are float32 little-endian rows, one a piece, joined."""

    path: str
    extracted: Extracted
    sha256: str
    stat: Stat
    pieces: Sequence[Piece]
    vectors: bytes


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What a sync compares a file with."""

    id: str
    path: str
    sha256: str
    stat: Stat
    stale: str | None


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that gave no text. `reader` is the version of the program that tried it."""

    path: str
    stat: Stat
    sha256: str | None
    code: SkipCode
    reason: str
    reader: str


@dataclass(frozen=True, slots=True)
class CacheSegment:
    """One immutable file of a derived cache, covering passages `first` <= rowid <= `last`.

    `generation` is that of the library when the segment was built: rowids removed up to then are not
    in it. `detail` is free text of the cache's own (JSON).
    """

    name: str
    first: int
    last: int
    rows: int
    generation: int
    sha256: str
    size: int
    mtime_ns: int
    inode: int
    detail: str = ""


def stored_path(path: str) -> str | bytes:
    """`path` as its column holds it: text, or the raw bytes of a name that is not UTF-8."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def shown_path(value: object) -> str:
    """The inverse of `stored_path`."""
    return os.fsdecode(cast("str | bytes", value))
