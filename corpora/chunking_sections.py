"""Sections of a document (same page, same heading), which of them may share a passage, and their headings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from corpora.records import Extracted, TokenCounter

SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text between two marks."""

    start: int
    end: int
    page: int | None
    heading: str | None


def sections(extracted: Extracted) -> list[Section]:
    """The text tiled by its marks; of marks at one place the last counts."""
    size = len(extracted.text)
    edges: dict[int, tuple[int | None, str | None]] = {0: (None, None)}
    for mark in extracted.marks:
        if mark.start < size:
            edges[max(0, mark.start)] = (mark.page, mark.heading or None)
    starts = sorted(edges)
    return [
        Section(start, end, *edges[start])
        for start, end in zip(starts, [*starts[1:], size], strict=True)
        if end > start
    ]


def may_share(before: Section, after: Section, *, before_tiny: bool, after_tiny: bool) -> bool:
    """May one passage cross from `before` into `after`? Only where their common heading says so.

    A tiny section may join the section nested in it (a title and what follows) or a tiny sibling
    under the same parent; sections of equal heading always may. Never across pages.
    """
    if before.page != after.page:
        return False
    if before.heading == after.heading:
        return True
    if not before_tiny:
        return False
    nested = before.heading is None or (after.heading or "").startswith(before.heading + SEPARATOR)
    return nested or (after_tiny and common_heading([before.heading, after.heading]) is not None)


def common_heading(headings: Iterable[str | None]) -> str | None:
    """The longest heading path that holds for all; None where there is none."""
    paths = [heading.split(SEPARATOR) if heading else [] for heading in dict.fromkeys(headings)]
    shared = paths[0]
    for path in paths[1:]:
        same = 0
        while same < min(len(shared), len(path)) and shared[same] == path[same]:
            same += 1
        shared = shared[:same]
    return SEPARATOR.join(shared) or None


class Headings:
    """Headings cut to a token budget, each counted once."""

    def __init__(self, count: Callable[[Sequence[str]], list[int]], budget: int) -> None:
        self._count = count
        self._budget = budget
        self._fitted: dict[str, tuple[str | None, int]] = {}

    def prepare(self, headings: Iterable[str | None]) -> None:
        """Count many headings in one batch."""
        new = [heading for heading in dict.fromkeys(headings) if heading and heading not in self._fitted]
        short = [heading for heading in new if len(heading) <= self._budget * 16]
        for heading, tokens in zip(short, self._count(short), strict=True):
            if tokens <= self._budget:
                self._fitted[heading] = (heading, tokens)
        for heading in new:
            if heading not in self._fitted:
                self._fitted[heading] = self._shorten(heading)

    def fit(self, heading: str | None) -> tuple[str | None, int]:
        """The heading as passages carry it, and its tokens."""
        if not heading:
            return None, 0
        self.prepare([heading])
        return self._fitted[heading]

    def _shorten(self, heading: str) -> tuple[str | None, int]:
        """Drop leading parts, then cut the last part at its end."""
        parts = heading.split(SEPARATOR)[-16:]
        paths = [SEPARATOR.join(parts[index:]) for index in range(1, len(parts))]
        paths = [path for path in paths if len(path) <= self._budget * 16]
        for path, tokens in zip(paths, self._count(paths), strict=True):
            if tokens <= self._budget:
                return path, tokens
        part = parts[-1][: self._budget * 16]
        fits: tuple[str | None, int] = (None, 0)
        low, high = 0, len(part)
        while low < high:
            middle = (low + high + 1) // 2
            tokens = self._count([part[:middle]])[0]
            if tokens <= self._budget and part[:middle].strip():
                fits, low = (part[:middle].strip(), tokens), middle
            else:
                high = middle - 1
        return fits


def counting(count_tokens: TokenCounter, fixed: int) -> Callable[[Sequence[str]], list[int]]:
    """Tokens of texts in batches of about a million characters, less the `fixed` ones of every text."""

    def count(texts: Sequence[str]) -> list[int]:
        counts: list[int] = []
        batch: list[str] = []
        size = 0
        for text in texts:
            batch.append(text)
            size += len(text)
            if size > 1_000_000 or len(batch) >= 16_384:
                counts.extend(count_tokens(batch))
                batch, size = [], 0
        if batch:
            counts.extend(count_tokens(batch))
        return [max(0, tokens - fixed) for tokens in counts]

    return count
