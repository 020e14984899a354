"""Another encoder: the old index answers until the new one is whole, and a stop or kill loses nothing."""

from __future__ import annotations

from pathlib import Path

import ingest_driver as driver
import pytest

from corpora.errors import NothingToDo
from corpora.store import Library, content_hash, pending, problems
from index.reindex import reindex
from index.sync_options import Hooks


@pytest.fixture()
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for at in range(60):
        (folder / f"{at:02}.md").write_text(
            f"# Part {at}\n\n" + "".join(f"Sentence {n} of part {at}.\n\n" for n in range(90))
        )
    return folder


@pytest.fixture()
def library(tmp_path: Path, docs: Path) -> Library:
    with Library.create(tmp_path / ".assistant") as made:
        driver.run(made, docs)
        yield made
        assert problems(made) == []


def loads() -> object:
    return driver.Loads(driver.HashingEncoder(), driver.HashingEncoder("other", "0" * 16, dimension=16))


def to_other(library: Library, hooks: Hooks | None = None, **more: object) -> object:
    return reindex(library, driver.options(loads(), encoder="other", **more), hooks)


def test_all_passages_get_new_vectors_and_new_rowids(library: Library, docs: Path) -> None:
    old_rowids, _ = library.vectors(0, 100_000)
    old_ids = [p.id for p in library.passages(old_rowids)]
    generation = library.generation
    report = to_other(library)
    assert report.changed
    assert report.documents == 60
    rowids, vectors = library.vectors(0, 100_000)
    assert min(rowids) > max(old_rowids)
    assert len(vectors) == len(rowids) * 16 * 4
    assert [p.id for p in library.passages(rowids)] == old_ids
    assert list(library.removed()) == list(old_rowids)
    assert (library.manifest("encoder"), library.manifest("dimension")) == ("other", "16")
    assert library.generation == generation + 1
    assert pending.pending_facts(library) is None


def test_other_chunk_sizes_cut_anew_from_the_stored_text(
    library: Library, docs: Path, tmp_path: Path
) -> None:
    for file in docs.iterdir():
        file.rename(tmp_path / file.name)  # the files are not needed
    before = library.counts()[1]
    to_other(library, chunk_tokens=20)
    assert library.counts()[1] > before
    for file in tmp_path.glob("*.md"):
        file.rename(docs / file.name)
    hashed = content_hash(library)
    with Library.create(tmp_path / ".fresh") as fresh:
        driver.run(fresh, docs, chunk_tokens=20)
        assert content_hash(fresh) == hashed


def test_nothing_to_do_is_said_so(library: Library) -> None:
    before = library.generation
    report = reindex(library, driver.options(loads()))
    assert not report.changed
    assert library.generation == before


def test_a_stopped_run_goes_on_where_it_was_and_the_old_index_answers(library: Library) -> None:
    old = library.vectors(0, 100_000)
    before = content_hash(library)
    asked = iter([False])
    report = to_other(library, Hooks(stop=lambda: next(asked, True)))
    assert report.stopped
    done = pending.pending_documents(library)
    assert 0 < len(done) < 60
    assert library.vectors(0, 100_000) == old
    assert content_hash(library) == before
    assert library.manifest("encoder") == "hashing"

    encoders = loads()
    report = reindex(library, driver.options(encoders))  # without a name: goes on with the one begun
    assert report.changed
    assert report.encoder == "other"
    again = {text.split("\n")[0] for text in encoders.encoders["other"].encoded}
    assert len(again) == 60 - len(done)


def test_a_document_that_changes_meanwhile_is_encoded_anew(library: Library, docs: Path) -> None:
    asked = iter([False])
    to_other(library, Hooks(stop=lambda: next(asked, True)))
    (docs / "00.md").write_text("Quite another text.")
    (docs / "01.md").unlink()
    (docs / "new.md").write_text("A new text.")
    driver.run(library, docs)  # with the old encoder
    to_other(library)
    document = library.document("docs/00.md")
    assert document is not None
    assert [p.text for p in library.passages_of(document.id)] == ["Quite another text."]
    assert library.counts()[0] == 60


def test_going_back_to_the_old_encoder_drops_what_was_begun(library: Library) -> None:
    asked = iter([False])
    to_other(library, Hooks(stop=lambda: next(asked, True)))
    report = reindex(library, driver.options(loads(), encoder="hashing"))
    assert not report.changed
    assert pending.pending_facts(library) is None
    assert pending.pending_documents(library) == set()


def test_an_empty_library_has_nothing_to_encode(tmp_path: Path) -> None:
    with Library.create(tmp_path / "empty") as empty, pytest.raises(NothingToDo):
        reindex(empty, driver.options(loads()))
