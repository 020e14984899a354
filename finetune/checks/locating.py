"""Where a quote stands in its passage, in spite of white space, case, width, quotation marks and dashes.

Both sides are folded character by character, so that each folded character knows its place: NFKD and case
folding (so `é` meets `e` with an accent behind it, full-width digits meet plain ones, ligatures open);
white space and invisible characters (soft hyphens, zero-width spaces) go; quotation marks are one mark,
dashes are one dash, and a dash between letters goes (`well-known`, and words broken at a line's end).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from corpora.examples import Quote
from corpora.records import Passage, Span
from finetune.candidates import Claimed

_WRAPPING = " \t\r\n\v\f\u3000\"'`“”‘’„«»「」『』…-–—"
_QUOTES = frozenset("\"'`´‘’‚‛“”„‟«»‹›「」『』＂＇")
_DASH, _QUOTE = "-", "'"


@dataclass(frozen=True, slots=True)
class Folded:
    """`text[i]` comes from character `places[i]` of the original."""

    text: str
    places: tuple[int, ...]


@lru_cache(maxsize=512)
def fold(text: str) -> Folded:
    """`text` as it is compared (see the module's text)."""
    chars: list[str] = []
    places: list[int] = []
    for at, char in enumerate(text):
        for part in _folded(char):
            chars.append(part)
            places.append(at)
    kept = [at for at in range(len(chars)) if not _joins_letters(chars, at)]
    return Folded("".join(chars[at] for at in kept), tuple(places[at] for at in kept))


def find_quote(quote: str, text: str, near: int = 0) -> Span | None:
    """The span of `text` that says `quote`, of several the one whose start is nearest to `near`.

    It begins and ends with whole words. None where there is none, or nothing is left of `quote`.
    """
    wanted = fold(quote.strip(_WRAPPING)).text
    if not any(char.isalnum() for char in wanted):
        return None
    there = fold(text)
    best: Span | None = None
    at = there.text.find(wanted)
    while at >= 0:
        span = _span(there, text, at, at + len(wanted))
        if span is not None and (best is None or abs(span.start - near) < abs(best.start - near)):
            best = span
        at = there.text.find(wanted, at + 1)
    return best


def holds(text: str, part: str) -> bool:
    """Whether `part` stands in `text`, as whole words."""
    return find_quote(part, text) is not None


def locate(claimed: Claimed, versions: Mapping[str, str]) -> Quote | None:
    """`claimed` as a span of its document, `versions` giving the sha256 of each document by id.

    None where the quote is not in the passage, or the document is not known.
    """
    passage, sha256 = claimed.passage, versions.get(claimed.passage.document_id)
    if sha256 is None:
        return None
    start = claimed.start
    if start is not None and start >= 0 and claimed.text and passage.text.startswith(claimed.text, start):
        return _quote(passage, sha256, Span(start, start + len(claimed.text)))
    span = find_quote(claimed.text, passage.text, start or 0)
    return None if span is None else _quote(passage, sha256, span)


def _quote(passage: Passage, sha256: str, span: Span) -> Quote:
    return Quote(
        document_id=passage.document_id,
        path=passage.path,
        sha256=sha256,
        passage_id=passage.id,
        start=passage.start + span.start,
        end=passage.start + span.end,
        text=passage.text[span.start : span.end],
    )


@lru_cache(maxsize=8192)
def _folded(char: str) -> str:
    if char in _QUOTES:
        return _QUOTE
    category = unicodedata.category(char)
    if category == "Pd" or char == "\u2212":
        return _DASH
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(part for part in plain if not part.isspace() and unicodedata.category(part) not in _UNSEEN)


_UNSEEN = frozenset(("Cf", "Cc"))


def _joins_letters(chars: list[str], at: int) -> bool:
    return (
        chars[at] == _DASH and 0 < at < len(chars) - 1 and chars[at - 1].isalpha() and chars[at + 1].isalpha()
    )


def _span(there: Folded, text: str, first: int, last: int) -> Span | None:
    """Folded characters [first, last) as a span of the original; None where it would cut a word."""
    places = there.places
    start, end = places[first], places[last - 1] + 1
    if first and places[first - 1] == start:
        return None
    if last < len(places) and places[last] == end - 1:
        return None
    if end < len(text) and unicodedata.combining(text[end]):
        return None
    cuts = _inside_word(text, start) or _inside_word(text, end)
    return None if cuts else Span(start, end)


_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def _inside_word(text: str, at: int) -> bool:
    """Whether a word (or number) goes on across `at`; scripts without spaces have no such words."""
    if not 0 < at < len(text):
        return False
    before, behind = text[at - 1], text[at]
    if before.isdigit() and behind.isdigit():
        return True
    return before.isalnum() and behind.isalnum() and not (_UNSPACED.match(before) or _UNSPACED.match(behind))
