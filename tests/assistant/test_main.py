"""Errors become one line, one hint and an exit code; never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assistant.__main__ import main
from assistant.commands.options import typed
from assistant.stopping import StopOnSignal

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


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["bogus"], "assistant --help"),
        (["--bogus"], "assistant --help"),
        (["ask", "-z"], "assistant ask --help"),
    ],
)
def test_the_hint_of_a_wrong_call_works(argv: list[str], hint: str, tmp_path: Path) -> None:
    assert run(*argv, cwd=tmp_path).stderr.splitlines()[-1] == f"  try: {hint}"
    assert run(*hint.split()[1:], cwd=tmp_path).returncode == 0


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


def test_streams_that_are_closed_are_empty(tmp_path: Path) -> None:
    def shell(command: str) -> subprocess.CompletedProcess[str]:
        line = f"'{ASSISTANT}' {command}"
        return subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    done = shell("ask - <&-")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: Empty question.")
    assert shell("chat --plain <&-").returncode == 3
    for command in ("--help >&-", "models list >&-", "config show --json >&-"):
        done = shell(command)
        assert (done.returncode, done.stderr) == (0, ""), command
    assert shell("bogus 2>&-").returncode == 2


@pytest.mark.parametrize("command", [["--help"], ["models", "list", "--json"], ["config", "show"]])
def test_a_reader_that_goes_away_is_no_error(command: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [ASSISTANT, *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as done:
        assert done.stdout is not None and done.stderr is not None
        done.stdout.close()
        assert (done.stderr.read(), done.wait(60)) == (b"", 0)


def test_text_goes_out_as_utf8_whatever_the_locale(tmp_path: Path) -> None:
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [ASSISTANT, "ask", "x", "--library", "träume"],
        cwd=tmp_path, env={**os.environ, **plain}, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3
    assert "Traceback" not in done.stderr.decode("utf-8")


def test_bytes_that_are_no_text_are_a_question_all_the_same() -> None:
    assert typed(os.fsdecode(b"\xff bad \xc3\xa4")) == "\ufffd bad ä"


def test_sigterm_is_143_even_if_work_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.stopping._PATIENCE_SECONDS", 0.05)
    for number, expected in ((signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)):
        with pytest.raises(expected) as caught, StopOnSignal() as stop:
            os.kill(os.getpid(), number)
            time.sleep(5)
        assert stop.exit_code == 128 + number
        if isinstance(caught.value, SystemExit):
            assert caught.value.code == 143


def test_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out.startswith("assistant 0.")
