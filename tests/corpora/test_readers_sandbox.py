"""The pool: a hostile file costs one reason, its neighbours nothing, the parent no memory."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.readers import READERS
from corpora.readers.sandbox import Limits, ReaderPool, ReadResult
from corpora.records import Extracted, Skipped
from corpora.walk import FoundFile, walk

HOSTILE = """
import ctypes, os, socket, sys, tempfile, time
from corpora.readers import ReadProblem
from corpora.records import Extracted, Mark

def read(data, name):
    word = data.decode().strip()
    if word == "sleep": time.sleep(1000)
    if word == "spin":
        while True: pass
    if word == "memory": return bytearray(1 << 40)
    if word == "grow":
        kept = []
        while True: kept.append("x" * 10_000_000)
    if word == "segfault": ctypes.string_at(8)
    if word == "exit": os._exit(3)
    if word == "raise": raise RuntimeError("odd\\nthing")
    if word == "recurse": return read(data, name)
    if word == "problem": raise ReadProblem("bomb", "expands")
    if word == "write":
        with tempfile.TemporaryFile() as file: file.write(b"x")
    if word == "print":
        print("noise"); os.write(1, b"more"); os.write(2, b"more")
    if word == "huge": return Extracted("x" * 3_000_000, "txt")
    if word == "marks": return Extracted("x", "txt", tuple(Mark(0, 1, "h" * 100) for _ in range(30_000)))
    if word == "hidden": return Extracted("\\u200b \\u200b", "txt")
    if word == "surrogate": return Extracted("a\\udc80b", "txt", notes=("n\\udc80",))
    if word.startswith("connect"):
        try: socket.create_connection(("127.0.0.1", int(word.split()[1])), 1)
        except OSError: return Extracted("refused", "txt")
        return Extracted("connected", "txt")
    if word == "environment": return Extracted(" ".join(sorted(os.environ)) + " " + os.getcwd(), "txt")
    if word == "path": return Extracted("\\n".join(sys.path), "txt")
    if word == "pid": return Extracted(str(os.getpid()), "txt")
    return Extracted(word, "txt")
"""

# The wall clock is far off, for a busy machine must not decide a test; "sleep" has its own.
FAST = Limits(
    file_bytes=1 << 20, memory_bytes=400 << 20, cpu_seconds=1, wall_seconds=60, output_bytes=2 << 20
)


@pytest.fixture()
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for files that the reader for .txt obeys."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "hostile_reader.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.setitem(READERS, "txt", "hostile_reader:read")
    files = tmp_path / "files"
    files.mkdir()
    return files


def read_words(folder: Path, *words: str, workers: int = 2, limits: Limits = FAST) -> list[ReadResult]:
    """Results of files 00.txt, 01.txt, ... that hold `words`."""
    for at, word in enumerate(words):
        (folder / f"{at:03}.txt").write_text(word)
    with ReaderPool(workers, limits) as pool:
        return list(pool.read(walk([folder])))


def code_of(result: ReadResult) -> str:
    return result.outcome.code if isinstance(result.outcome, Skipped) else "ok"


def text_of(result: ReadResult) -> str:
    assert isinstance(result.outcome, Extracted), result.outcome
    return result.outcome.text


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("sleep", "timeout"),
        ("spin", "timeout"),
        ("memory", "out_of_memory"),
        ("grow", "out_of_memory"),
        ("segfault", "crashed"),
        ("exit", "crashed"),
        ("raise", "damaged"),
        ("recurse", "damaged"),
        ("problem", "bomb"),
        ("write", "damaged"),
        ("huge", "too_large"),
        ("marks", "too_large"),
        ("hidden", "empty"),
        ("print", "ok"),
        ("surrogate", "ok"),
    ],
)
def test_a_hostile_file_costs_one_reason(folder: Path, word: str, code: str) -> None:
    limits = replace(FAST, wall_seconds=2.0) if word == "sleep" else FAST
    results = read_words(folder, "before", word, "after", workers=1, limits=limits)
    assert [code_of(result) for result in results] == ["ok", code, "ok"]
    assert results[1].sha256 == hashlib.sha256(word.encode()).hexdigest()
    if isinstance(results[1].outcome, Skipped):
        assert results[1].outcome.reason
        assert "\n" not in results[1].outcome.reason


def test_results_come_in_order_with_hash_size_and_time(folder: Path) -> None:
    words = [f"word {at}" for at in range(60)]
    words[3] = "spin"
    results = read_words(folder, *words)
    assert [result.file.path.name for result in results] == [f"{at:03}.txt" for at in range(60)]
    for word, result in zip(words, results, strict=True):
        assert result.sha256 == hashlib.sha256(word.encode()).hexdigest()
        assert (result.size, result.mtime_ns) == (len(word), result.file.path.stat().st_mtime_ns)
        assert code_of(result) == ("timeout" if word == "spin" else "ok")


def test_children_are_reused_and_gone_afterwards(folder: Path) -> None:
    children = {int(text_of(result)) for result in read_words(folder, *["pid"] * 40)}
    assert 1 <= len(children) <= 2
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_child_that_has_grown_is_replaced(folder: Path) -> None:
    results = read_words(folder, "pid", "grow", "pid", workers=1)
    assert text_of(results[0]) != text_of(results[2])


def test_children_have_no_keys_and_not_the_working_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpora.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    results = read_words(folder, "environment", "path")
    assert "OPENAI_API_KEY" not in text_of(results[0])
    assert text_of(results[0]).endswith(" /")
    path = text_of(results[1]).split("\n")
    assert str(tmp_path) not in path
    assert "" not in path


@pytest.mark.enable_socket
def test_children_reach_no_port_of_this_machine(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (result,) = read_words(folder, f"connect {server.getsockname()[1]}")
    if text_of(result) == "connected":
        pytest.skip("this kernel lets nobody give up the network")


def test_what_is_not_a_file_any_more_is_told(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/hostname")
    (folder / "big.txt").touch()
    os.truncate(folder / "big.txt", 1 << 40)  # sparse
    (folder / "empty.txt").touch()
    paths = [folder / name for name in ("pipe", "link", "big.txt", "empty.txt", "gone", ".")]
    with ReaderPool(1, FAST) as pool:
        results = list(pool.read(FoundFile(path, 0, 0) for path in paths))
    codes = [code_of(result) for result in results]
    assert codes == ["not_a_file", "vanished", "too_large", "empty", "vanished", "not_a_file"]


def test_problems_of_the_walk_pass_through(folder: Path) -> None:
    problem = Skipped("outside_root", "symbolic link to /etc")
    with ReaderPool() as pool:
        (result,) = pool.read([FoundFile(folder / "x", 0, 0, problem)])
    assert (result.outcome, result.sha256) == (problem, None)


def test_names_that_are_no_text_can_be_read(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("coffee")
    with ReaderPool() as pool:
        (result,) = pool.read(walk([folder]))
    assert text_of(result) == "coffee"


def test_an_error_of_the_input_reaches_the_caller_and_ends_the_children(folder: Path) -> None:
    def files() -> object:
        yield FoundFile(folder / "a.txt", 0, 0)
        raise KeyError("input")

    with pytest.raises(KeyError), ReaderPool() as pool:
        list(pool.read(files()))  # type: ignore[arg-type]


def test_leaving_early_breaks_off_what_is_being_read(folder: Path) -> None:
    for at in range(20):
        (folder / f"{at:03}.txt").write_text("sleep" if at else "first")
    begun = time.monotonic()
    with ReaderPool(2, Limits(wall_seconds=60)) as pool:
        assert text_of(next(pool.read(walk([folder])))) == "first"
    assert time.monotonic() - begun < 5


def test_a_pool_reads_twice(folder: Path) -> None:
    (folder / "a.txt").write_text("x")
    with ReaderPool() as pool:
        reading = pool.read(walk([folder]))
        next(reading)
        reading.close()  # type: ignore[attr-defined]
        assert [text_of(result) for result in pool.read(walk([folder]))] == ["x"]


def test_children_die_with_a_killed_parent(folder: Path) -> None:
    (folder / "a.txt").write_text("pid")
    (folder / "b.txt").write_text("sleep")
    script = """
        import os, sys
        sys.path[:] = sys.argv[2].split(os.pathsep)
        from pathlib import Path
        from corpora.readers import READERS
        from corpora.readers.sandbox import ReaderPool
        from corpora.walk import walk
        READERS["txt"] = "hostile_reader:read"
        with ReaderPool(1) as pool:
            for result in pool.read(walk([Path(sys.argv[1])])):
                print(result.outcome.text, flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder), os.pathsep.join(sys.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Path(f"/proc/{parent.stdout.readline().strip()}")
        assert child.exists()
        parent.kill()
    deadline = time.monotonic() + 5
    while child.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not child.exists()


def test_real_readers_on_real_hostile_input(tmp_path: Path) -> None:
    hostile = {
        "deep.html": b"<div>" * 200_000 + b"x",
        "comments.html": b"<!--" * 20_000 + b"-->x",
        "deep.json": b"[" * 500_000,
        "line.txt": b"x" * 3_000_000,
        "headings.md": b"# a\n" * 200_000,
        "page.html": b"<h1>Hello</h1><p style='display:none'>no</p>yes\xe2\x80\x8b",
        "zeros.txt": bytes(1000),
        "picture.md": b"\x89PNG\r\n\x1a\n" + bytes(100),
    }
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
    with ReaderPool() as pool:
        results = {result.file.path.name: result for result in pool.read(walk([tmp_path]))}
    assert {name: code_of(result) for name, result in results.items()} == {
        "deep.html": "ok",
        "comments.html": "ok",
        "deep.json": "ok",
        "line.txt": "ok",
        "headings.md": "ok",
        "page.html": "ok",
        "zeros.txt": "empty",
        "picture.md": "unsupported",
    }
    page = results["page.html"].outcome
    assert isinstance(page, Extracted)
    assert (page.text, page.hidden_removed) == ("Hello\n\nyes", 3)
