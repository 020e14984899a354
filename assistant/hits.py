"""Search results for people: rank, score, place, heading, and the part of the passage that matches."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from assistant.answer.screen import passage_place
from assistant.terminal import clean_line, file_link, style
from corpora.records import ScoredPassage
from index.words import query_words

_SNIPPET = 240  # characters
_BEFORE = 60  # of them before the first match


class HitScreen:
    """Writes results to standard output."""

    def __init__(self, root: Path, *, links: bool) -> None:
        self._root = root
        self._links = links
        self._out = sys.stdout

    def show(self, query: str, hits: Sequence[ScoredPassage], *, titled: bool) -> None:
        """The results of one query, below the query itself when `titled`."""
        if titled:
            self._line(style(clean_line(query), "1", self._out))
        if not hits:
            self._line(style("Nothing found.", "2", self._out))
        pattern = matching(query)
        for hit in hits:
            self._hit(hit, pattern)

    def _hit(self, hit: ScoredPassage, pattern: re.Pattern[str] | None) -> None:
        label = passage_place(hit.passage)
        place = clean_line(label)
        if self._links:
            place = file_link(label, str(self._root / hit.passage.path), self._out)
        heading = style(clean_line(f"  {hit.passage.heading}"), "2", self._out) if hit.passage.heading else ""
        self._line(f"{hit.rank:3}  {hit.score:.3f}  {place}{'  ' if heading else ''}{heading}")
        parts = snippet(hit.passage.text, pattern)
        self._line("     " + "".join(style(text, "1", self._out) if bold else text for text, bold in parts))

    def _line(self, text: str) -> None:
        """A line whose untrusted parts are clean already."""
        self._out.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")
        self._out.flush()


def matching(query: str) -> re.Pattern[str] | None:
    """A pattern of words that the lexical index would take for those of the query, near enough to show."""
    found: set[str] = set()
    for word in query_words(query):
        if not word.isascii():
            if len(word) > 1:
                found.add(re.escape(word))
        elif len(word) > 1:
            stem = re.escape(word[: max(4, len(word) - 3)])
            found.add(rf"\b{stem}\w*" if len(word) > 4 else rf"\b{stem}(?:e?s|ed|ing)?\b")
    if not found:
        return None
    return re.compile("|".join(sorted(found, key=len, reverse=True)), re.IGNORECASE)


def snippet(text: str, pattern: re.Pattern[str] | None) -> list[tuple[str, bool]]:
    """About 240 characters around the first match, cleaned, in parts: (text, whether it matches)."""
    line = clean_line(text)
    first = pattern.search(line) if pattern else None
    start = 0
    if first is not None and first.end() > _SNIPPET - _BEFORE:
        start = line.rfind(" ", 0, max(0, first.start() - _BEFORE)) + 1 or max(0, first.start() - _BEFORE)
    shown = line[start : start + _SNIPPET]
    parts = [("…", False)] if start else []
    at = 0
    for match in pattern.finditer(shown) if pattern else ():
        parts += [(shown[at : match.start()], False), (match[0], True)]
        at = match.end()
    parts.append((shown[at:], False))
    if start + _SNIPPET < len(line):
        parts.append(("…", False))
    return [part for part in parts if part[0]]
