"""Examples in the library: kept with their quotes, retired with their documents, erased on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ingest_driver import run

from corpora.errors import UsageError
from corpora.examples import Example, Quote
from corpora.records import Message
from corpora.store import ExampleStore, JudgeRecord, Library, StoredReply, example_id, problems
from corpora.store.purge import purge

TEXT = "The lighthouse was built in 1874.\n\nIt is 31 metres high.\n"


@pytest.fixture()
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text(TEXT)
    (folder / "b.md").write_text("The ferry costs four euros.\n")
    return folder


@pytest.fixture()
def library(docs: Path) -> Iterator[Library]:
    with Library.create(docs.parent / ".assistant") as made:
        run(made, docs)
        yield made


def example(
    library: Library, path: str = "docs/a.md", quote: str = "built in 1874", **more: object
) -> Example:
    document = library.document(path)
    assert document is not None
    start = library.text(document.id).index(quote)
    passage = library.passages_of(document.id)[0]
    quotes = (Quote(document.id, path, document.sha256, passage.id, start, start + len(quote), quote),)
    question = str(more.pop("question", "When was the lighthouse built?"))
    made = Example(
        id=example_id("self-qa", question, "", "1874", quotes),
        status="accepted",
        reason=None,
        method="self-qa",
        kind="span",
        language="en",
        question=question,
        input="",
        answer="1874",
        quotes=quotes,
        history=(Message("user", "Is there a lighthouse?"), Message("assistant", "Yes.")),
        split="train",
        teacher="rules",
        prompt_version="1",
        scores={"reading": 0.5},
        created_at="2026-01-01T00:00:00+00:00",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def add(library: Library, *examples: Example) -> int:
    with library.write() as writer:
        return ExampleStore(library).add(writer, examples)


def test_what_is_added_is_found_whole_and_once(library: Library) -> None:
    store = ExampleStore(library)
    one = example(library)
    other = example(library, "docs/b.md", "four euros", status="rejected", reason="length")
    assert add(library, one, other) == 2
    assert add(library, replace(one, answer="something else")) == 0
    assert store.find() == [one, other]
    assert store.find(status="rejected") == [other]
    assert store.find(path="docs/a.md", split="train", method="self-qa", limit=5) == [one]
    assert store.get(one.id) == one
    assert problems(library) == []


def test_an_id_may_be_shortened_while_it_is_unique(library: Library) -> None:
    store = ExampleStore(library)
    add(library, replace(example(library), id="ab12"), replace(example(library, question="b?"), id="ab34"))
    found = store.get("ab1")
    assert found is not None and found.id == "ab12"
    assert store.get("%") is None
    assert store.get("") is None
    with pytest.raises(UsageError):
        store.get("ab")


def test_a_changed_document_retires_its_examples_and_forgets_its_units(docs: Path, library: Library) -> None:
    store = ExampleStore(library)
    a, b = example(library), example(library, "docs/b.md", "four euros")
    reviewed = example(library, question="By hand?", reviewed=True, method="review")
    add(library, a, b, reviewed)
    with library.write() as writer:
        store.add_taught(writer, "scope", {"p1": a.quotes[0].document_id, "round 1": None})
    (docs / "a.md").write_text("Something else entirely.\n")
    run(library, docs)
    assert store.find(status="accepted", method="self-qa") == [b]
    assert store.find(status="retired") == [replace(a, status="retired", reason="document_changed")]
    assert store.find(method="review") == [replace(reviewed, stale="document_changed")]
    assert store.taught("scope") == {"round 1"}
    assert problems(library) == []


def test_a_document_that_comes_back_may_teach_the_same_again(docs: Path, library: Library) -> None:
    store = ExampleStore(library)
    one = example(library)
    add(library, one)
    (docs / "a.md").unlink()
    run(library, docs)
    assert store.find(status="retired")[0].reason == "document_removed"
    (docs / "a.md").write_text(TEXT)
    run(library, docs)
    assert add(library, one) == 1
    assert store.find() == [one]


def test_a_renamed_document_keeps_its_examples(docs: Path, library: Library) -> None:
    store = ExampleStore(library)
    add(library, example(library))
    (docs / "a.md").rename(docs / "c.md")
    run(library, docs)
    (kept,) = store.find(status="accepted")
    assert kept.quotes[0].path == "docs/c.md"
    assert store.find(path="docs/c.md") == [kept]


def test_what_was_dropped_by_hand_does_not_come_back(library: Library) -> None:
    store = ExampleStore(library)
    one = example(library)
    add(library, one)
    with library.write() as writer:
        assert store.set_status(writer, [one.id, "nothing"], "dropped", "by_hand") == 1
    assert add(library, one) == 0
    assert [(c.status, c.reason, c.n) for c in store.counts()] == [("dropped", "by_hand", 1)]


def test_purge_leaves_no_byte_of_what_was_generated(docs: Path, library: Library) -> None:
    store = ExampleStore(library)
    add(library, example(library, question="Wherefore the zanzibar sesquipedalian?", reviewed=True))
    with library.write() as writer:
        store.add_replies(writer, [StoredReply("k", "t", "a sesquipedalian reply", False, 1, 2)])
    document = library.document("docs/a.md")
    assert document is not None
    purge(library, document.id)
    assert store.find() == []
    for file in library.folder.rglob("*"):
        assert not file.is_file() or b"sesquipedalian" not in file.read_bytes()


def test_splits_stay_as_they_were_settled(docs: Path, library: Library) -> None:
    store = ExampleStore(library)
    ids = [document.id for document in library.documents()]
    with library.write() as writer:
        store.set_splits(writer, {ids[0]: "test", "unknown": "train"})
        store.set_splits(writer, {ids[0]: "train", ids[1]: "train"})
    (docs / "a.md").write_text("Changed.\n")
    run(library, docs)
    assert store.splits() == {ids[0]: "test", ids[1]: "train"}


def test_replies_and_judges_are_kept(library: Library) -> None:
    store = ExampleStore(library)
    reply = StoredReply("k1", "teacher", "text \ud800", True, 3, 4)
    with library.write() as writer:
        store.add_replies(writer, [reply, replace(reply, text="second")])
        store.set_judge(writer, JudgeRecord("reader", "reading", 0.8, 60))
    assert store.replies(["k1", "k2"]) == {"k1": replace(reply, text="text ?")}
    assert store.judge("reader", "reading") == JudgeRecord("reader", "reading", 0.8, 60)
    assert store.judge("reader", "other") is None


def test_examples_added_after_a_number_are_counted(library: Library) -> None:
    store = ExampleStore(library)
    add(library, example(library))
    number = store.last_number()
    add(
        library,
        example(library, question="one?"),
        example(library, question="two?", status="rejected", reason="length"),
        example(library, question="three?", status="rejected", reason="length", method="self-kg"),
    )
    assert store.counts_after(number, ["self-qa"]) == {"accepted": 1, "length": 1}
