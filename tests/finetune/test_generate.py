"""A run of `generate`: covers all documents, keeps to its limit, works once on what has not changed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from generate_driver import courses_of, generate, make_documents
from hypothesis import given
from hypothesis import strategies as st
from ingest_driver import run as ingest

from corpora.errors import Busy
from corpora.examples import Example
from corpora.store import ExampleStore, Library, problems
from corpora.store.guard import TEACHING
from finetune.plan import Unit, passage_units, quota, van_der_corput, windows
from index.sync_options import Hooks


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ingested")
    make_documents(base / "docs")
    with Library.create(base / ".assistant") as library:
        ingest(library, base / "docs")
    return base


@pytest.fixture()
def base(ingested: Path, tmp_path: Path) -> Path:
    return shutil.copytree(ingested, tmp_path / "work")


@pytest.fixture()
def library(base: Path) -> Iterator[Library]:
    with Library.open(base / ".assistant", writable=True) as opened:
        yield opened


def examples(library: Library) -> list[Example]:
    return [replace(one, created_at="") for one in ExampleStore(library).find()]


def test_every_accepted_example_quotes_its_document_and_belongs_to_its_split(library: Library) -> None:
    report = generate(library)
    assert report.accepted >= 20
    store = ExampleStore(library)
    splits = store.splits()
    assert splits.keys() == {document.id for document in library.documents()}
    accepted = store.find(status="accepted")
    assert len(accepted) == report.accepted
    for example in accepted:
        for quote in example.quotes:
            assert library.text(quote.document_id)[quote.start : quote.end] == quote.text
            assert splits[quote.document_id] == example.split
    assert problems(library) == []


def test_a_second_run_finds_nothing_to_do(library: Library) -> None:
    generate(library)
    before = examples(library)
    report = generate(library)
    assert (report.accepted, dict(report.rejected), report.passages) == (0, {}, 0)
    assert examples(library) == before


def test_the_same_library_gives_the_same_examples(base: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        shutil.copytree(base, tmp_path / name)
        with Library.open(tmp_path / name / ".assistant", writable=True) as library:
            generate(library)
            found.append(examples(library))
    assert found[0] == found[1]


def test_a_limit_counts_accepted_examples_and_the_next_run_goes_on(base: Path, library: Library) -> None:
    whole = generate(library, courses=courses_of(library)[:1]).accepted
    shutil.rmtree(base / ".assistant")
    with Library.create(base / ".assistant") as fresh:
        ingest(fresh, base / "docs")
        first = generate(fresh, 10, courses=courses_of(fresh)[:1])
        assert first.accepted == 10
        assert len({e.quotes[0].path for e in ExampleStore(fresh).find(status="accepted")}) > 1
        rest = generate(fresh, courses=courses_of(fresh)[:1])
        assert whole - 2 <= first.accepted + rest.accepted <= whole + 2  # near repeats: which was first?


def test_only_changed_documents_are_worked_on_again(base: Path, library: Library) -> None:
    rules = courses_of(library)[:1]
    generate(library, courses=rules)
    before = {e.id for e in ExampleStore(library).find(status="accepted")}
    page = base / "docs" / "volume2.md"
    page.write_text(
        page.read_text("utf-8") + "\nThe old tower of Zennor was built in 1874 by Anna Kerr.\n", "utf-8"
    )
    ingest(library, base / "docs")
    store = ExampleStore(library)
    retired = store.find(status="retired")
    assert {e.quotes[0].path for e in retired} == {"docs/volume2.md"}
    report = generate(library, courses=courses_of(library)[:1])
    changed = library.document("docs/volume2.md")
    assert changed is not None
    assert report.passages == changed.passages
    new = [e for e in store.find(status="accepted") if e.id not in before]
    assert {e.quotes[0].path for e in new} == {"docs/volume2.md"}
    assert any("Zennor" in e.question or "Zennor" in (e.answer or "") for e in new)


def test_a_run_that_is_asked_to_stop_goes_on_to_the_same_end(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "whole")
    with Library.open(tmp_path / "whole" / ".assistant", writable=True) as library:
        undisturbed = generate(library)
        expected = examples(library)
    with Library.open(base / ".assistant", writable=True) as library:
        stops = 0
        while True:
            asked = iter([False])
            report = generate(library, hooks=Hooks(stop=lambda asked=asked: next(asked, True)))  # type: ignore[misc]
            if not report.stopped:
                break
            stops += 1
        assert stops >= 3
        assert examples(library) == expected
        assert report.accepted == undisturbed.accepted
        assert report.rejected == undisturbed.rejected
        assert report.passages == undisturbed.passages


def test_two_runs_at_once_are_refused_but_ingest_is_not(
    base: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with library.guard(lock=TEACHING):
        monkeypatch.setattr(library, "guard", lambda **more: Library.guard(library, wait=0.2, **more))
        with pytest.raises(Busy):
            generate(library)
        monkeypatch.undo()
        ingest(library, base / "docs")


def test_a_document_that_changes_meanwhile_teaches_nothing_old(base: Path, library: Library) -> None:
    page = base / "docs" / "volume2.md"

    course = courses_of(library)[0]
    original = course.write

    def write(units: list[Unit]) -> object:
        written = original(units)
        page.write_text("Nothing is left here but the sea.\n", "utf-8")
        ingest(library, base / "docs")
        return written

    course.write = write  # type: ignore[method-assign, assignment]
    generate(library, courses=[course])
    for example in ExampleStore(library).find(status="accepted"):
        quote = example.quotes[0]
        assert library.text(quote.document_id)[quote.start : quote.end] == quote.text


# -- the plan -----------------------------------------------------------------------------------------


def test_any_beginning_of_the_plan_covers_every_document_from_start_to_end(library: Library) -> None:
    units = passage_units(library)
    sizes = Counter(unit.document_id for unit in units)
    half = units[: len(units) // 2]
    for document, size in sizes.items():
        places = [p.rowid for p in library.passages_of(str(document))]
        taken = [places.index(unit.rowid) for unit in half if unit.document_id == document]
        assert abs(len(taken) - size / 2) <= 1
        assert min(taken) < size / 3 and max(taken) >= size / 2


@given(st.integers(1, 300))
def test_the_order_within_a_document_is_a_permutation_that_spreads(size: int) -> None:
    order = sorted(range(size), key=van_der_corput)
    assert sorted(order) == list(range(size))
    assert all(0 <= van_der_corput(n) < 1 for n in range(size))


@given(st.integers(1, 9), st.none() | st.integers(1, 5000), st.integers(0, 500))
def test_a_quota_is_enough_for_the_limit(per_passage: int, limit: int | None, units: int) -> None:
    found = quota(per_passage, limit, units)
    assert 1 <= found <= per_passage
    if limit is not None and found < per_passage:
        assert found * units >= limit


def test_windows_hold_each_unit_once() -> None:
    units = [Unit(str(n)) for n in range(35)]
    assert [unit for window in windows(units, 16) for unit in window] == units
