"""Watching real files: every change is noticed, in order, and nothing else is."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.watch import changes


class Watched:
    """Changes as they come, from a thread of their own."""

    def __init__(self, roots: list[Path], ignored: Path) -> None:
        self.counts: queue.Queue[int] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(roots, ignored))
        self._thread.start()
        assert self.counts.get(timeout=20) == 0

    def _run(self, roots: list[Path], ignored: Path) -> None:
        for count in changes(roots, ignored, self._stop.is_set):
            self.counts.put(count)

    def noticed(self, within: float = 20.0) -> bool:
        """Whether a change comes; any that follow at once belong to it."""
        try:
            assert self.counts.get(timeout=within) > 0
        except queue.Empty:
            return False
        while True:
            try:
                self.counts.get(timeout=1.0)
            except queue.Empty:
                return True

    def stop(self) -> float:
        began = time.monotonic()
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
        return time.monotonic() - began


@pytest.fixture()
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    return folder


@pytest.fixture()
def watched(docs: Path) -> Iterator[Watched]:
    running = Watched([docs], docs / ".assistant")
    yield running
    running.stop()


def test_edits_new_files_and_removals_are_noticed(docs: Path, watched: Watched) -> None:
    (docs / "a.txt").write_text("two")
    assert watched.noticed()
    (docs / "deep/b.txt").write_text("new")
    assert watched.noticed()
    (docs / "deep/b.txt").rename(docs / "c.txt")
    assert watched.noticed()
    (docs / "c.txt").unlink()
    assert watched.noticed()


def test_hidden_files_and_the_library_do_not_count(docs: Path, watched: Watched) -> None:
    for folder in (".git", ".assistant"):
        (docs / folder).mkdir()
        (docs / folder / "x.db").write_text("changed")
    assert not watched.noticed(within=2.0)


def test_a_folder_that_goes_and_comes_back_is_watched_again(docs: Path, watched: Watched) -> None:
    shutil.rmtree(docs)
    assert watched.noticed()
    docs.mkdir()
    (docs / "a.txt").write_text("back")
    assert watched.noticed()
    (docs / "a.txt").write_text("and changed")
    assert watched.noticed()


def test_a_single_file_is_watched_through_replacement(docs: Path) -> None:
    watched = Watched([docs / "a.txt"], docs / ".assistant")
    (docs / "other").write_text("not watched")
    assert not watched.noticed(within=1.5)
    (docs / "new").write_text("as an editor saves")
    (docs / "new").replace(docs / "a.txt")
    assert watched.noticed()
    assert watched.stop() < 2.0
