"""A run of `generate` that is killed at any instant and run again ends as one that was not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from generate_driver import make_documents
from ingest_driver import run as ingest

from corpora.examples import Example
from corpora.store import ExampleStore, Library, problems

HERE = Path(__file__).parent
DRIVER = HERE / "generate_driver.py"


def start(base: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(HERE.parent / "index"), str(HERE.parents[1])])
    return subprocess.Popen(
        [sys.executable, DRIVER, ".assistant"],
        cwd=base,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def finish(base: Path) -> dict[str, object]:
    process = start(base)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return dict(json.loads(out))


def contents(base: Path) -> list[Example]:
    with Library.open(base / ".assistant") as library:
        assert problems(library) == []
        return [replace(one, created_at="") for one in ExampleStore(library).find()]


def disturbed(base: Path, seconds: float, rng: random.Random, kills: int) -> int:
    """Kill so many runs, each at a random instant of an undisturbed run's time; how many had not ended."""
    hit = 0
    for _ in range(kills):
        process = start(base)
        time.sleep(rng.uniform(0.3, 1.0) * seconds)
        if process.poll() is None:
            hit += 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return hit


@pytest.mark.parametrize(
    ("rounds", "kills"),
    [pytest.param(2, 3, id="6 kills"), pytest.param(10, 3, id="30 kills", marks=pytest.mark.slow)],
)
@pytest.mark.timeout(600)
def test_killed_runs_end_as_an_undisturbed_one(tmp_path: Path, rounds: int, kills: int) -> None:
    plain = tmp_path / "plain"
    make_documents(plain / "docs", 8)
    with Library.create(plain / ".assistant") as library:
        ingest(library, plain / "docs")
    fresh = shutil.copytree(plain, tmp_path / "fresh")
    began = time.monotonic()
    report = finish(plain)
    seconds = time.monotonic() - began
    expected = contents(plain)
    assert sum(one.status == "accepted" for one in expected) >= 50
    rng = random.Random(rounds)
    hit = 0
    for number in range(rounds):
        base = shutil.copytree(fresh, tmp_path / f"round{number}")
        hits = disturbed(base, seconds, rng, kills)
        last = finish(base)
        # Nothing is told twice: a run that was done, and killed on its way out, leaves nothing to do.
        assert last in (report, {"accepted": 0, "rejected": {}})
        hit += hits
        assert contents(base) == expected
    assert hit >= rounds
