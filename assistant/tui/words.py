"""Untrusted text as Textual shows it: cleaned, never parsed as markup, with our own styles only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from textual.content import Content
from textual.style import Style

from assistant import terminal
from assistant.answer.screen import place
from assistant.terminal import clean, clean_line
from corpora.records import Citation, Passage, ScoredPassage, Span

DIM = "dim"
STRONG = "bold"
CITED = "bold underline $text-accent"
HIGHLIGHT = "reverse bold"

_MARKER = re.compile(r"\[(\d{1,3})\]")  # as answers show it once it is checked


def text(value: str, style: str = "") -> Content:
    """`value` with its line breaks."""
    return Content.styled(clean(value), style)


def line(value: str, style: str = "", limit: int | None = None) -> Content:
    """`value` on one line, of at most `limit` characters."""
    return Content.styled(shortened(value, limit), style)


def shortened(value: str, limit: int | None = None) -> str:
    """`value` cleaned, on one line, of at most `limit` characters."""
    return clean_line(value) if limit is None else terminal.shortened(value, limit)


def shortened_path(value: str, limit: int) -> str:
    """The end of a long path, which tells more than its beginning."""
    short = clean_line(value)
    return short if len(short) <= limit else "…" + short[len(short) - max(0, limit - 1) :]


def joined(parts: Iterable[Content], separator: str) -> Content:
    """The parts that hold anything, with `separator` between them."""
    return Content(separator).join(part for part in parts if part)


def answer(value: str, markers: Iterable[int], action: str = "cite") -> Content:
    """An answer in which each `[n]` of `markers` can be clicked, which runs `action(n)` of its widget."""
    known = set(markers)
    parts: list[Content] = []
    end = 0
    whole = clean(value)
    for found in _MARKER.finditer(whole):
        number = int(found[1])
        if number in known:
            parts += [Content(whole[end : found.start()]), clickable(found[0], f"{action}({number})", CITED)]
            end = found.end()
    return Content.assemble(*parts, whole[end:])


def clickable(value: str, action: str, style: str = "") -> Content:
    """One line that runs `action`, a text of our own, when it is clicked."""
    label = Content.styled(clean_line(value), style)
    return label.stylize(Style.from_meta({"@click": action}))


def passage(value: str, spans: Sequence[Span]) -> Content:
    """The text of a passage with `spans` of it highlighted; cleaning does not move them."""
    parts: list[Content] = []
    end = 0
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        start = max(end, span.start)
        if span.end <= start:
            continue
        parts += [text(value[end:start]), text(value[start : span.end], HIGHLIGHT)]
        end = span.end
    return Content.assemble(*parts, text(value[end:]))


def where(found: Citation | Passage) -> str:
    """`path:line`, or `path p.N` where the document has pages; not cleaned."""
    return place(found.path, found.page, found.line_start)


def score(hit: ScoredPassage) -> str:
    """The scores of a passage, those that there are."""
    parts = [f"{hit.score:.3f}"]
    if hit.dense is not None:
        parts.append(f"meaning {hit.dense:.2f}")
    if hit.lexical is not None:
        parts.append(f"words {hit.lexical:.2f}")
    return " · ".join(parts)
