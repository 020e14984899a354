"""A document belongs to one split for good, whatever comes and goes around it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from corpora.records import Document
from finetune.splits import assign_splits, readable


def document(name: str, *, sha256: str | None = None, passages: int = 1) -> Document:
    return Document(
        id=name,
        path=f"{name}.md",
        kind="md",
        sha256=sha256 or f"bytes of {name}",
        size=1,
        mtime_ns=1,
        characters=1,
        passages=passages,
        hidden_removed=0,
        notes=(),
        stale=None,
        ingested_at="",
    )


DOCUMENTS = st.lists(
    st.builds(
        document,
        st.uuids().map(str),
        sha256=st.one_of(st.none(), st.sampled_from(["same", "equal"])),
        passages=st.integers(1, 200),
    ),
    max_size=30,
    unique_by=lambda one: one.id,
)


def groups(documents: Sequence[Document]) -> int:
    return len({one.sha256 for one in documents})


@given(DOCUMENTS, DOCUMENTS)
def test_a_split_once_given_never_changes(first: list[Document], later: list[Document]) -> None:
    before = assign_splits(first, {})
    after = assign_splits([*later, *first], before)
    assert {name: after[name] for name in before} == before
    assert set(after) == {one.id for one in [*first, *later]}


@given(DOCUMENTS)
def test_the_same_bytes_have_the_same_split(documents: list[Document]) -> None:
    splits = assign_splits(documents, {})
    for one in documents:
        for other in documents:
            assert one.sha256 != other.sha256 or splits[one.id] == splits[other.id]


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_the_order_in_which_documents_are_listed_does_not_matter(
    documents: list[Document], rng: object
) -> None:
    shuffled = list(documents)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert assign_splits(shuffled, {}) == assign_splits(documents, {})


@given(DOCUMENTS)
def test_few_documents_still_fill_every_split(documents: list[Document]) -> None:
    filled = set(assign_splits(documents, {}).values())
    expected = [set(), {"train"}, {"train", "test"}, {"train", "validation", "test"}]
    assert filled == expected[min(groups(documents), 3)]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_documents_that_come_one_by_one_fill_every_split_too(sizes: list[int]) -> None:
    splits = {}
    documents: list[Document] = []
    for number, passages in enumerate(sizes):
        documents.append(document(str(number), passages=passages))
        splits = assign_splits(documents, splits)
        assert len(set(splits.values())) == min(3, number + 1)


def test_about_eight_ninth_tenth_by_passages() -> None:
    documents = [document(str(number), passages=1 + number % 37) for number in range(400)]
    splits = assign_splits(documents, {})
    total = sum(one.passages for one in documents)
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        there = sum(one.passages for one in documents if splits[one.id] == split)
        assert abs(there / total - share) < 0.02


def test_one_large_document_is_for_training() -> None:
    documents = [document("book", passages=900), *(document(f"note {number}") for number in range(9))]
    assert assign_splits(documents, {})["book"] == "train"


@given(DOCUMENTS, st.data())
def test_training_reads_no_held_out_bytes(documents: list[Document], data: st.DataObject) -> None:
    # Splits of any sort: documents may have become equal after they were assigned apart.
    splits = {
        one.id: data.draw(st.sampled_from(["train", "validation", "test"]))
        for one in documents
        if data.draw(st.booleans())
    }
    for split, never in (("train", {"validation", "test"}), ("validation", {"test"})):
        allowed = readable(split, documents, splits)  # type: ignore[arg-type]
        held_out = {one.sha256 for one in documents if splits.get(one.id) in never or one.id not in splits}
        assert not [one for one in documents if one.id in allowed and one.sha256 in held_out]
    assert readable("test", documents, dict.fromkeys((one.id for one in documents), "train")) == {
        one.id for one in documents
    }
