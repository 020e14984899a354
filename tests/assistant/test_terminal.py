"""Nothing untrusted moves the cursor, writes the clipboard, opens a link or reorders text."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.terminal import clean, clean_line, file_link, style

PAYLOADS = {
    "clipboard": "a\x1b]52;c;ZXZpbA==\x07b",
    "clipboard, 8-bit": "a\x9d52;c;ZXZpbA==\x9cb",
    "title": "a\x1b]0;owned\x1b\\b",
    "link": "a\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\b",
    "never ending OSC": "a\x1b]0;owned",
    "device control": "a\x1bPq#0\x1b\\b",
    "application command": "a\x1b_G...\x1b\\b",
    "cursor": "a\x1b[2J\x1b[H\x1b[1;1Hb",
    "cursor, 8-bit": "a\x9b2Jb",
    "report to stdin": "a\x1b[6nb",
    "reset": "a\x1bcb",
    "charset": "a\x1b(0b",
    "carriage return": "safe\rEVIL",
    "backspace": "a\x08\x08b",
    "bidi override": "a\u202egpj.exe\u202cb",
    "bidi isolate": "a\u2066b\u2069",
    "zero width": "a\u200bb\u200db\ufeff",
    "tags": "a" + "".join(chr(0xE0000 + ord(c)) for c in "ignore") + "b",
    "line separator": "a\u2028b\u2029c",
    "nul": "a\x00b",
    "lone surrogate": "a\udcffb",
}


def unsafe(text: str) -> list[str]:
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t"]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_payloads_lose_their_teeth(payload: str) -> None:
    assert unsafe(clean(payload)) == []
    assert "ZXZpbA" not in clean(payload)
    assert "\n" not in clean_line(payload + "\nsecond")


@given(
    st.text(alphabet=st.characters(), max_size=60) | st.text("\x1b\x9b\x9d]P[;0m\x07\\8azé中", max_size=60)
)
def test_no_control_survives_and_cleaning_is_idempotent(text: str) -> None:
    once = clean(text)
    assert unsafe(once) == []
    assert clean(once) == once


@given(st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=80))
def test_ordinary_text_passes_unchanged(text: str) -> None:
    assert clean(text) == "".join(c for c in text if not is_invisible(c))


def is_invisible(character: str) -> bool:
    return character in "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters by category, blank on screen


def test_styles_and_links_only_where_the_stream_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.StringIO()
    assert style("bold", "1", plain) == "bold"
    assert file_link("a.md:3", "/x/a.md", plain) == "a.md:3"
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert style("bold\x1b[5m", "1", terminal) == "\x1b[1mbold\x1b[0m"
    linked = file_link("a\x07.md", "/x/\x1b]8;;\x07 é.md", terminal)
    assert linked == "\x1b]8;;file:///x/%1B%5D8%3B%3B%07%20%C3%A9.md\x1b\\a.md\x1b]8;;\x1b\\"
    monkeypatch.setenv("NO_COLOR", "1")
    assert style("bold", "1", terminal) == "bold"
