"""Segments of vectors: exactness, filters, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index import dense
from index.dense import BadSegment, DenseIndex, Segment

NOTHING = np.empty(0, np.int64)


def unit_rows(count: int, dimension: int = 48, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def in_segments(vectors: NDArray[np.float32], size: int) -> list[Segment]:
    rowids = np.arange(1, len(vectors) + 1, dtype=np.int64)
    return [
        Segment.build(rowids[at : at + size], vectors[at : at + size]) for at in range(0, len(vectors), size)
    ]


def exact(vectors: NDArray[np.float32], query: NDArray[np.float32], k: int) -> list[int]:
    return [int(at) + 1 for at in np.argsort(-(vectors @ query), kind="stable")[:k]]


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_scan_holds_the_true_best_whatever_the_segments(size: int) -> None:
    vectors = unit_rows(300)
    index = DenseIndex(in_segments(vectors, size), NOTHING)
    for query in unit_rows(20, seed=1):
        assert set(exact(vectors, query, 10)) <= set(index.search(query, 10)[0].tolist())


def test_cosines_are_those_of_the_vectors() -> None:
    vectors, query = unit_rows(50), unit_rows(1, seed=2)[0]
    rowids, cosines = DenseIndex(in_segments(vectors, 50), NOTHING).search(query, 10)
    assert cosines == pytest.approx((vectors @ query)[rowids - 1], abs=5e-4)


def test_removed_passages_are_not_found_and_make_room_for_others() -> None:
    vectors, query = unit_rows(200), unit_rows(1, seed=3)[0]
    best = exact(vectors, query, 200)
    gone = np.array(sorted(best[:60]), np.int64)
    found = DenseIndex(in_segments(vectors, 64), gone).search(query, 10)[0].tolist()
    assert set(best[60:70]) <= set(found)
    assert not set(found) & set(gone.tolist())


def test_a_filter_is_exact() -> None:
    vectors, query = unit_rows(500), unit_rows(1, seed=4)[0]
    allowed = np.array([2, 77, 300, 301, 499, 9999], np.int64)
    index = DenseIndex(in_segments(vectors, 100), np.array([301], np.int64))
    assert sorted(index.search(query, 3, allowed)[0].tolist()) == [2, 77, 300, 499]


def test_shortlist_by_codes_finds_close_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "SCAN_LIMIT", 100)
    centres = unit_rows(200, 384, seed=5)
    noise = 0.5 * unit_rows(4000, 384, seed=6)
    vectors = np.repeat(centres, 20, axis=0) + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = DenseIndex(in_segments(vectors, 1000), np.array([1, 2], np.int64))
    hits = sum(
        len(set(exact(vectors, query, 12)) - {1, 2} & set(index.search(query, 10)[0].tolist()))
        for query in centres
    )
    assert hits >= 0.98 * 10 * len(centres)


def test_a_library_without_vectors_finds_nothing() -> None:
    rowids, cosines = DenseIndex([], NOTHING).search(unit_rows(1)[0], 5)
    assert len(rowids) == len(cosines) == 0


def written(path: Path, vectors: NDArray[np.float32]) -> Segment:
    segment = Segment.build(np.arange(5, 5 + len(vectors), dtype=np.int64), vectors)
    segment.write(path)
    return segment


def test_a_segment_reads_back_the_same(tmp_path: Path) -> None:
    vectors, query = unit_rows(40), unit_rows(1, seed=7)
    segment = written(tmp_path / "s.faiss", vectors)
    again = Segment.read(tmp_path / "s.faiss", dimension=48, rows=40, first=5, last=44)
    for scan in (True, False):
        before, after = (s.search(query, 8, None, scan=scan) for s in (segment, again))
        assert before[0].tolist() == after[0].tolist()
        assert before[1].tolist() == after[1].tolist()


@pytest.mark.parametrize(
    ("dimension", "rows", "first", "last"),
    [(47, 40, 5, 44), (48, 39, 5, 44), (48, 40, 6, 44), (48, 40, 5, 43)],
)
def test_a_file_of_another_shape_is_refused(
    tmp_path: Path, dimension: int, rows: int, first: int, last: int
) -> None:
    written(tmp_path / "s.faiss", unit_rows(40))
    with pytest.raises(BadSegment):
        Segment.read(tmp_path / "s.faiss", dimension=dimension, rows=rows, first=first, last=last)


@pytest.mark.parametrize("content", [b"", b"not faiss at all", b"IxMp" + b"\xff" * 200])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.faiss"
    path.write_bytes(content)
    with pytest.raises(BadSegment):
        Segment.read(path, dimension=48, rows=40, first=5, last=44)


def test_every_truncation_of_a_segment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.faiss"
    written(path, unit_rows(6, 8))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(BadSegment):
            Segment.read(path, dimension=8, rows=6, first=5, last=10)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSegment):
        Segment.read(tmp_path / "none.faiss", dimension=8, rows=1, first=1, last=1)
