"""The derived caches: always those of the library's present state, however their files were treated."""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from corpora.chunking import Piece
from corpora.records import Extracted
from corpora.store import CacheSegment, Library, NewDocument, Stat
from corpora.store.guard import held
from index import cache_dense, dense
from index.cache import Caches, open_caches, refresh, verify
from index.cache_files import cache_folder

DIMENSION = 16
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


def vector(number: int) -> NDArray[np.float32]:
    row = np.random.default_rng(number).standard_normal(DIMENSION).astype("<f4")
    return row / np.linalg.norm(row)


def put(library: Library, *numbers: int, passages: int = 3) -> None:
    """One document a number; passage p of it says "unique<number>p<p>" and two common words."""
    with library.write() as writer:
        for number in numbers:
            lines = [f"unique{number}p{p} {WORDS[number % 8]} {WORDS[p % 8]}" for p in range(passages)]
            text = "\n".join(lines)
            pieces, at = [], 0
            for line_number, line in enumerate(lines, 1):
                pieces.append(Piece(at, at + len(line), line_number, line_number, None, None))
                at += len(line) + 1
            vectors = b"".join(vector(number * 100 + p).tobytes() for p in range(passages))
            writer.put_document(
                NewDocument(
                    f"d/{number}.txt", Extracted(text, "txt"), f"{number:064x}", Stat(1, 1), pieces, vectors
                )
            )


def remove(library: Library, number: int) -> None:
    document = library.document(f"d/{number}.txt")
    assert document is not None
    with library.write() as writer:
        writer.remove_document(document.id)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.create(tmp_path / "work" / ".assistant") as made:
        with made.write() as writer:
            for key, value in (
                ("encoder", "toy"),
                ("encoder_fingerprint", "f1"),
                ("dimension", str(DIMENSION)),
            ):
                writer.set_manifest(key, value)
        yield made


def assert_exact(library: Library, caches: Caches | None = None) -> None:
    """Both indexes hold every passage of the library and no other, and find each one."""
    caches = caches or open_caches(library)
    rows = library.rows(0, 100_000)
    rowids = {rowid for rowid, _ in rows}
    ids, data = library.vectors(0, 100_000)
    stored = (
        np.frombuffer(data, "<f4").reshape(-1, DIMENSION) if ids else np.empty((0, DIMENSION), np.float32)
    )
    found, _ = caches.dense().search(vector(1), len(rows) + 10)
    assert set(found.tolist()) == rowids
    for rowid, row in list(zip(ids, stored, strict=True))[::7]:
        assert caches.dense().search(row, 1)[0][0] == rowid
    lexical = caches.lexical()
    assert len(lexical) == len(rowids)
    for rowid, text in rows[::7]:
        assert lexical.search(text.split()[0], 5).rowids.tolist() == [rowid]


def files(library: Library) -> list[Path]:
    return sorted(
        path for path in cache_folder(library.folder).rglob("*") if path.is_file() and "lock" not in path.name
    )


def test_an_empty_library_has_empty_caches(library: Library) -> None:
    refresh(library)
    assert_exact(library)


def test_caches_follow_every_change(library: Library) -> None:
    caches = open_caches(library)
    rng = random.Random(3)
    alive: set[int] = set()
    for step in range(30):
        number = rng.randrange(40)
        if number in alive and rng.random() < 0.5:
            remove(library, number)
            alive.discard(number)
        else:
            put(library, number, passages=rng.randrange(1, 6))
            alive.add(number)
        if step % 3 == 0:
            refresh(library)
        assert_exact(library, caches)
    assert_exact(library)


def test_refresh_of_a_current_cache_writes_nothing(library: Library) -> None:
    put(library, *range(20))
    refresh(library)
    before = {path: path.stat().st_mtime_ns for path in files(library)}
    refresh(library)
    assert {path: path.stat().st_mtime_ns for path in files(library)} == before


def test_a_small_change_writes_little_and_keeps_the_large_files(library: Library) -> None:
    put(library, *range(400))
    refresh(library)
    old = {path.stat().st_ino: path.stat().st_size for path in files(library)}
    put(library, 7)
    refresh(library)
    new = sum(path.stat().st_size for path in files(library) if path.stat().st_ino not in old)
    assert new < sum(old.values()) / 4
    assert_exact(library)


def test_many_small_changes_leave_few_segments(library: Library) -> None:
    for number in range(60):
        put(library, number)
        refresh(library)
    assert len(library.cache_segments(cache_dense.NAME)) <= 6
    assert_exact(library)


def test_segments_stay_bounded(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_dense, "SEGMENT_ROWS", 50)
    for number in range(0, 80, 4):
        put(library, *range(number, number + 4))
        refresh(library)
    assert max(row.rows for row in library.cache_segments(cache_dense.NAME)) <= 50
    assert_exact(library)


def test_a_worn_segment_is_written_anew(library: Library) -> None:
    put(library, *range(40))
    refresh(library)
    for number in range(20):
        remove(library, number)
    refresh(library)
    assert sum(row.rows for row in library.cache_segments(cache_dense.NAME)) == 60
    assert_exact(library)


def test_everything_removed_leaves_no_files(library: Library) -> None:
    put(library, 1, 2)
    refresh(library)
    remove(library, 1)
    remove(library, 2)
    refresh(library)
    assert_exact(library)
    assert files(library) == []


def test_other_vectors_under_the_same_rowids_are_noticed(library: Library) -> None:
    put(library, *range(10))
    refresh(library)
    with library.write() as writer:
        writer.set_manifest("encoder_fingerprint", "f2")
    assert verify(library)
    refresh(library)
    assert verify(library) == []
    assert_exact(library)


def test_leftovers_of_a_killed_run_are_swept(library: Library) -> None:
    put(library, *range(10))
    refresh(library)
    folder = cache_folder(library.folder)
    (folder / ".tmp-words-0000").mkdir()
    (folder / ".tmp-words-0000" / "meta.json").write_text("{")
    (folder / ".tmp-dense-1-2.faiss").write_bytes(b"half")
    (folder / "dense-1-3-deadbeef.faiss").write_bytes(b"never recorded")
    put(library, 11)
    refresh(library)
    left = {path.name.split("-")[0] for path in folder.iterdir()}
    assert not any(name.startswith(".tmp") for name in left)
    assert not (folder / "dense-1-3-deadbeef.faiss").exists()
    assert_exact(library)


KILLED = """
import sys
from pathlib import Path
from corpora.store import Library
from index.cache import refresh
library = Library.open(Path(sys.argv[1]), writable=True)
print("ready", flush=True)
refresh(library)
"""


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.01, 0.02, 0.04, 0.08])
def test_a_kill_during_refresh_costs_nothing(library: Library, delay: float) -> None:
    put(library, *range(150))
    refresh(library)
    put(library, *range(100, 400))
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(library.folder)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(delay)
    child.kill()
    child.communicate()
    assert_exact(library)
    refresh(library)
    assert verify(library, deep=True) == []


def test_a_reader_does_not_wait_for_the_writer_of_the_caches(library: Library) -> None:
    put(library, *range(10))
    refresh(library)
    put(library, *range(5, 30))
    remove(library, 3)
    with held(cache_folder(library.folder)):
        begun = time.perf_counter()
        assert_exact(library)
        assert time.perf_counter() - begun < 10
    assert verify(library)  # nothing was written
    assert_exact(library)
    assert verify(library) == []


def test_an_open_reader_outlives_the_next_states(library: Library) -> None:
    put(library, *range(30))
    caches = open_caches(library)
    lexical, vectors = caches.lexical(), caches.dense()
    for number in range(30, 34):
        put(library, number)
        refresh(library)
    assert lexical.search("unique7p1", 5).rowids.tolist()
    assert len(vectors.search(vector(700), 3)[0]) >= 3


def test_a_copied_library_is_hashed_once_and_trusted_again(library: Library, tmp_path: Path) -> None:
    put(library, *range(30))
    refresh(library)
    names = [row.name for row in library.cache_segments("dense")]
    library.close()
    shutil.copytree(tmp_path / "work", tmp_path / "copy")
    with Library.open(tmp_path / "copy" / ".assistant", writable=True) as copy:
        assert_exact(copy)
        rows = copy.cache_segments("dense")
        assert [row.name for row in rows] == names
        stat = (cache_folder(copy.folder) / names[0]).stat()
        assert (rows[0].mtime_ns, rows[0].inode) == (stat.st_mtime_ns, stat.st_ino)


READ_ONLY = """
import os, sys
from pathlib import Path
import numpy as np
from corpora.store import Library
from index.cache import open_caches
from index import cache_dense, cache_lexical  # before it may not read them any more
os.setgid(65534); os.setuid(65534)
library = Library.open(Path(sys.argv[1]), named=True)
assert library.read_only
caches = open_caches(library)
print(len(caches.lexical()), len(caches.dense().search(np.ones(16, np.float32), 1000)[0]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@pytest.mark.parametrize("behind", [False, True])
def test_a_read_only_library_is_searched_all_the_same(tmp_path: Path, library: Library, behind: bool) -> None:
    put(library, *range(20))
    refresh(library)
    if behind:
        put(library, *range(20, 25))
        remove(library, 1)
    expected = library.counts()[1]
    library.close()
    for path in [tmp_path / "work", *(tmp_path / "work").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in (tmp_path, *tmp_path.parents):
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    command = [sys.executable, "-c", READ_ONLY, str(library.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == [str(expected), str(expected)], done.stderr


# -- damage ---------------------------------------------------------------------------------------------


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Another content: bits flipped, cut, lengthened, zeroed, swapped for noise, or nothing at all."""
    data = bytearray(content)
    kind = rng.choice(["flip", "flip", "header", "cut", "grow", "zero", "noise", "empty"])
    if not data:
        return b"x"
    if kind in ("flip", "header"):
        at = rng.randrange(min(64, len(data)) if kind == "header" else len(data))
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        data = data[: rng.randrange(len(data))]
    elif kind == "grow":
        data += rng.randbytes(rng.randrange(1, 50))
    elif kind == "zero":
        start = rng.randrange(len(data))
        data[start : start + 32] = bytes(b ^ 0xFF for b in data[start : start + 32])
    elif kind == "noise":
        data = bytearray(rng.randbytes(len(data)))
    else:
        data = bytearray()
    return bytes(data) if bytes(data) != content else content + b"x"


@pytest.fixture
def few_objects() -> Iterator[None]:
    """What other tests have imported is left out of the collections of `settle`, which takes minutes else."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def settle() -> None:
    """Wait until tantivy's own thread has looked at the files it has just opened.

    It maps them; cutting a file that is mapped at that moment would end the process (SIGBUS).
    """
    gc.collect()
    tasks = Path("/proc/self/task")
    while tasks.is_dir() and any(name == "watch-callbacks" for name in _thread_names(tasks)):
        time.sleep(0.001)
    time.sleep(0.01)


def _thread_names(tasks: Path) -> Iterator[str]:
    for task in tasks.iterdir():
        with suppress(OSError):
            yield (task / "comm").read_text().strip()


@pytest.mark.usefixtures("few_objects")
def test_two_hundred_mutations_by_normal_writes_are_detected_and_mended(library: Library) -> None:
    put(library, *range(60))
    refresh(library)
    put(library, *range(60, 64))
    refresh(library)
    rng = random.Random(11)
    for _ in range(200):
        settle()
        victim = rng.choice(files(library))
        kind = rng.random()
        if kind < 0.06:
            victim.unlink()
        elif kind < 0.12:
            content = mutated(victim.read_bytes(), rng)
            victim.unlink()
            victim.write_bytes(content)  # another inode
        else:
            victim.write_bytes(mutated(victim.read_bytes(), rng))
        assert verify(library), victim
        assert_exact(library)
        refresh(library)
        assert verify(library, deep=True) == []


@pytest.mark.usefixtures("few_objects")
def test_two_hundred_mutations_with_forged_size_and_time_are_found_by_a_deep_look(library: Library) -> None:
    put(library, *range(60))
    refresh(library)
    rng = random.Random(12)
    for _ in range(200):
        settle()
        victim = rng.choice([path for path in files(library) if path.stat().st_size])
        stat = victim.stat()
        content = bytearray(victim.read_bytes())
        for _ in range(rng.randrange(1, 20)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        if bytes(content) == victim.read_bytes():
            continue
        with victim.open("r+b") as file:
            file.write(content)
        os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert verify(library) == []
        assert verify(library, deep=True), victim
        assert_exact(library)  # the deep look took it out of the record
        refresh(library)


def test_a_forged_header_is_noticed_when_the_segment_is_read(library: Library) -> None:
    put(library, *range(30))
    refresh(library)
    victim = next(path for path in files(library) if path.suffix == ".faiss")
    stat = victim.stat()
    with victim.open("r+b") as file:
        file.write(b"IxF2")
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert_exact(library)
    assert verify(library, deep=True) == []


def test_a_link_in_place_of_a_cache_file_is_not_followed(library: Library, tmp_path: Path) -> None:
    put(library, *range(10))
    refresh(library)
    victim = next(path for path in files(library) if path.suffix == ".faiss")
    shutil.move(victim, tmp_path / "elsewhere.faiss")
    victim.symlink_to(tmp_path / "elsewhere.faiss")
    assert verify(library)
    assert_exact(library)


def test_a_record_that_points_out_of_the_folder_is_not_followed(library: Library, tmp_path: Path) -> None:
    put(library, *range(10))
    refresh(library)
    row = library.cache_segments("dense")[0]
    shutil.copy2(cache_folder(library.folder) / row.name, tmp_path / "outside.faiss")
    stat = (tmp_path / "outside.faiss").stat()
    outside = CacheSegment(
        "../../../outside.faiss", row.first, row.last, row.rows, row.generation, row.sha256,
        stat.st_size, stat.st_mtime_ns, stat.st_ino, row.detail,
    )  # fmt: skip
    with library.write() as writer:
        writer.set_cache_segments("dense", [outside])
    assert_exact(library)
    assert library.cache_segments("dense")[0].name.startswith("dense-")


def test_the_limit_between_scan_and_shortlist_does_not_touch_filters(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "SCAN_LIMIT", 0)
    put(library, *range(50))
    allowed = np.frombuffer(library.filter_rowids("d/1*.txt", None) or b"", np.int64)
    found, _ = open_caches(library).dense().search(vector(0), 1000, allowed)
    assert sorted(found.tolist()) == allowed.tolist()
