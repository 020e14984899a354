"""The library store: one folder, one SQLite file that is the only truth (see DESIGN, "The library")."""

from __future__ import annotations

from corpora.store.checks import content_hash, problems
from corpora.store.example_rows import Count, JudgeRecord, StoredReply, example_id
from corpora.store.examples import ExampleStore
from corpora.store.library import Library
from corpora.store.records import CacheSegment, KnownDocument, NewDocument, SkippedFile, Stat
from corpora.store.writer import Writer

__all__ = [
    "CacheSegment",
    "Count",
    "ExampleStore",
    "JudgeRecord",
    "KnownDocument",
    "Library",
    "NewDocument",
    "SkippedFile",
    "Stat",
    "StoredReply",
    "Writer",
    "content_hash",
    "example_id",
    "problems",
]
