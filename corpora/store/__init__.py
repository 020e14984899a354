"""The library store: one folder, one SQLite file that is the only truth (see DESIGN, "The library")."""

from __future__ import annotations

from corpora.store.checks import content_hash, problems
from corpora.store.library import Library
from corpora.store.records import CacheSegment, KnownDocument, NewDocument, SkippedFile, Stat
from corpora.store.writer import Writer

__all__ = [
    "CacheSegment",
    "KnownDocument",
    "Library",
    "NewDocument",
    "SkippedFile",
    "Stat",
    "Writer",
    "content_hash",
    "problems",
]
