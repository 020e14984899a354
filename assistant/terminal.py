"""The one sanitiser: untrusted text (documents, file names, model output, errors) passes it to a terminal.

Removed are C0 and C1 controls but newline and tab, DEL, bidirectional controls, zero-width and tag
characters, lone surrogates and line separators: what could move the cursor, write the clipboard, set a
title, open a link, or make text look like other text (OWASP LLM10:2026; payloads: vercel/ai#20052).
"""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO
from urllib.parse import quote

_ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC, also one that never ends
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\|\x9c)?"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[ -/]*[0-~]?"  # any other escape
)
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """`text` with nothing in it that a terminal would act on; newlines and tabs stay."""
    return _UNSAFE.sub("", _ESCAPE_SEQUENCES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def clean_line(text: str) -> str:
    """As `clean`, on one line: for file names, titles and error messages."""
    return " ".join(clean(text).split())


def colour(stream: TextIO) -> bool:
    """Whether escapes of our own may go to `stream`: a terminal, no NO_COLOR, not a dumb one."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, code: str, stream: TextIO) -> str:
    """Cleaned `text` in an SGR style ("1" bold, "2" dim, "31" red) where `stream` takes one."""
    safe = clean(text)
    return f"\x1b[{code}m{safe}\x1b[0m" if colour(stream) else safe


def file_link(label: str, path: str, stream: TextIO) -> str:
    """`label` as an OSC 8 link to an absolute file path, where `stream` takes one."""
    safe = clean_line(label)
    if not colour(stream):
        return safe
    return f"\x1b]8;;file://{quote(path)}\x1b\\{safe}\x1b]8;;\x1b\\"


def say(text: str) -> None:
    """One message line to standard error."""
    print(clean(text), file=sys.stderr, flush=True)  # noqa: T201 - this is the door


def shortened(text: str, length: int) -> str:
    """`text` cleaned, on one line, of at most `length` characters."""
    line = clean_line(text)
    return line if len(line) <= length else line[: max(0, length - 1)].rstrip() + "…"
