"""`assistant ingest`, `documents` and `reindex` as users see them: output, messages, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import ingest_driver as driver
import pytest

from assistant.__main__ import main
from corpora.store import Library

DRIVER = Path(__file__).resolve().parents[1] / "index" / "ingest_driver.py"


@pytest.fixture()
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with documents and two encoders that need no weights."""
    loads = driver.Loads(
        driver.HashingEncoder("all-minilm-l6-v2"), driver.HashingEncoder("other", dimension=16)
    )
    monkeypatch.setattr("index.encoders.load_encoder", lambda name, **_: loads(name))
    (tmp_path / "docs").mkdir()
    for name in ("a.txt", "b.md", "c.html"):
        (tmp_path / "docs" / name).write_text(f"The text of {name}.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    output, errors = capsys.readouterr()
    return code, output, errors


def test_ingest_makes_a_library_here_and_prints_one_object(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "docs/d.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    code, output, _ = asked(capsys, "ingest", "docs", "--json")
    result = json.loads(output)
    seconds = result.pop("seconds")
    assert (code, seconds > 0) == (0, True)
    reason = result["skipped"][0].pop("reason")
    assert reason
    assert result == {
        "added": 3,
        "updated": 0,
        "unchanged": 0,
        "removed": 0,
        "renamed": 0,
        "skipped": [{"path": "docs/d.png", "code": "unsupported"}],
        "documents": 3,
        "passages": 3,
    }
    assert (work / ".assistant").stat().st_mode & 0o777 == 0o700


def test_a_summary_for_people(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(30):
        (work / "docs" / f"{n:02}.pdf").write_bytes(b"%PDF-1.4 and then nothing")
    (work / "docs/x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    code, output, errors = asked(capsys, "ingest", "docs")
    assert code == 4
    assert output.startswith(
        "added 3, updated 0, removed 0, unchanged 0, skipped 31; 3 documents, 3 passages"
    )
    lines = errors.splitlines()
    assert sum(line.startswith("skipped docs/") for line in lines) == 20
    assert "… and 10 more; assistant status lists all" in lines
    assert "skipped 1 files: unsupported (.png 1)" in lines
    assert "\x1b" not in errors


@pytest.mark.parametrize(
    ("make", "code"),
    [("nothing", 3), ("missing", 3), ("only unsupported", 0), ("an empty file", 0), ("a damaged file", 4)],
)
def test_exit_codes(work: Path, capsys: pytest.CaptureFixture[str], make: str, code: int) -> None:
    folder = work / "more"
    if make != "missing":
        folder.mkdir()
    if make == "only unsupported":
        (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    elif make == "an empty file":
        (folder / "__init__.py").write_bytes(b"")
    elif make == "a damaged file":
        (folder / "x.docx").write_bytes(b"PK\x03\x04 and then nothing")
    found, _, errors = asked(capsys, "ingest", "more")
    assert found == code, errors
    if code == 3:
        assert errors.startswith("error: ")
        assert not (work / ".assistant").exists()


def test_another_encoder_is_a_conflict_but_a_setting_is_not(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(capsys, "ingest", "docs")
    code, _, errors = asked(capsys, "ingest", "docs", "--encoder", "other", "--json")
    assert code == 5
    assert json.loads(errors)["error"]["hint"] == "assistant reindex --encoder other"
    monkeypatch.setenv("ASSISTANT_ENCODER", "other")
    assert asked(capsys, "ingest", "docs")[0] == 0


def test_reindex_changes_the_encoder(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "ingest", "docs")
    code, output, _ = asked(capsys, "reindex", "--encoder", "other", "--json")
    result = json.loads(output)
    assert (code, result["encoder"], result["changed"], result["passages"]) == (0, "other", True, 3)
    code, output, _ = asked(capsys, "reindex")
    assert (code, output) == (0, "nothing to do: the library is encoded with other\n")
    assert asked(capsys, "ingest", "docs", "--encoder", "other")[0] == 0


def test_documents_are_listed_shown_and_removed(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, "ingest", "docs")
    _, output, _ = asked(capsys, "documents", "list", "--json")
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["path"] for row in rows] == ["docs/a.txt", "docs/b.md", "docs/c.html"]
    assert {"id", "kind", "passages", "stale", "notes"} <= rows[0].keys()
    assert "docs/b.md" in asked(capsys, "documents", "list")[1]

    assert asked(capsys, "documents", "show", "docs/a.txt", "--text")[1] == "The text of a.txt.\n"
    shown = json.loads(asked(capsys, "documents", "show", str(work / "docs/a.txt"), "--json")[1])
    assert (shown["path"], shown["text"]) == ("docs/a.txt", None)
    assert asked(capsys, "documents", "show", "nowhere.txt")[0] == 2

    assert asked(capsys, "documents", "remove", "docs/a.txt")[0] == 0
    _, output, _ = asked(capsys, "documents", "remove", "docs/b.md", "--purge", "--json")
    assert json.loads(output) == {"removed": "docs/b.md", "passages": 1, "purged": True}
    assert b"The text of b.md" not in (work / ".assistant/library.db").read_bytes()
    with Library.open(work / ".assistant") as library:
        assert [document.path for document in library.documents()] == ["docs/c.html"]


def test_document_commands_need_a_library(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["documents", "list"], ["documents", "remove", "x"], ["reindex"]):
        assert asked(capsys, *words)[0] == 3


def test_names_and_texts_cannot_drive_the_terminal(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "e\x1b]0;title\x07\x1b[31mvil\u202e.txt"
    (work / "docs" / name).write_text("text \x1b]52;c;aGk=\x07 and \x9b2J more")
    (work / "docs" / f"{name}.docx").write_bytes(b"PK\x03\x04")
    for words in (["ingest", "docs"], ["documents", "list"], ["documents", "show", f"docs/{name}", "--text"]):
        _, output, errors = asked(capsys, *words)
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(output + errors), words


def test_a_name_that_is_not_utf8_does_not_break_json(
    work: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (work / "docs" / name).write_text("A small text.")
    (work / "docs" / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    assert main(["ingest", "docs", "--json"]) == 0
    result = json.loads(capfdbinary.readouterr().out)
    assert result["added"] == 4
    assert main(["documents", "list", "--json"]) == 0
    assert len(capfdbinary.readouterr().out.splitlines()) == 4
    assert main(["documents", "show", f"docs/{name}", "--text"]) == 0
    assert capfdbinary.readouterr().out == b"A small text.\n"


PROGRAM = """
    import importlib.util, sys, time
    spec = importlib.util.spec_from_file_location("ingest_driver", sys.argv.pop(1))
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)

    class Slow(driver.HashingEncoder):
        def encode_passages(self, texts, progress=None):
            time.sleep(0.02 * len(texts))
            return super().encode_passages(texts)

    import index.encoders
    index.encoders.load_encoder = lambda name, **_: Slow(name)
    from assistant.__main__ import run
    run()
"""


def started(work: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(DRIVER), *arguments],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_documents(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "library.db").exists():
            with Library.open(folder) as library:
                if library.counts()[0] >= number:
                    return
        time.sleep(0.05)
    raise AssertionError("nothing was ingested in time")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_says_how_to_go_on(work: Path, number: int, code: int) -> None:
    for n in range(600):
        (work / "docs" / f"{n:03}.txt").write_text(f"Number {n}. " * 20)
    process = started(work, "ingest", "docs")
    wait_for_documents(work / ".assistant", 1)
    began = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5.0
    assert process.returncode == code
    assert "Traceback" not in errors
    with Library.open(work / ".assistant") as library:
        saved = library.counts()[0]
    assert 0 < saved < 603
    assert f"Saved: {saved} of 603 documents. Resume: assistant ingest docs" in errors


def test_watching_keeps_in_step_until_ctrl_c(work: Path) -> None:
    process = started(work, "ingest", "docs", "--watch", "--json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["added"] == 3
    (work / "docs/new.txt").write_text("Something new.")
    assert json.loads(process.stdout.readline())["added"] == 1
    (work / "docs/new.txt").unlink()
    assert json.loads(process.stdout.readline())["removed"] == 1
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
