"""What became of examples, drawn with bars that fit the terminal: by reason, and where in each document."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.terminal import clean_line, style

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHADES = "·░▒▓█"  # none, then by quarters of the most
_LONGEST_BAR = 40
_LONGEST_STRIP = 32
_NARROWEST_BAR = 4


@dataclass(frozen=True, slots=True)
class Covered:
    """How far a document is taught: `places` of the accepted quotes in its text, each in [0, 1)."""

    path: str
    split: str | None
    passages: int
    covered: int
    accepted: int
    places: Sequence[float]


def width() -> int:
    """Columns of the terminal, 80 where there is none."""
    return max(20, shutil.get_terminal_size().columns)


def tally_lines(counts: Mapping[str, int], columns: int, meaning: Mapping[str, str]) -> list[str]:
    """A line for each name, most frequent first: name, number, bar, and what it means where there is room."""
    if not counts:
        return []
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    names = max(_cells(name) for name in counts)
    digits = max(len(str(n)) for n in counts.values())
    room = columns - names - digits - 4
    bars = max(0, min(_LONGEST_BAR, room // 3 if any(name in meaning for name in counts) else room))
    lines = []
    for name, n in ordered:
        line = f"{_fitted(name, names)}  {n:>{digits}}"
        if bars >= _NARROWEST_BAR:
            line += f"  {_fitted(bar(n, ordered[0][1], bars), bars)}"
        left = columns - _cells(line) - 2
        if left >= 20 and name in meaning:
            line += f"  {_cut(meaning[name], left)}"
        lines.append(_cut(line.rstrip(), columns))
    return lines


def coverage_lines(documents: Sequence[Covered], columns: int) -> list[str]:
    """A line for each document: its split, passages with examples, where in the text they lie, its path."""
    if not documents:
        return []
    digits = max(len(f"{one.covered}/{one.passages}") for one in documents)
    splits = max(len(one.split or "-") for one in documents)
    strips = min(_LONGEST_STRIP, columns // 3, max(one.passages for one in documents))
    most = max(max(_counts(one.places, min(strips, one.passages)), default=0) for one in documents)
    lines = []
    for one in documents:
        share = f"{one.covered}/{one.passages}"
        line = f"{one.split or '-':{splits}}  {share:>{digits}}  "
        line += _fitted(strip(one.places, min(strips, one.passages), most), strips) + "  "
        left = columns - _cells(line)
        if left >= 8:
            line += _cut_left(clean_line(one.path), left)
        lines.append(_cut(line.rstrip(), columns))
    return lines


def bar(n: int, most: int, cells: int) -> str:
    """`n` as a bar of at most `cells` columns, `most` filling them; anything above 0 shows."""
    eighths = 0 if n <= 0 or most <= 0 else max(1, round(8 * cells * n / most))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def strip(places: Sequence[float], cells: int, most: int) -> str:
    """A text from start to end in `cells` columns, shaded by how many of `places` lie there, of `most`."""
    top = len(_SHADES) - 1
    return "".join(_SHADES[min(top, -(-n * top // max(1, most)))] for n in _counts(places, cells))


def _counts(places: Sequence[float], cells: int) -> list[int]:
    counts = [0] * cells
    for place in places:
        counts[min(cells - 1, max(0, int(place * cells)))] += 1
    return counts


def coloured(line: str) -> str:
    """A drawn line with its bars in colour, where standard output takes colour."""
    drawn = set(_EIGHTHS[1:] + _SHADES[1:])
    first = next((at for at, char in enumerate(line) if char in drawn), None)
    if first is None:
        return line
    last = next((at for at in range(first, len(line)) if line[at] not in drawn | {"·"}), len(line))
    return line[:first] + style(line[first:last], "36", sys.stdout) + line[last:]


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _fitted(text: str, cells: int) -> str:
    """`text` in exactly so many columns."""
    from rich.cells import set_cell_size

    return set_cell_size(text, cells)


def _cut(text: str, cells: int) -> str:
    return text if _cells(text) <= cells else _fitted(text, cells - 1).rstrip() + "…"


def _cut_left(text: str, cells: int) -> str:
    """The end of a long path, which tells more than its beginning."""
    if _cells(text) <= cells:
        return text
    while _cells(text) > cells - 1:
        text = text[1:]
    return f"…{text}"
