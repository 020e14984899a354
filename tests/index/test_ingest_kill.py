"""An ingest that is killed at any instant and run again ends with the library of one that was not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from corpora.store import Library, content_hash, problems

DRIVER = Path(__file__).with_name("ingest_driver.py")
WORDS = ("river", "stone", "market", "engine", "winter", "garden", "signal", "paper", "bridge", "copper")


def sentence(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(5, 15))).capitalize() + "."


def paragraphs(rng: random.Random, number: int) -> list[str]:
    return [" ".join(sentence(rng) for _ in range(rng.randint(2, 6))) for _ in range(number)]


def make_files(folder: Path, number: int, seed: int) -> None:
    """Mixed files: text, Markdown, HTML, CSV, JSON, e-mail, notebooks, code, empty and unreadable ones."""
    rng = random.Random(seed)
    for at in range(number):
        body = paragraphs(rng, rng.choice([1, 2, 3, 3, 4, 25]))
        kind = ["txt", "md", "html", "csv", "json", "eml", "ipynb", "py", "png", "md"][at % 10]
        path = folder / f"part{at % 7}" / f"file{at:03}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_content(kind, body, at))
    (folder / "__init__.py").write_bytes(b"")


def _content(kind: str, body: list[str], at: int) -> bytes:
    text = "\n\n".join(body)
    contents = {
        "txt": text,
        "md": f"# Title {at}\n\n{body[0]}\n\n## Part\n\n{text}\n",
        "html": f"<html><body><h1>Title {at}</h1>{''.join(f'<p>{p}</p>' for p in body)}</body></html>",
        "csv": "name,words\n" + "".join(f"row{n},{p}\n" for n, p in enumerate(body)),
        "json": json.dumps({"title": at, "body": body}, indent=1),
        "eml": f"From: a@example.org\nSubject: Letter {at}\nContent-Type: text/plain\n\n{text}\n",
        "ipynb": json.dumps(
            {
                "cells": [{"cell_type": "markdown", "metadata": {}, "source": body}],
                "metadata": {},
                "nbformat": 4,
            }
        ),
        "py": f'"""Module {at}."""\n\n' + "".join(f"# {p}\nvalue_{n} = {n}\n" for n, p in enumerate(body)),
        "png": "\x89PNG\r\n\x1a\n" + text,
    }
    return contents[kind].encode("latin-1" if kind == "png" else "utf-8")


def vectors(library: Library) -> dict[str, tuple[float, ...]]:
    rowids, data = library.vectors(0, 1_000_000)
    width = len(data) // len(rowids)
    return {
        p.id: struct.unpack(f"<{width // 4}f", data[at * width : (at + 1) * width])
        for at, p in enumerate(library.passages(rowids))
    }


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))  # they are unit vectors


class Ingest:
    """The same ingest again and again, killed or not."""

    def __init__(self, base: Path, command: list[str]) -> None:
        self.base = base
        self.folder = base / ".assistant"
        self.command = command

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command, cwd=self.base, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ
        )

    def finish(self) -> float:
        """Run to the end; returns the seconds."""
        began = time.monotonic()
        process = self.start()
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors.decode()
        return time.monotonic() - began

    def kill_after(self, seconds: float) -> bool:
        """Kill at an instant; whether it came before the end."""
        process = self.start()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        return process.returncode == -signal.SIGKILL

    def check(self) -> tuple[int, str]:
        """The library is whole; returns documents and content hash."""
        if not (self.folder / "library.db").exists():
            return 0, ""
        with Library.open(self.folder) as library:
            assert problems(library) == []
            return library.counts()[0], content_hash(library)


def undisturbed(ingest: Ingest) -> tuple[float, str, dict[str, tuple[float, ...]]]:
    seconds = ingest.finish()
    with Library.open(ingest.folder) as library:
        result = content_hash(library), vectors(library)
    shutil.rmtree(ingest.folder)
    return seconds, *result


def compare(ingest: Ingest, expected_hash: str, expected: dict[str, tuple[float, ...]]) -> None:
    with Library.open(ingest.folder) as library:
        assert problems(library) == []
        assert content_hash(library) == expected_hash
        found = vectors(library)
    assert found.keys() == expected.keys()
    assert min(cosine(found[key], expected[key]) for key in found) >= 0.999


def kill_and_rerun(ingest: Ingest, kills: int, seed: int) -> None:
    """Each time from nothing: kill at a uniform instant, look, run to the end, compare."""
    print(f"seed={seed}")
    rng = random.Random(seed)
    seconds, expected_hash, expected = undisturbed(ingest)
    hit = 0
    while hit < kills:
        shutil.rmtree(ingest.folder, ignore_errors=True)
        if not ingest.kill_after(rng.uniform(0, seconds)):
            continue
        hit += 1
        ingest.check()
        ingest.finish()
        compare(ingest, expected_hash, expected)


def driven(base: Path) -> Ingest:
    return Ingest(base, [sys.executable, str(DRIVER), str(base / ".assistant"), str(base / "docs")])


def test_five_kills_leave_no_trace(tmp_path: Path) -> None:
    make_files(tmp_path / "docs", 60, seed=1)
    kill_and_rerun(driven(tmp_path), kills=5, seed=time.time_ns() % 100_000)


@pytest.mark.slow()
@pytest.mark.timeout(3600)
def test_sixty_kills_leave_no_trace(tmp_path: Path) -> None:
    make_files(tmp_path / "docs", 300, seed=2)
    kill_and_rerun(driven(tmp_path), kills=60, seed=time.time_ns() % 100_000)


@pytest.mark.slow()
@pytest.mark.models()
@pytest.mark.timeout(3600)
def test_sixty_kills_of_the_real_command_lose_and_double_nothing(
    tmp_path: Path, embedded_models: Path
) -> None:
    """One ingest is killed again and again; what was there after a kill is there after the next."""
    make_files(tmp_path / "docs", 300, seed=3)
    program = [sys.executable, "-c", "from assistant.__main__ import run; run()"]
    ingest = Ingest(tmp_path, [*program, "ingest", "docs", "--library", str(tmp_path / ".assistant")])
    seconds, expected_hash, expected = undisturbed(ingest)
    seed = time.time_ns() % 100_000
    print(f"seed={seed}")
    rng = random.Random(seed)
    kills, documents = 0, 0
    while kills < 60:
        if ingest.kill_after(rng.uniform(0, max(4.0, seconds / 3))):
            kills += 1
            after, _ = ingest.check()
            assert after >= documents
            documents = after
        else:
            compare(ingest, expected_hash, expected)
            shutil.rmtree(ingest.folder)
            documents = 0
    ingest.finish()
    compare(ingest, expected_hash, expected)


@pytest.mark.slow()
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("call", ["fsync", "fdatasync", "rename", "unlink", "ftruncate", "mkdir"])
def test_a_kill_at_every_call_that_orders_writes_leaves_no_trace(tmp_path: Path, call: str) -> None:
    """White box: strace kills at the k-th such call, for every k (as SQLite and ALICE test)."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    make_files(tmp_path / "docs", 5, seed=4)
    ingest = driven(tmp_path)
    _, expected_hash, expected = undisturbed(ingest)
    for k in range(1, 200):
        shutil.rmtree(ingest.folder, ignore_errors=True)
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={k}"]
        killed = Ingest(tmp_path, ["strace", "-f", "-o", "/dev/null", *inject, *ingest.command]).start()
        killed.communicate(timeout=120)
        if killed.returncode == 0:
            assert k > 1, f"{call} is never called"
            return
        ingest.check()
        ingest.finish()
        compare(ingest, expected_hash, expected)
    raise AssertionError("no end of calls")
