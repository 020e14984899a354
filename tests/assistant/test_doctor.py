"""`status` and `doctor` on real libraries: what is there, what is wrong, and the command that mends it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import ingest_driver as driver
import pytest

from assistant.__main__ import main


@pytest.fixture()
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A working folder with a library of three documents, embedded without weights."""
    loads = driver.Loads(driver.HashingEncoder("all-minilm-l6-v2"))
    monkeypatch.setattr("index.encoders.load_encoder", lambda name, **_: loads(name))
    (tmp_path / "docs").mkdir()
    for name in ("a.txt", "b.md", "c.html"):
        (tmp_path / "docs" / name).write_text(f"The lighthouse of {name} stands on a rock.\n")
    (tmp_path / "docs" / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    monkeypatch.chdir(tmp_path)
    assert main(["ingest", "docs"]) == 4
    capsys.readouterr()
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def findings(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    code, report = asked(capsys, "doctor", *arguments)
    by_check: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        by_check.setdefault(finding["check"], []).append(finding)
    return code, by_check


def test_status_counts_what_is_there(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, state = asked(capsys, "status")
    assert code == 0
    assert (state["documents"], state["passages"]) == (3, 3)
    assert state["types"] == {"txt": 1, "md": 1, "html": 1}
    assert [(skip["path"], skip["code"]) for skip in state["skipped"]] == [("docs/broken.pdf", "damaged")]
    assert state["bytes"] > 10_000


def test_status_for_people_names_the_skipped_file(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    output = capsys.readouterr().out
    assert "documents  3 (" in output
    assert "docs/broken.pdf" in output


def test_a_sound_library_has_no_failure(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "--deep")
    assert code == 0
    assert [finding["level"] for finding in found["index"] + found["database"]] == ["ok", "ok"]
    assert found["documents"][0]["fix"].startswith("assistant status")


def test_every_finding_that_is_not_ok_names_a_fix(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_MODLE", "x")
    os.chmod(work / ".assistant", 0o755)  # noqa: S103, PTH101
    _, found = findings(capsys)
    wrong = [finding for group in found.values() for finding in group if finding["level"] != "ok"]
    assert {finding["check"] for finding in wrong} >= {"environment", "privacy", "model", "documents"}
    assert [finding for finding in wrong if not finding["fix"]] == []


def test_a_mutated_cache_with_forged_size_and_time_is_found_by_deep(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = max((work / ".assistant" / "index").rglob("*.faiss"), key=lambda path: path.stat().st_size)
    before = segment.stat()
    data = bytearray(segment.read_bytes())
    data[-3] ^= 0x40
    with segment.open("r+b") as file:  # the same inode
        file.write(data)
    os.utime(segment, ns=(before.st_atime_ns, before.st_mtime_ns))
    code, found = findings(capsys, "--deep")
    assert code == 0  # mended by the next search: a warning
    assert found["index"][0]["level"] == "warn"
    assert main(["search", "lighthouse", "--mode", "lexical"]) == 0
    capsys.readouterr()
    assert findings(capsys, "--deep")[1]["index"][0]["message"] != found["index"][0]["message"]


def test_a_damaged_database_is_a_failure_with_a_fix(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("library.db-wal", "library.db-shm"):
        (work / ".assistant" / name).unlink(missing_ok=True)
    (work / ".assistant" / "library.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    code, found = findings(capsys)
    assert code == 4
    failed = [finding for group in found.values() for finding in group if finding["level"] == "fail"]
    assert failed and all(finding["fix"] for finding in failed)


def test_without_a_library_doctor_still_looks_at_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, found = findings(capsys)
    assert code == 3
    assert found["library"][0]["fix"] == "assistant ingest FOLDER"
    assert "disk" in found
