"""The library store: one folder, one SQLite file that is the only truth (see DESIGN, "The library")."""

from __future__ import annotations

from corpora.store.checks import content_hash, problems
from corpora.store.example_rows import Count, JudgeRecord, StoredReply, example_id
from corpora.store.examples import ExampleStore
from corpora.store.library import Library
from corpora.store.records import CacheSegment, KnownDocument, NewDocument, SkippedFile, Stat
from corpora.store.session_rows import NewTurn, Rating, Session, Turn, TurnStatus
from corpora.store.sessions import SessionStore
from corpora.store.writer import Writer

__all__ = [
    "CacheSegment",
    "Count",
    "ExampleStore",
    "JudgeRecord",
    "KnownDocument",
    "Library",
    "NewDocument",
    "NewTurn",
    "Rating",
    "Session",
    "SessionStore",
    "SkippedFile",
    "Stat",
    "StoredReply",
    "Turn",
    "TurnStatus",
    "Writer",
    "content_hash",
    "example_id",
    "problems",
]
