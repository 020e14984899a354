"""Runs of `batch` by a scripted model: resumed, torn, killed, locked, retried; the file comes out alike."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_driver import Engines, ScriptedModel, make_library, make_questions, run

from assistant.batch.outfile import OutFile
from assistant.batch.questions import read_questions
from assistant.batch.windows import WINDOW, Options
from corpora.errors import AssistantError, Busy, Conflict, Missing, UsageError
from corpora.prompt import REFUSAL
from corpora.store import Library

HERE = Path(__file__).resolve()
DRIVER = HERE.parents[1] / "index" / "batch_driver.py"
QUESTIONS = make_questions(40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("batch") / "place")


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[Library]:
    with Library.open(folder / ".assistant") as opened:
        yield opened


@pytest.fixture(scope="module")
def whole(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an undisturbed run."""
    made = tmp_path_factory.mktemp("whole") / "out.jsonl"
    run(library, QUESTIONS, made)
    return made


def rows(path: Path) -> list[dict[str, Any]]:
    """What is in a file of results, but for the seconds."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            found: list[dict[str, Any]] = list(csv.DictReader(file))
    else:
        found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in found:
        del row["seconds"]
    return found


def test_each_row_is_answered_in_the_order_of_the_input(
    library: Library, tmp_path: Path, whole: Path
) -> None:
    done = run(library, QUESTIONS, tmp_path / "out.jsonl")
    found = rows(tmp_path / "out.jsonl")
    assert found == rows(whole)
    asked = read_questions(QUESTIONS, "q.jsonl")
    assert [row["id"] for row in found] == [question.id for question in asked]
    assert len({frozenset(row) for row in found}) == 1  # every key is always there
    count = {status: sum(row["status"] == status for row in found) for status in ("ok", "refused", "error")}
    assert (done.rows, done.answered, done.refused, done.errors) == (40, *count.values())
    assert min(count.values()) >= 2
    for row, question in zip(found, asked, strict=True):
        if row["status"] == "ok":
            assert row["citations"][0]["quote"] in row["passages"][row["citations"][0]["marker"] - 1]["text"]
            assert len(row["passages"]) == min(question.k or 3, 12)
        elif row["status"] == "refused":
            assert (row["answer"], row["refused"], row["refusal"]) == (REFUSAL["en"], True, "model")
        else:
            assert (row["answer"], row["refused"], row["kind"]) == (None, False, None)
            assert row["error"]
    scored = [row for row in found if row["em"] is not None]
    assert done.scored == len(scored) > 8
    assert done.em == pytest.approx(sum(row["em"] for row in scored) / len(scored), abs=1e-5)
    assert all(row["f1"] >= 0.3 for row in scored if row["status"] == "ok")
    assert {row["em"] for row in scored if not row["expected"]} == {1.0}
    assert {row["error"] for row in found if row["status"] == "error"} == {
        "it answered 400: no Ashby today", "There is no adapter lost.", "not JSON"
    }  # fmt: skip


def test_a_second_run_asks_nothing_and_changes_no_byte(library: Library, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copy(whole, tmp_path / "out.jsonl"))
    chat = ScriptedModel()
    done = run(library, QUESTIONS, out, engines=Engines(library, chat))
    assert (chat.calls, done.kept, done.missing) == (0, 40, 0)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_a_file_cut_anywhere_is_gone_on_with(library: Library, tmp_path: Path, name: str) -> None:
    undisturbed = tmp_path / f"whole-{name}"
    run(library, QUESTIONS, undisturbed)
    data, expected = undisturbed.read_bytes(), rows(undisturbed)
    breaks = [n + 1 for n, byte in enumerate(data) if byte == 10]
    cuts = {
        0,
        1,
        2,
        len(data) - 1,
        *breaks[::7],
        *(at - 1 for at in breaks[::9]),
        *(at + 3 for at in breaks[:-1:8]),
    }
    cuts |= set(random.Random(4).sample(range(len(data)), 8))
    out = tmp_path / name
    for cut in sorted(cuts):
        for tail in (b"", b"\0" * 512) if cut % 3 == 0 else (b"",):
            out.write_bytes(data[:cut] + tail)
            if tail and data[:cut].endswith(b"\n") and name.endswith("csv"):
                continue  # a machine without power leaves half a block, not a whole line and then nothing
            chat = ScriptedModel()
            done = run(library, QUESTIONS, out, engines=Engines(library, chat))
            assert rows(out) == expected, cut
            assert done.kept + WINDOW * 3 >= 40 - chat.calls


def test_kept_rows_are_not_written_again(library: Library, whole: Path, tmp_path: Path) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    (tmp_path / "out.jsonl").write_bytes(b"".join(lines[:20]))
    chat = ScriptedModel()
    run(library, QUESTIONS, tmp_path / "out.jsonl", engines=Engines(library, chat))
    assert (tmp_path / "out.jsonl").read_bytes().startswith(b"".join(lines[:20]))
    asked = [q for q in read_questions(QUESTIONS, "q")[WINDOW:] if q.problem is None and q.adapter is None]
    assert chat.calls == len(asked)  # the window of row 17 is asked whole, the one before it not at all


CHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    "other facts": ("other documents", {"facts": {"run": 2}}),
    "other options": ("other documents", {"options": Options(within="docs/*")}),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_run_is_refused_and_nothing_is_touched(
    library: Library, whole: Path, tmp_path: Path, change: str
) -> None:
    out = Path(shutil.copy(whole, tmp_path / "out.jsonl"))
    said, options = CHANGED[change]
    with pytest.raises(Conflict, match=said):
        run(library, QUESTIONS, out, **options)
    with pytest.raises(Conflict, match="other documents, another model"):
        run(library, QUESTIONS, out, engines=Engines(library, ScriptedModel(), "6" * 16))
    assert out.read_bytes() == whole.read_bytes()


def test_a_changed_input_is_refused_but_may_grow(library: Library, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copy(whole, tmp_path / "out.jsonl"))
    lines = QUESTIONS.splitlines(keepends=True)
    other = lines[3].replace(b"lighthouse", b"harbour")
    for data, said in (
        (b"".join([*lines[:3], other, *lines[4:]]), "Row 4 .* answers another question"),
        (b"".join([lines[1], lines[0], *lines[2:]]), "Row 1 "),
        (b"".join(lines[:-1]), "holds more rows than the input"),
    ):
        with pytest.raises(Conflict, match=said):
            run(library, data, out)
    assert out.read_bytes() == whole.read_bytes()
    done = run(library, QUESTIONS + make_questions(50).split(b"\n", 40)[-1], out)
    assert (done.rows, done.kept) == (50, 40)
    assert rows(out)[:40] == rows(whole)


@pytest.mark.parametrize(
    "there", [b"hello\n", b"hello", b'{"id": "mine"}\n', b'{"id":"q0","key":"x"}\n', b"\xff"]
)
@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_a_file_of_something_else_is_left_alone(
    library: Library, tmp_path: Path, there: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(there)
    with pytest.raises(Conflict, match="no result of this program"):
        run(library, QUESTIONS, tmp_path / name)
    assert (tmp_path / name).read_bytes() == there


def test_a_damaged_line_in_the_middle_is_refused(library: Library, whole: Path, tmp_path: Path) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    assert b'"ok"' in lines[1]
    for damaged in (lines[1][:40] + b"\n", b"\n", lines[1].replace(b'"ok"', b"ok"), lines[1][:-9] + b"\n"):
        (tmp_path / "out.jsonl").write_bytes(b"".join([lines[0], damaged, *lines[2:]]))
        with pytest.raises(Conflict):
            run(library, QUESTIONS, tmp_path / "out.jsonl")


def test_failed_rows_are_asked_again_when_that_is_wanted(
    library: Library, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copy(whole, tmp_path / "out.jsonl"))
    before = rows(whole)
    chat = ScriptedModel(broken=False)
    done = run(library, QUESTIONS, out, retry_errors=True, engines=Engines(library, chat))
    after = rows(out)
    mended = [n for n, row in enumerate(before) if "Ashby" in (row["error"] or "")]
    assert len(mended) >= 2
    assert [n for n in range(40) if before[n] != after[n]] == mended
    assert all("1878" in after[n]["answer"] for n in mended)
    assert done.errors == sum(row["status"] == "error" for row in before) - len(mended)
    assert done.kept == 40 - sum(row["status"] == "error" for row in before)
    assert list(tmp_path.iterdir()) == [out]
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:21]))
    run(library, QUESTIONS, cut, retry_errors=True, broken=False)
    assert rows(cut) == after


def test_a_run_killed_while_it_retries_leaves_the_file_as_it_was(
    library: Library, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copy(whole, tmp_path / "out.jsonl"))
    (tmp_path / ".out.jsonl.retried").write_bytes(b"half of")  # what a killed run has left

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        with pytest.raises(OSError, match="No space"):
            run(library, QUESTIONS, out, retry_errors=True, broken=False)
    assert out.read_bytes() == whole.read_bytes()
    run(library, QUESTIONS, out, retry_errors=True, broken=False)
    assert list(tmp_path.iterdir()) == [out]


def test_one_run_at_a_time_writes_a_file(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with OutFile.open(out), pytest.raises(Busy) as error:
        run(library, QUESTIONS, out)
    assert error.value.exit_code == 7
    (tmp_path / "link.jsonl").symlink_to(out)
    with out.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Busy):
            run(library, QUESTIONS, tmp_path / "link.jsonl")
    run(library, QUESTIONS, tmp_path / "link.jsonl")
    assert len(rows(out)) == 40


def test_what_is_no_file_takes_no_results(library: Library, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/null", tmp_path, tmp_path / "pipe", tmp_path / "no" / "folder.jsonl"):
        with pytest.raises(UsageError):
            run(library, QUESTIONS, Path(place))


def test_documents_that_change_meanwhile_end_the_run(folder: Path, tmp_path: Path) -> None:
    with Library.open(folder / ".assistant") as library:
        engines = Engines(library, ScriptedModel())
        generations = iter([1, *[1] * 1, *[2] * 50])
        from assistant.batch.run import Source, answer_all

        source = Source(engines, {}, lambda: next(generations))
        with pytest.raises(Conflict, match="changed while"):
            answer_all(source, read_questions(QUESTIONS, "q"), tmp_path / "out.jsonl", Options())
    assert len(rows(tmp_path / "out.jsonl")) == WINDOW


def test_a_stopped_run_keeps_whole_windows_and_is_gone_on_with(
    library: Library, whole: Path, tmp_path: Path
) -> None:
    chat, out = ScriptedModel(), tmp_path / "out.jsonl"
    done = run(library, QUESTIONS, out, engines=Engines(library, chat), stop=lambda: chat.calls > 20)
    assert done.stopped and done.missing == 40 - WINDOW
    assert len(rows(out)) == WINDOW
    run(library, QUESTIONS, out)
    assert rows(out) == rows(whole)


class Unreachable(Exception):
    """No way to the server."""


def test_a_server_that_is_gone_ends_the_run_and_what_was_answered_is_kept(
    library: Library, whole: Path, tmp_path: Path
) -> None:
    class Gone(ScriptedModel):
        def _generate(self, *messages: Any, **options: Any) -> Any:
            if self.calls > 20:
                raise type("AuthenticationError", (Unreachable,), {"status_code": 401})("no such key")
            return super()._generate(*messages, **options)

    out = tmp_path / "out.jsonl"
    with pytest.raises(Missing, match="401"):
        run(library, QUESTIONS, out, engines=Engines(library, Gone()))
    assert len(rows(out)) == WINDOW
    run(library, QUESTIONS, out)
    assert rows(out) == rows(whole)


def test_quotations_need_no_model_and_closed_book_no_passages(library: Library, tmp_path: Path) -> None:
    data = b'{"question":"When was the lighthouse of Orrin built?"}\n'
    chat = ScriptedModel()
    run(library, data, tmp_path / "a", options=Options(extractive=True), engines=Engines(library, chat))
    (row,) = rows(tmp_path / "a")
    assert (row["kind"], chat.calls) == ("extractive", 0)
    assert "1836" in row["answer"]
    done = run(library, data, tmp_path / "b", options=Options(retrieval=False))
    (row,) = rows(tmp_path / "b")
    assert (row["passages"], row["unsupported"], done.k) == ([], True, None)


def test_a_table_holds_what_the_lines_hold(library: Library, whole: Path, tmp_path: Path) -> None:
    run(library, QUESTIONS, tmp_path / "out.CSV".lower())
    table = rows(tmp_path / "out.csv")
    for line, row in zip(rows(whole), table, strict=True):
        for name in ("key", "status", "kind", "answer", "error", "question", "refusal"):
            assert row[name] == (line[name] or "")
        assert row["id"] == str(line["id"])
        assert json.loads(row["quotes"]) == [one["quote"] for one in line["citations"]]
        assert row["sources"] == "; ".join(f"{c['path']}:{c['line_start']}" for c in line["citations"])
        assert json.loads(row["passages"]) == [one["passage_id"] for one in line["passages"]]
        assert row["em"] == ("" if line["em"] is None else str(line["em"]))


def start(folder: Path, source: Path, out: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(DRIVER.parent), str(HERE.parents[2])])
    return subprocess.Popen(
        [sys.executable, DRIVER, folder, source, out, "0.01"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def finish(folder: Path, source: Path, out: Path) -> dict[str, Any]:
    process = start(folder, source, out)
    said, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return dict(json.loads(said))


@pytest.mark.parametrize("name", ["out.jsonl", pytest.param("out.csv", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_killed_runs_end_as_an_undisturbed_one(folder: Path, tmp_path: Path, name: str, kills: int) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(make_questions(150))
    plain, out = tmp_path / f"plain-{name}", tmp_path / name
    began = time.monotonic()
    finish(folder, source, plain)
    seconds = time.monotonic() - began
    expected = rows(plain)
    rng, hit = random.Random(kills), 0
    for _ in range(kills):
        if out.exists() and out.read_bytes().count(b"\n") >= len(expected):
            out.unlink()  # that run had ended; begin again
        process = start(folder, source, out)
        time.sleep(rng.uniform(0.4, 1.0) * seconds)
        hit += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(folder, source, out)
    assert rows(out) == expected
    assert hit >= kills // 3


def test_two_processes_never_write_one_file(folder: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(make_questions(150))
    processes = [start(folder, source, out) for _ in range(2)]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert [code for _, code in ends].count(0) >= 1
    assert all(b"Busy" in err for err, code in ends if code)
    assert [row["id"] for row in rows(out)] == [q.id for q in read_questions(source.read_bytes(), "q")]


def test_every_error_of_a_run_has_a_hint(library: Library, whole: Path) -> None:
    with pytest.raises(AssistantError) as error:
        run(library, QUESTIONS, whole, facts={"run": 3})
    assert (error.value.exit_code, error.value.code) == (5, "other_run")
    assert "-o" in (error.value.hint or "")


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_any_damage_is_refused_or_gone_on_from(library: Library, tmp_path: Path, name: str) -> None:
    whole, out, rng = tmp_path / f"whole-{name}", tmp_path / name, random.Random(8)
    data = make_questions(20)
    run(library, data, whole)
    good, refused = whole.read_bytes(), 0
    noise = [b"\0", b"\n", b'"', b"\xff", b"{", b"1e999", b"[[[[", b",,,", b"\r\n\r\n"]
    for _ in range(120):
        at = rng.randrange(len(good))
        bad = good[:at] + rng.choice(noise) * rng.randint(1, 3) + good[at + rng.randint(0, 40) :]
        out.write_bytes(bad[: rng.randrange(len(bad))] if rng.random() < 0.3 else bad)
        before = out.read_bytes()
        try:
            run(library, data, out)
        except Conflict:
            refused += 1
            assert out.read_bytes() == before
        else:
            assert len(rows(out)) == 20
    assert refused > 20
