"""Sentences of a passage or an answer as exact spans, for English and Chinese prose, lists and tables."""

from __future__ import annotations

import re

from corpora.records import Span

_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|Mt|Ft|No|Nos|Vol|Fig|Figs|Eq|"
    r"Inc|Ltd|Co|Corp|Bros|vs|etc|approx|ca|cf|al|lit|e\.g|i\.e|a\.m|p\.m|U\.S|U\.K|U\.N|D\.C|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)|\b[A-Z])\.$"
)
_END = re.compile(
    r"[。！？｡]+[”’」』）】\"']*"  # Chinese and Japanese: no blank follows
    r"|[.!?]+[\"'”’)\]]*(?=\s|$)"
    r"|\n(?=\s*(?:\n|[-*+•]\s|\d+[.)]\s|#{1,6}\s|\||>\s))"  # a new block, list item, heading, table row
)
_BLOCK_LINE = re.compile(r"(?:#{1,6}\s|\|)[^\n]*$")


def sentences(text: str) -> list[Span]:
    """Spans of the sentences of `text`, in order, without the white space around them."""
    spans: list[Span] = []
    start = 0
    for end in [*_ends(text), len(text)]:
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        right = start + len(piece.rstrip())
        if right > left:
            spans.append(Span(left, right))
        start = end
    return spans


def _ends(text: str) -> list[int]:
    ends: list[int] = []
    for found in _END.finditer(text):
        if found[0][0] in ".!?" and not _closes(text, found.start(), found.end()):
            continue
        ends.append(found.end())
    # A heading or a table row ends with its line, whatever follows.
    for found in re.finditer(r"\n", text):
        line_start = text.rfind("\n", 0, found.start()) + 1
        if _BLOCK_LINE.match(text[line_start : found.start()].lstrip()):
            ends.append(found.end())
    return sorted(set(ends))


def _closes(text: str, dot: int, end: int) -> bool:
    """Whether the mark at `dot` ends a sentence rather than an abbreviation, a list number or a name."""
    line_start = text.rfind("\n", 0, dot) + 1
    before = text[max(line_start, dot - 12) : dot + 1]
    if re.fullmatch(r"\s*\d{1,3}\.", text[line_start : dot + 1]):
        return False
    following = text[end:].lstrip()[:1]
    if following.islower():
        return False
    return text[dot] != "." or not _ABBREVIATION.search(before)
