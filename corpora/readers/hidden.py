"""Removes what a reader of the page would not see: invisible and control characters, counted.

Removed: C0 and C1 controls other than newline and tab, terminal escape sequences, zero-width and BiDi
characters, tag characters (U+E0000 block), soft hyphens, fillers, stray variation selectors, lone
surrogates and noncharacters. They can carry instructions or data that nobody sees (OWASP LLM01, LLM09).

Kept, because the visible text needs them:
- ZWNJ and ZWJ after a letter or sign of a joining script (Arabic, Syriac, N'Ko, Mongolian, Indic), ZWJ
  also between emoji;
- ZWSP between letters of scripts written without spaces (Thai, Lao, Khmer, Myanmar), where it parts words;
- one variation selector after a symbol, digit, `#`, `*` (emoji or text look), ideograph or Mongolian letter.

`\\f`, `\\v`, NEL, U+2028 and U+2029 become newlines, and so do `\\r\\n` and `\\r`; newlines are not counted.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate

from corpora.records import Extracted, Mark, Span

_ESCAPE = r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)"
_INVISIBLE = (
    "[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\ud800-\udfff]+"
)
_NEEDED_AT_TIMES = "[\u180b-\u180f\u200b-\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_HIDDEN = re.compile(f"{_ESCAPE}|{_INVISIBLE}|{_NEEDED_AT_TIMES}|\x1b")
_OTHER_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")

_JOINING = re.compile(
    "[\u0600-\u07ff\u0840-\u08ff\u0900-\u0dff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1800-\u18af"
    "\u1900-\u1aaf\u1b00-\u1c4f\ua800-\ua8ff\ua980-\uaadf\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010fff\U00011000-\U00011fff\U0001e900-\U0001e95f]"
)
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf]")
_IDEOGRAPH = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_VIRAMA = 9  # canonical combining class


def strip_hidden(extracted: Extracted) -> Extracted:
    """`extracted` without hidden characters: marks and blocks moved along, the count added to its own."""
    extracted = replace(extracted, marks=_clean_headings(extracted.marks))
    text = _OTHER_NEWLINES.sub(_same_length_newline, extracted.text)
    removed = [(found.start(), found.end()) for found in _HIDDEN.finditer(text) if not _needed(text, found)]
    removed += [(at, at + 1) for at in _carriage_returns(text)]
    if not removed:
        return extracted if text is extracted.text else replace(extracted, text=text)
    removed.sort()
    shifted = _Shift(removed)
    pieces, last = [], 0
    for start, end in removed:
        pieces.append(text[last:start])
        last = end
    pieces.append(text[last:])
    hidden = sum(end - start for start, end in removed if text[start] != "\r")
    return replace(
        extracted,
        text="".join(pieces),
        marks=tuple(replace(mark, start=shifted(mark.start)) for mark in extracted.marks),
        blocks=tuple(Span(shifted(span.start), shifted(span.end)) for span in extracted.blocks),
        hidden_removed=extracted.hidden_removed + hidden,
    )


def visible(text: str) -> str:
    """`text` without hidden characters, for titles and names."""
    return strip_hidden(Extracted(text, "txt")).text


def _clean_headings(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    headings = {mark.heading for mark in marks if mark.heading}
    cleaned = {heading: " ".join(visible(heading).split()) or None for heading in headings}
    return tuple(replace(mark, heading=cleaned.get(mark.heading or "")) for mark in marks)


def _same_length_newline(found: re.Match[str]) -> str:
    # "\r\n" keeps its "\r" here, so that offsets stay true until everything is cut at once.
    return "\r\n" if len(found[0]) == 2 else "\n"


def _carriage_returns(text: str) -> list[int]:
    return [found.start() for found in re.finditer("\r", text)]


class _Shift:
    """Maps an offset in the old text to the new one; inside a removed run it is where the run was."""

    def __init__(self, removed: list[tuple[int, int]]) -> None:
        self._starts = [start for start, _ in removed]
        self._removed = removed
        self._before = [0, *accumulate(end - start for start, end in removed)]

    def __call__(self, offset: int) -> int:
        at = bisect_right(self._starts, offset)
        if at == 0:
            return offset
        _, end = self._removed[at - 1]
        return offset - self._before[at] + max(0, end - offset)


def _needed(text: str, found: re.Match[str]) -> bool:
    at, character = found.start(), found[0]
    if at == 0 or len(character) > 1:
        return False
    before, after = text[at - 1], text[at + 1 : at + 2]
    if character in "\u200c\u200d":
        return _joiner_needed(text, at, before, after, character)
    if character == "\u200b":
        return bool(_UNSPACED.match(before) and _UNSPACED.match(after))
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return bool(before in "#*0123456789" or _IDEOGRAPH.match(before) or _symbol(before))
    return "\u180b" <= character <= "\u180f" and "\u1800" <= before <= "\u18aa"


def _joiner_needed(text: str, at: int, before: str, after: str, character: str) -> bool:
    if _JOINING.match(before):
        return bool(_JOINING.match(after)) or unicodedata.combining(before) == _VIRAMA
    if character == "\u200d" and after:
        base = text[at - 2] if before == "\ufe0f" and at >= 2 else before
        return _symbol(base) and _symbol(after)
    return False


def _symbol(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Sk", "Sm", "Po"} and character > "\x7f"
