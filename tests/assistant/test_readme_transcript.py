"""What README shows is what the installed command prints, with the embedded models."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("assistant")
_SECONDS = re.compile(r" \(\d+\.\d s\)$")
_ANSWER = re.compile(r"^.* (?=(?:\[\d\])+$)")  # its words may differ between processors


def transcript() -> list[tuple[list[str], list[str]]]:
    """Commands with the lines that README has under them."""
    text = (REPOSITORY / "README.md").read_text("utf-8")
    lines = text.split("<!-- transcript -->", 1)[1].split("```", 2)[1].strip().splitlines()[1:]
    shown: list[tuple[list[str], list[str]]] = []
    for command, group in groupby(lines, lambda line: line.startswith("$ ")):
        if command:
            shown += [(shlex.split(line)[1:], []) for line in group]
        else:
            shown[-1][1].extend(group)
    return shown


def comparable(line: str) -> str:
    return _ANSWER.sub("ANSWER ", _SECONDS.sub("", line))


@pytest.mark.models
@pytest.mark.timeout(300)
def test_the_transcript_of_the_readme_is_what_is_printed(embedded_models: Path, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "corpora" / "handbook", tmp_path / "corpora" / "handbook")
    shown = transcript()
    assert len(shown) == 3 and all(lines for _, lines in shown)
    for (program, *words), lines in shown:
        assert program == "assistant"
        done = subprocess.run(
            [PROGRAM, *words], cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=200
        )
        assert done.returncode in (0, 3), done.stderr
        assert [comparable(line) for line in done.stdout.splitlines()] == [comparable(one) for one in lines]
