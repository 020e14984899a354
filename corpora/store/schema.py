"""The tables of `library.db`, format version 1.

Paths are TEXT where they are valid UTF-8 and BLOB where they are not, so that every file name survives.
Texts with marks and blocks lie apart from `documents`, so that listing documents reads no text.
"""

from __future__ import annotations

FORMAT_VERSION = 1
APPLICATION_ID = 0x67726E64  # "grnd": tells our file from any other SQLite file

PAGE_SIZE = 8192  # five 384-d float32 vectors a page; 4096 would hold two and waste a quarter

TABLES = """
CREATE TABLE manifest (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE roots (
    path PRIMARY KEY,
    ingested_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    path NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    checked_ns INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    passages INTEGER NOT NULL CHECK (passages > 0),
    hidden_removed INTEGER NOT NULL,
    notes TEXT NOT NULL,
    stale TEXT,
    ingested_at TEXT NOT NULL
);

CREATE TABLE texts (
    document INTEGER PRIMARY KEY REFERENCES documents (number) ON DELETE CASCADE,
    marks TEXT NOT NULL,
    blocks TEXT NOT NULL,
    text TEXT NOT NULL
);

CREATE TABLE passages (
    rowid INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    line_start INTEGER NOT NULL,
    line_end INTEGER NOT NULL,
    page INTEGER,
    heading TEXT,
    text TEXT NOT NULL,
    UNIQUE (document, ordinal)
);

CREATE TABLE vectors (
    rowid INTEGER PRIMARY KEY REFERENCES passages (rowid) ON DELETE CASCADE,
    vector BLOB NOT NULL
);

CREATE TABLE skips (
    path PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    checked_ns INTEGER NOT NULL,
    sha256 TEXT,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    reader TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE tombstones (
    rowid INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    removed_at INTEGER NOT NULL
);

CREATE TABLE cache_segments (
    cache TEXT NOT NULL,
    name TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (cache, name)
) WITHOUT ROWID;

CREATE TABLE jobs (
    kind TEXT PRIMARY KEY,
    detail TEXT NOT NULL,
    started_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE pending_documents (
    document INTEGER PRIMARY KEY REFERENCES documents (number) ON DELETE CASCADE
);

CREATE TABLE pending_passages (
    document INTEGER NOT NULL REFERENCES pending_documents (document) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    line_start INTEGER NOT NULL,
    line_end INTEGER NOT NULL,
    page INTEGER,
    heading TEXT,
    vector BLOB NOT NULL,
    PRIMARY KEY (document, ordinal)
) WITHOUT ROWID;
"""
