"""Replies as text that can be stored and shown: they are untrusted."""

from __future__ import annotations

import re

# Control characters, lone surrogates, and the marks that turn the direction of a text or hide in it.
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_INVISIBLE = "\u200b\u202a-\u202e\u2060-\u2069\ufeff"
_UNFIT = re.compile(f"[{_CONTROL}{_INVISIBLE}\ud800-\udfff]")
_BREAK = re.compile(r"\r\n?|[\u2028\u2029]")


def tidy(text: str) -> str:
    """`text` without characters that no reader sees, lines ended by a newline."""
    return _UNFIT.sub("", _BREAK.sub("\n", text)).replace("\xa0", " ")
