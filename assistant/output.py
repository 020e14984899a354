"""Data to standard output: JSON lines or cleaned text."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any


def emit_json(value: Mapping[str, Any]) -> None:
    """One compact UTF-8 JSON object on a line; lone surrogates of odd file names become U+FFFD."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def emit_text(text: str) -> None:
    """A line of text, cleaned of everything that a terminal would act on."""
    from assistant.terminal import clean

    sys.stdout.buffer.write(clean(text).encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
