"""Errors become one line, one hint and an exit code; never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.__main__ import main

ASSISTANT = Path(sys.executable).with_name("assistant")


def run(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ASSISTANT, *argv], cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("argv", [["status"], ["search", "x"], ["ask", "x"], ["documents", "list"]])
def test_without_a_library_is_exit_3(argv: list[str], tmp_path: Path) -> None:
    done = run(*argv, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "error: No library in ./.assistant.",
        "  try: assistant ingest FOLDER",
    ]


@pytest.mark.parametrize(
    "argv", [["bogus"], ["search"], ["ask", "--bogus", "x"], ["search", "x", "-k", "many"]]
)
def test_wrong_words_are_exit_2(argv: list[str], tmp_path: Path) -> None:
    done = run(*argv, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_errors_under_json_are_one_object_on_stderr(tmp_path: Path) -> None:
    done = run("status", "--json", cwd=tmp_path)
    assert done.stdout == ""
    error = json.loads(done.stderr)["error"]
    assert (error["code"], error["hint"]) == ("no_library", "assistant ingest FOLDER")


def test_a_foreign_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / ".assistant"
    library.mkdir()
    (library / "library.db").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    assert main(["status"]) == 5


def test_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out.startswith("assistant 0.")
