"""The tables of `library.db`, format version 3: version 1, what `generate` keeps, and conversations.

Paths are TEXT where they are valid UTF-8 and BLOB where they are not, so that every file name survives.
Texts with marks and blocks lie apart from `documents`, so that listing documents reads no text.
"""

from __future__ import annotations

FORMAT_VERSION = 3
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

# Format 2. The triggers keep examples true to the documents, whoever writes.
EXAMPLES = """
CREATE TABLE examples (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('accepted', 'rejected', 'retired', 'dropped')),
    reason TEXT,
    method TEXT NOT NULL,
    kind TEXT NOT NULL,
    language TEXT NOT NULL,
    question TEXT NOT NULL,
    input TEXT NOT NULL,
    answer TEXT,
    history TEXT NOT NULL,
    split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test')),
    teacher TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    scores TEXT NOT NULL,
    reviewed INTEGER NOT NULL,
    stale TEXT,
    created_at TEXT NOT NULL
);

CREATE INDEX examples_by_status ON examples (status, method);

CREATE TABLE example_quotes (
    example INTEGER NOT NULL REFERENCES examples (number) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    document INTEGER REFERENCES documents (number) ON DELETE SET NULL,
    document_id TEXT NOT NULL,
    path NOT NULL,
    sha256 TEXT NOT NULL,
    passage_id TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (example, ordinal)
) WITHOUT ROWID;

CREATE INDEX example_quotes_by_document ON example_quotes (document);

CREATE TABLE document_splits (
    document INTEGER PRIMARY KEY REFERENCES documents (number) ON DELETE CASCADE,
    split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test'))
);

CREATE TABLE taught (
    scope TEXT NOT NULL,
    unit TEXT NOT NULL,
    document INTEGER REFERENCES documents (number) ON DELETE CASCADE,
    PRIMARY KEY (scope, unit)
) WITHOUT ROWID;

CREATE INDEX taught_by_document ON taught (document);

CREATE TABLE teacher_replies (
    key TEXT PRIMARY KEY,
    teacher TEXT NOT NULL,
    text TEXT NOT NULL,
    cut INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE judges (
    reader TEXT NOT NULL,
    test TEXT NOT NULL,
    auc REAL NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (reader, test)
) WITHOUT ROWID;

CREATE TRIGGER document_changed AFTER UPDATE OF sha256 ON documents WHEN NEW.sha256 <> OLD.sha256
BEGIN
    UPDATE examples SET status = 'retired', reason = 'document_changed'
        WHERE status IN ('accepted', 'rejected') AND NOT reviewed
        AND number IN (SELECT example FROM example_quotes WHERE document = OLD.number);
    UPDATE examples SET stale = 'document_changed'
        WHERE reviewed AND number IN (SELECT example FROM example_quotes WHERE document = OLD.number);
    DELETE FROM taught WHERE document = OLD.number;
END;

CREATE TRIGGER document_removed BEFORE DELETE ON documents
BEGIN
    UPDATE examples SET status = 'retired', reason = 'document_removed'
        WHERE status IN ('accepted', 'rejected') AND NOT reviewed
        AND number IN (SELECT example FROM example_quotes WHERE document = OLD.number);
    UPDATE examples SET stale = 'document_removed'
        WHERE reviewed AND number IN (SELECT example FROM example_quotes WHERE document = OLD.number);
END;
"""

# Format 3. `words` is what a search looks through, in lower case.
SESSIONS = """
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    parent TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE turns (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    question TEXT NOT NULL,
    searched TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'done', 'cancelled', 'error')),
    error TEXT,
    rating TEXT CHECK (rating IN ('good', 'bad')),
    model TEXT,
    adapter TEXT,
    retrieval INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    words TEXT NOT NULL,
    answer TEXT
);

CREATE INDEX turns_by_session ON turns (session, number);
"""
