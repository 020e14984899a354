"""Any sequence of edits, renames, removals and syncs leaves exactly the documents that a model expects."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import ingest_driver as driver
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from corpora.store import Library, problems

NAMES = st.sampled_from(["a.txt", "b.txt", "c.md", "x/a.txt", "x/d.txt", "y/z/e.txt"])
TEXTS = st.one_of(
    st.sampled_from(["same", "same too", "第一段。\n\n第二段。"]),
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=300),
)
BINARY = b"\x7fELF" + bytes(range(256))


class Syncs(RuleBasedStateMachine):
    """`files` is what lies on the disk (None: binary), `expected` path -> (text, stale) in the library."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        self.docs = self.base / "docs"
        self.docs.mkdir()
        (self.docs / "keep.txt").write_text("always here")
        self.library = Library.create(self.base / ".assistant")
        self.files: dict[str, str | None] = {"keep.txt": "always here"}
        self.expected: dict[str, tuple[str, bool]] = {}

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.base)

    def _path(self, name: str) -> Path:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @rule(name=NAMES, text=TEXTS)
    def write(self, name: str, text: str) -> None:
        self._path(name).write_text(text, encoding="utf-8")
        self.files[name] = text

    @rule(name=NAMES)
    def write_binary(self, name: str) -> None:
        self._path(name).write_bytes(BINARY)
        self.files[name] = None

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path(name).unlink()
        self.files.pop(name, None)

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.files and old != new:
            self._path(old).rename(self._path(new))
            self.files[new] = self.files.pop(old)

    @rule()
    def sync(self) -> None:
        report = driver.run(self.library, self.docs)
        before = self.expected
        self.expected = {}
        for name, text in self.files.items():
            if text is not None:
                self.expected[name] = (text, False)
            elif name in before:
                self.expected[name] = (before[name][0], True)
        assert report.documents == len(self.expected)
        skipped = {f"docs/{name}" for name, text in self.files.items() if text is None}
        assert {skip.path for skip in report.skipped} == skipped
        again = driver.run(self.library, self.docs)
        assert (again.added, again.updated, again.removed, again.planned) == (0, 0, 0, 0)

    @precondition(lambda self: self.expected)
    @rule(name=NAMES)
    def remove_from_library(self, name: str) -> None:
        document = self.library.document(f"docs/{name}")
        if document is not None:
            with self.library.write() as writer:
                writer.remove_document(document.id)
            del self.expected[name]

    @rule()
    def reopen(self) -> None:
        self.library.close()
        self.library = Library.open(self.base / ".assistant")

    @invariant()
    def library_is_as_expected(self) -> None:
        assert problems(self.library) == []
        found = {d.path: (self.library.text(d.id), d.stale is not None) for d in self.library.documents()}
        assert found == {f"docs/{name}": value for name, value in self.expected.items()}


def test_any_history_of_syncs_matches_the_model() -> None:
    run_state_machine_as_test(
        Syncs, settings=settings(**_COMMON, max_examples=8, stateful_step_count=14, derandomize=True)
    )


@pytest.mark.slow()
@pytest.mark.timeout(3600)
def test_two_thousand_steps_match_the_model() -> None:
    run_state_machine_as_test(Syncs, settings=settings(**_COMMON, max_examples=50, stateful_step_count=40))


_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "database": None,
}
