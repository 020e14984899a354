"""The progress bar: on a terminal, for work over a second, and never a way in for escapes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import textwrap

import pytest

from assistant.progress import progress

PROGRAM = """
    import sys, time
    from assistant.progress import progress
    with progress("Encoding", 5) as bar:
        for _ in range(5):
            time.sleep(float(sys.argv[1]))
            bar.advance(1, "docs/e\\x1b]0;title\\x07\\u202evil.txt")
    print("rich" in sys.modules)
"""


def on_a_terminal(pause: float, **variables: str) -> tuple[str, str]:
    """What a program writes to a terminal as its standard error, and its standard output."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **variables}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(pause)],
        stdout=subprocess.PIPE,
        stderr=slave,
        env=environment,
        text=True,
    )
    os.close(slave)
    written = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        written += part
    output, _ = process.communicate(timeout=30)
    os.close(master)
    return written.decode(), output


def test_a_bar_is_shown_for_long_work_and_file_names_are_cleaned() -> None:
    written, _ = on_a_terminal(0.4)
    assert "Encoding" in written
    assert "docs/evil.txt" in written
    assert "title" not in written
    assert "\u202e" not in written


def test_no_color_keeps_the_bar_without_colours() -> None:
    written, _ = on_a_terminal(0.4, NO_COLOR="1")
    assert "Encoding" in written
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", written)


@pytest.mark.parametrize(("pause", "variables"), [(0.0, {}), (0.4, {"TERM": "dumb"})])
def test_short_work_and_plain_terminals_show_nothing(pause: float, variables: dict[str, str]) -> None:
    written, output = on_a_terminal(pause, **variables)
    assert written == ""
    assert output == "False\n"


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Encoding", 2) as bar:
        bar.advance(2, "a")
    assert bar.done == 2
    assert capsys.readouterr().err == ""
