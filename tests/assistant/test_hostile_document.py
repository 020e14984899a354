"""A document full of terminal payloads, in text, headings and file name, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

ASSISTANT = Path(sys.executable).with_name("assistant")
PAYLOADS = (
    "\x1b]52;c;ZXZpbA==\x07",
    "\x9d52;c;ZXZpbA==\x9c",
    "\x1b]0;owned\x1b\\",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\x1b[6n",
    "\x1bc",
    "\x1bP1;2q\x1b\\",
    "\u202egpj.exe\u202c",
    "\u2066iso\u2069",
    "\u200b\u200d\ufeff",
    "\U000e0069\U000e0067",
    "[@click=app.quit]x[/] [red]y[/red] [link=file:///etc/passwd]z",
    "\x07\x08\x00",
)
OURS = re.compile(rb"\x1b\[[0-9;]*m|\x1b\]8;;(?:file://[!-~]*)?\x1b\\|\x1b\[\?25[lh]|\x1b\[\d*[A-K]")
UNTRUSTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, weights_cache: Path) -> Path:
    work = tmp_path_factory.mktemp("hostile")
    docs = work / "docs"
    docs.mkdir()
    text = "".join(f"\n# Lighthouse {p}\n\nThe lighthouse {p} stands on a rock. {p}\n" for p in PAYLOADS)
    for name in ("plain.md", "na\x1b]0;owned\x07me\u202e.md", "data.json", "page.html"):
        body = f"<h1>Lighthouse</h1><p>{text}</p>" if name.endswith("html") else text
        (docs / name).write_text(body, "utf-8", errors="replace")
    environment = {**os.environ, "XDG_CACHE_HOME": str(weights_cache)}
    subprocess.run([ASSISTANT, "ingest", "docs"], cwd=work, env=environment, check=False, capture_output=True)
    assert (work / ".assistant" / "library.db").is_file()
    return work


def on_a_terminal(work: Path, cache: Path, *arguments: str) -> bytes:
    """All bytes that a command writes to a pseudo-terminal (stdout and stderr)."""
    master, slave = pty.openpty()
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [ASSISTANT, *arguments], cwd=work, env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen = bytearray()
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        elif process.poll() is not None:
            break
    process.kill()
    process.wait()
    os.close(master)
    return bytes(seen)


@pytest.mark.models
@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "lighthouse", "-k", "20"),
        ("ask", "--extractive", "Where does the lighthouse stand?"),
        ("documents", "list"),
        ("documents", "show", "docs/plain.md", "--text"),
        ("documents", "show", "docs/page.html", "--text"),
        ("status",),
        ("doctor",),
        ("ingest", "docs"),
        ("documents", "show", "docs/\x1b]0;x\x07nothing"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]).encode("ascii", "ignore").decode(),
)
def test_no_untrusted_byte_reaches_a_terminal(
    library: Path, weights_cache: Path, arguments: tuple[str, ...]
) -> None:
    raw = on_a_terminal(library, weights_cache, *arguments)
    assert len(raw) > 20
    rest = OURS.sub(b"", raw).decode("utf-8")
    assert UNTRUSTED.findall(rest) == []
    assert b"]52;" not in raw
    assert b"evil.example\x1b" not in raw
