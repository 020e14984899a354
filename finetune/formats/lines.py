"""The rows of a JSONL file, which anybody may have written: lines of bounded length, one value each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

LONGEST_LINE = 4 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a file at `place` ("17", "train 17"): its value, or what is wrong with it."""

    place: str
    value: Any = None
    problem: str | None = None


def read_lines(stream: IO[bytes]) -> Iterator[Line]:
    """The rows of a JSONL file. Blank lines are none; a line over 4 MiB is bad, whatever it holds."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE)
            yield Line(str(number), problem=f"longer than {LONGEST_LINE >> 20} MiB")
        elif line.strip():
            yield _line(str(number), line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)


def _line(place: str, line: bytes) -> Line:
    try:
        return Line(place, json.loads(line.decode("utf-8"), parse_constant=_no_number))
    except UnicodeDecodeError:
        return Line(place, problem="not UTF-8")
    except (ValueError, RecursionError):
        return Line(place, problem="not JSON")


def _no_number(name: str) -> None:
    raise ValueError(name)
