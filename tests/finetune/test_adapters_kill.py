"""Putting in, choosing, going back and taking out, killed at every step: all or nothing, and no debris."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import taught_library
from adapter_makers import put, write, write_base

from finetune.adapters.active import choose

HERE = Path(__file__).parent


def test_a_kill_at_any_step_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    texts = {"a.md": ["One."], "b.md": ["Two."]}
    with taught_library.make(tmp_path / ".assistant", texts, settle=False) as library:
        for name in ("b", "a"):
            put(library, base, name)
            choose(library, "small", name)
    write(tmp_path / "made" / "new", base)
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, HERE / "adapters_driver.py", tmp_path / ".assistant", tmp_path / "made/new", work],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for change, counts in report.items():
        assert counts["kills"] >= 1 and counts["before"] >= 1, (change, counts)
    for change in ("install", "remove"):
        assert report[change]["kills"] >= 10 and report[change]["after"] >= 1, report[change]
