"""Conversations in the library: kept as they were said, found again, migrated to, erased by a purge."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import taught_library as taught

from corpora.errors import StorageError, UsageError
from corpora.records import Answer, Citation, ScoredPassage, Seconds, Usage
from corpora.store import Library, NewTurn, SessionStore, content_hash, problems
from corpora.store import migrate as migrate_module
from corpora.store.purge import purge

FORMAT_2 = (
    "DROP TABLE turns; DROP TABLE sessions; UPDATE manifest SET value = '2' WHERE key = 'format_version';"
)


@pytest.fixture()
def library(tmp_path: Path) -> Iterator[Library]:
    with taught.make(tmp_path / ".assistant") as made:
        yield made


def answer(library: Library, path: str = "towns/brannock.md", said: str = "Anna Kerr [1].") -> Answer:
    document = library.document(path)
    assert document is not None
    passage = library.passages_of(document.id)[0]
    citation = Citation(1, passage.id, path, None, 1, 1, 4, 14, passage.text[4:14], True)
    return Answer(
        question="Who built it?",
        answer=said,
        kind="generated",
        refused=False,
        refusal=None,
        unsupported=False,
        dropped_citations=0,
        citations=(citation,),
        passages=(ScoredPassage(1, 0.5, replace(passage, path="odd\udcff.md"), 0.25, None),),
        passages_left_out=0,
        model="scripted",
        adapter="tuned",
        usage=Usage(7, 5),
        seconds=Seconds(0.1, 0.2, 0.3),
    )


def said(library: Library, session: str, question: str, given: Answer | None) -> int:
    store = SessionStore(library)
    with library.write() as writer:
        turn = store.begin(writer, session, NewTurn(question, question, None, None, True))
        if given is not None:
            store.finish(writer, turn, "done", answer=given)
    return turn


def begun(library: Library, name: str = "") -> str:
    with library.write() as writer:
        return SessionStore(library).add(writer, name)


def test_a_turn_comes_back_as_it_was_put(library: Library) -> None:
    store, session = SessionStore(library), begun(library)
    given = answer(library)
    said(library, session, "Who built it?", given)
    said(library, session, "Pending?", None)
    first, second = store.turns(session)
    assert first.answer == given
    assert (first.status, first.model, first.adapter) == ("done", "scripted", "tuned")
    assert (second.status, second.answer, second.retrieval) == ("pending", None, True)
    found = store.find(session[:3])
    assert found is not None
    assert (found.id, found.name, found.turns) == (session, "Who built it?", 2)
    assert problems(library) == []


def test_ids_may_be_shortened_until_they_are_those_of_several(library: Library) -> None:
    store = SessionStore(library)
    ids = [begun(library) for _ in range(40)]
    first, _number = Counter(name[0] for name in ids).most_common(1)[0]
    with pytest.raises(UsageError, match="several"):
        store.find(first)
    assert store.find("") is None
    assert store.find("zz") is None
    assert store.find("%") is None
    upper = store.find(ids[0].upper())
    assert upper is not None and upper.id == ids[0]


def test_search_finds_all_words_in_one_turn_or_the_name_whatever_the_case(library: Library) -> None:
    store = SessionStore(library)
    one, two, three = begun(library), begun(library), begun(library, "Über die Fähre")
    said(library, one, "Who built the LIGHTHOUSE?", answer(library))
    said(library, one, "And the harbour?", None)
    said(library, two, "赛里木湖有多深？", answer(library, said="最深处达106米 [1]"))
    assert [(session.id, turn and turn.question) for session, turn in store.search("anna lighthouse")] == [
        (one, "Who built the LIGHTHOUSE?")
    ]
    assert store.search("lighthouse harbour") == [], "in two turns"
    assert [session.id for session, _ in store.search("106米")] == [two]
    assert [(session.id, turn) for session, turn in store.search("FÄHRE über")] == [(three, None)]
    assert store.search(" ") == []
    assert store.search("100%") == []
    assert store.search("'; DROP TABLE turns; --") == []
    assert len(store.search("e", limit=1)) == 1


def test_sessions_come_latest_first_and_go_with_their_turns(library: Library) -> None:
    store = SessionStore(library)
    one, two = begun(library), begun(library)
    said(library, two, "Second", None)
    with library.write() as writer:
        writer.connection.execute("UPDATE sessions SET updated_at = '2999' WHERE id = ?", (one,))
    assert [session.id for session in store.sessions()] == [one, two]
    assert [session.id for session in store.sessions(limit=1)] == [one]
    with library.write() as writer:
        store.delete(writer, two)
        store.delete(writer, "nowhere")
    assert library.fetch("SELECT count(*) FROM turns") == [(0,)]


def test_a_library_of_format_2_gains_conversations(library: Library, tmp_path: Path) -> None:
    expected = content_hash(library)
    taught.add(library, taught.examples(library))
    library.close()
    database = sqlite3.connect(library.folder / "library.db")
    database.executescript(FORMAT_2)
    database.close()
    with Library.open(library.folder) as opened:
        assert opened.manifest("format_version") == "3"
        assert content_hash(opened) == expected
        assert opened.fetch("SELECT count(*) FROM examples") != [(0,)]
        assert SessionStore(opened).find(begun(opened)) is not None
        migrated = opened.fetch("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        with Library.create(tmp_path / "new" / ".assistant") as new:
            assert migrated == new.fetch("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        assert problems(opened) == []
    assert (library.folder / "library.db.format-2").stat().st_mode & 0o777 == 0o600


def test_a_migration_that_fails_half_way_leaves_format_2(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.close()
    database = sqlite3.connect(library.folder / "library.db")
    database.executescript(FORMAT_2)
    database.close()

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE sessions (x)")
        connection.execute("SELECT * FROM nothing")

    with monkeypatch.context() as patch:
        patch.setitem(migrate_module.STEPS, 2, fails)
        with pytest.raises(StorageError):
            Library.open(library.folder)
    database = sqlite3.connect(library.folder / "library.db")
    assert database.execute("SELECT value FROM manifest WHERE key = 'format_version'").fetchone() == ("2",)
    assert database.execute("SELECT * FROM sqlite_master WHERE name = 'sessions'").fetchall() == []
    database.close()
    with Library.open(library.folder) as opened:
        assert opened.manifest("format_version") == "3"


def test_a_purge_takes_conversations_from_where_the_document_was_read(library: Library) -> None:
    secret = "a secret that only Brannock has"
    store, other, mixed = SessionStore(library), begun(library), begun(library)
    said(library, other, "Oldham?", answer(library, "towns/oldham.md"))
    said(library, mixed, "Oldham too?", answer(library, "towns/oldham.md"))
    said(library, mixed, "Who?", answer(library, said=secret))
    said(library, mixed, f"Is {secret} true?", None)
    alone = begun(library)
    said(library, alone, "Who?", answer(library, said=secret))
    document = library.document("towns/brannock.md")
    assert document is not None
    purge(library, document.id)
    assert [turn.question for turn in store.turns(mixed)] == ["Oldham too?"]
    assert {session.id for session in store.sessions()} == {other, mixed}
    library.close()
    for file in library.folder.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
