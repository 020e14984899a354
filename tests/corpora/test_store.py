"""The library store: what is put is what is got, durably, whole, and for its owner only."""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
from pathlib import Path

import pytest

from corpora.chunking import Piece
from corpora.errors import Conflict, NothingToDo, StorageError
from corpora.records import Extracted, Mark, Span
from corpora.store import CacheSegment, Library, NewDocument, SkippedFile, Stat, content_hash, problems
from corpora.store import migrate as migrate_module
from corpora.store.schema import FORMAT_VERSION

DIMENSION = 4


def pieces_of(text: str, width: int = 10) -> list[Piece]:
    starts = range(0, len(text), width)
    return [Piece(start, min(start + width, len(text)), 1, 1, None, "Title") for start in starts]


def document(path: str, text: str = "some text of a document\n" * 3, kind: str = "txt") -> NewDocument:
    pieces = pieces_of(text)
    vectors = struct.pack(f"<{DIMENSION * len(pieces)}f", *range(DIMENSION * len(pieces)))
    return NewDocument(path, Extracted(text, kind), f"{len(text):064x}", Stat(len(text), 5), pieces, vectors)


@pytest.fixture()
def library(tmp_path: Path) -> Library:
    with Library.create(tmp_path / "docs" / ".assistant") as made:
        with made.write() as writer:
            writer.set_manifest("dimension", str(DIMENSION))
        yield made


def put(library: Library, *documents: NewDocument) -> list[str]:
    with library.write() as writer:
        return [writer.put_document(one) for one in documents]


def test_what_is_put_is_got(library: Library) -> None:
    text = "Größe 文档 \x00 end\n" * 4
    new = document("a/b.md", text, "md")
    extracted = Extracted(text, "md", (Mark(0, 2, "H > 1"),), (Span(1, 4),), 3, ("a note",))
    (document_id,) = put(
        library, NewDocument(new.path, extracted, new.sha256, new.stat, new.pieces, new.vectors)
    )

    stored = library.document("a/b.md")
    assert stored is not None
    assert (stored.id, stored.kind, stored.characters, stored.passages) == (document_id, "md", len(text), 6)
    assert stored.notes == ("a note",)
    assert library.extracted(document_id) == extracted
    assert library.text(document_id) == text
    passages = library.passages_of(document_id)
    assert [p.text for p in passages] == [text[p.start : p.end] for p in passages]
    rowids, vectors = library.vectors(0, 100)
    assert list(rowids) == [p.rowid for p in passages]
    assert vectors == new.vectors
    assert problems(library) == []


def test_passages_come_in_the_order_asked_without_those_that_are_gone(library: Library) -> None:
    put(library, document("a"), document("b"))
    rowids, _ = library.vectors(0, 100)
    asked = [rowids[3], 999_999, rowids[0], rowids[-1]]
    assert [p.rowid for p in library.passages(asked)] == [rowids[3], rowids[0], rowids[-1]]


def test_rows_and_vectors_are_paged_by_rowid(library: Library) -> None:
    put(library, document("a"), document("b"))
    first = library.rows(0, 3)
    rest = library.rows(first[-1][0], 100)
    assert [rowid for rowid, _ in first + rest] == list(library.vectors(0, 100)[0])
    assert first[0][1].startswith("Title\nsome text")


def test_a_new_version_keeps_the_id_and_never_reuses_rowids(library: Library) -> None:
    (before,) = put(library, document("a"))
    old = list(library.vectors(0, 100)[0])
    generation = library.generation
    (after,) = put(library, document("a", "another text"))
    assert after == before
    assert library.generation == generation + 1
    assert min(library.vectors(0, 100)[0]) > max(old)
    assert list(library.removed()) == old
    assert list(library.removed(library.generation)) == []
    assert library.counts() == (1, 2)


def test_a_renamed_document_keeps_everything_but_its_path(library: Library) -> None:
    (first,) = put(library, document("a"))
    passages = library.passages_of(first)
    with library.write() as writer:
        writer.rename(first, "b")
    (second,) = put(library, document("a"))
    assert second != first
    assert [p.id for p in library.passages_of(first)] == [p.id for p in passages]
    assert {d.path: d.id for d in library.documents()} == {"a": second, "b": first}
    assert problems(library) == []


def test_a_name_that_is_not_utf8_survives(library: Library) -> None:
    path = os.fsdecode(b"docs/caf\xe9.txt")
    put(library, document(path))
    assert [d.path for d in library.documents()] == [path]
    assert library.document(path) is not None
    assert [p.path for p in library.passages([1])] == [path]
    assert len(library.filter_rowids("*.txt") or ()) == library.counts()[1]


def test_a_failed_write_leaves_no_trace(library: Library) -> None:
    put(library, document("a"))
    before = content_hash(library), library.generation
    with pytest.raises(RuntimeError), library.write() as writer:
        writer.put_document(document("b"))
        writer.remove_document(library.documents()[0].id)
        raise RuntimeError
    assert (content_hash(library), library.generation) == before


def test_a_document_without_passages_or_with_other_vectors_is_refused(library: Library) -> None:
    new = document("a")
    with pytest.raises(ValueError, match="no passages"):
        put(library, NewDocument("a", new.extracted, new.sha256, new.stat, [], b""))
    with pytest.raises(ValueError, match="do not fit"):
        put(library, NewDocument("a", new.extracted, new.sha256, new.stat, new.pieces, new.vectors[4:]))
    assert library.counts() == (0, 0)


@pytest.mark.parametrize(
    ("glob", "kind", "expected"),
    [
        ("docs", None, ["docs/a.md", "docs/deep/b.md"]),
        ("docs/*.md", None, ["docs/a.md"]),
        ("docs/**/*.md", None, ["docs/a.md", "docs/deep/b.md"]),
        ("*.md", None, ["docs/a.md", "docs/deep/b.md", "x.md"]),
        ("deep", None, ["docs/deep/b.md"]),
        ("./docs/", None, ["docs/a.md", "docs/deep/b.md"]),
        ("[!x].txt", None, ["y.txt"]),
        ("?.md", "html", ["x.md"]),
        (None, "html", ["x.md"]),
        ("nothing", None, []),
    ],
)
def test_passages_are_filtered_by_path_and_type(
    library: Library, glob: str | None, kind: str | None, expected: list[str]
) -> None:
    kinds = {"x.md": "html"}
    paths = ["docs/a.md", "docs/deep/b.md", "x.md", "y.txt"]
    put(library, *(document(path, kind=kinds.get(path, "txt")) for path in paths))
    rowids = library.filter_rowids(glob, kind)
    assert rowids is not None
    assert sorted({p.path for p in library.passages(rowids)}) == expected
    assert library.filter_rowids() is None


def test_tombstones_stay_while_a_cache_may_hold_the_row(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone, _) = put(library, document("a"), document("b"))
    segment = CacheSegment("one", 1, 99, 16, library.generation, "0" * 64, 1, 2, 3, "{}")
    with library.write() as writer:
        writer.set_cache_segments("dense", [segment])
        writer.remove_document(gone)
    removed = list(library.removed())
    assert len(removed) == 8
    assert library.cache_segments("dense") == [segment]
    monkeypatch.setattr("corpora.store.writer._TOMBSTONE_SECONDS", -10)
    with library.write() as writer:
        writer.set_cache_segments("lexical", [])
    assert list(library.removed()) == removed
    with library.write() as writer:
        writer.set_cache_segments("dense", [])
    assert list(library.removed()) == []


def test_skipped_files_are_remembered_and_forgotten(library: Library) -> None:
    skip = SkippedFile("a.bin", Stat(1, 2, 3, 4), None, "unsupported", "program", "1.0")
    with library.write() as writer:
        writer.remember_skip(skip)
    assert library.skipped() == [skip]
    put(library, document("a.bin"))
    assert library.skipped() == []


def test_threads_read_while_another_writes(library: Library) -> None:
    put(library, document("0"))
    failures: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with library.snapshot():
                documents, passages = library.counts()
                if passages != documents * 8 or len(library.vectors(0, 10_000)[0]) != passages:
                    failures.append(f"{documents} {passages}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 60):
        put(library, document(str(number)))
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert library.counts()[0] == 60


def test_a_snapshot_sees_one_state(library: Library) -> None:
    put(library, document("a"))
    with library.snapshot(), library.snapshot():
        before = library.counts()
        put(library, document("b"))
        assert library.counts() == before
    assert library.counts()[0] == 2


def test_only_the_owner_may_look_in(library: Library) -> None:
    put(library, document("a"))
    assert library.folder.stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in library.folder.iterdir()}
    assert {"library.db", "lock.db", "library.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_library_of_another_user_is_refused_unless_named(library: Library) -> None:
    library.close()
    os.chown(library.folder / "library.db", 12345, 12345)
    with pytest.raises(Conflict, match="another user") as caught:
        Library.open(library.folder)
    assert caught.value.code == "foreign_library"
    Library.open(library.folder, named=True).close()


def test_no_library_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="No library"):
        Library.open(tmp_path / ".assistant")


@pytest.mark.parametrize("damage", ["text", "truncated", "header", "foreign", "middle"])
def test_a_damaged_database_is_an_error_in_words(library: Library, damage: str) -> None:
    put(library, *(document(str(number)) for number in range(50)))
    library.close()
    database = library.folder / "library.db"
    data = bytearray(database.read_bytes())
    if damage == "text":
        data = bytearray(b"not a database at all, " * 1000)
    elif damage == "truncated":
        del data[len(data) // 2 :]
    elif damage == "header":
        data[:100] = os.urandom(100)
    elif damage == "middle":
        data[8192 * 3 : 8192 * 9] = os.urandom(8192 * 6)
    database.write_bytes(data)
    if damage == "foreign":
        database.unlink()
        other = sqlite3.connect(database)
        other.execute("CREATE TABLE manifest (key, value)")
        other.close()
    with pytest.raises(StorageError) as caught, Library.open(library.folder) as opened:
        found = problems(opened)
        content_hash(opened)
        raise StorageError("; ".join(found), code="damaged")
    assert caught.value.code == "damaged"
    assert caught.value.message


def test_a_newer_format_is_left_alone(library: Library) -> None:
    with library.write() as writer:
        writer.set_manifest("format_version", str(FORMAT_VERSION + 1))
    library.close()
    before = (library.folder / "library.db").read_bytes()
    with pytest.raises(Conflict, match="reads up to") as caught:
        Library.open(library.folder)
    assert caught.value.exit_code == 5
    assert (library.folder / "library.db").read_bytes() == before


FORMAT_1 = """
DROP TABLE turns; DROP TABLE sessions;
DROP TRIGGER document_changed; DROP TRIGGER document_removed; DROP TABLE example_quotes; DROP TABLE examples;
DROP TABLE document_splits; DROP TABLE taught; DROP TABLE teacher_replies; DROP TABLE judges;
UPDATE manifest SET value = '1' WHERE key = 'format_version';
"""


def make_old(library: Library, script: str = "") -> None:
    """Turn a library into one of format 1, or of what format 0 might have been: no `roots` table."""
    library.close()
    database = sqlite3.connect(library.folder / "library.db")
    to_0 = "DROP TABLE roots; UPDATE manifest SET value = '0' WHERE key = 'format_version'"
    database.executescript(FORMAT_1 + (script or to_0))
    database.close()


def test_a_library_of_format_1_gains_examples_and_conversations(library: Library, tmp_path: Path) -> None:
    put(library, document("a"))
    make_old(library, "SELECT 1")
    with Library.open(library.folder) as opened:
        assert opened.manifest("format_version") == "3"
        migrated = opened.fetch("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        with Library.create(tmp_path / "new" / ".assistant") as new:
            assert migrated == new.fetch("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        assert opened.counts()[0] == 1
    assert (library.folder / "library.db.format-1").exists()


def add_roots(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE roots (path PRIMARY KEY, ingested_at TEXT NOT NULL) WITHOUT ROWID")


def test_an_older_format_is_migrated_after_a_copy(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    put(library, document("a"))
    expected = content_hash(library)
    make_old(library)
    monkeypatch.setitem(migrate_module.STEPS, 0, add_roots)
    with Library.open(library.folder) as opened:
        assert opened.manifest("format_version") == str(FORMAT_VERSION)
        assert content_hash(opened) == expected
        assert opened.roots() == []
    copy = sqlite3.connect(library.folder / "library.db.format-0")
    assert copy.execute("SELECT value FROM manifest WHERE key = 'format_version'").fetchone() == ("0",)
    copy.close()
    assert (library.folder / "library.db.format-0").stat().st_mode & 0o777 == 0o600


def test_a_migration_that_fails_changes_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    put(library, document("a"))
    make_old(library)

    def fails(connection: sqlite3.Connection) -> None:
        add_roots(connection)
        connection.execute("SELECT * FROM nothing")

    monkeypatch.setitem(migrate_module.STEPS, 0, fails)
    with pytest.raises(StorageError):
        Library.open(library.folder)
    monkeypatch.setitem(migrate_module.STEPS, 0, add_roots)
    with Library.open(library.folder) as opened:
        assert opened.counts()[0] == 1


def test_an_unknown_older_format_is_refused(library: Library) -> None:
    make_old(library)
    with pytest.raises(Conflict, match="no longer reads"):
        Library.open(library.folder)


def test_the_hash_tells_contents_not_history(tmp_path: Path) -> None:
    hashes = []
    for name, order in (("one", "abc"), ("two", "cab")):
        with Library.create(tmp_path / name / ".assistant") as made:
            with made.write() as writer:
                writer.set_manifest("dimension", str(DIMENSION))
            for path in order:
                put(made, document(path, "first version"))
                put(made, document(path))
            hashes.append(content_hash(made))
            put(made, document("a", "other"))
            hashes.append(content_hash(made))
    assert hashes[0] == hashes[2]
    assert hashes[0] != hashes[1]


def test_broken_invariants_are_found(library: Library) -> None:
    put(library, document("a"), document("b"))
    with library.write() as writer:
        writer.connection.execute("DELETE FROM vectors WHERE rowid = 2")
        writer.connection.execute("UPDATE passages SET text = 'forged' WHERE rowid = 3")
        writer.connection.execute("DELETE FROM passages WHERE rowid = 5")
    assert problems(library) == [
        "1 documents without exactly their passages",
        "1 passages without a vector",
        "1 passages whose text is not that of their offsets",
    ]
