"""Mends the text that a PDF's page gives: odd spaces, wrapped lines, hyphens at line ends, garbage."""

from __future__ import annotations

import re
from typing import NamedTuple

_NOISE = re.compile("[\x00\x01\x03-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad]")
_SPACES = re.compile(r"[ \t\xa0\u2000-\u200a\u3000]+")
_IDEOGRAPH = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACED_OUT = re.compile(f"(?<![{_IDEOGRAPH}])(?:[{_IDEOGRAPH}] ){{2,}}[{_IDEOGRAPH}](?![{_IDEOGRAPH}])")
_ENDS_IDEOGRAPH = re.compile(f"[{_IDEOGRAPH}，、；：（“]$")
_BEGINS_IDEOGRAPH = re.compile(f"[{_IDEOGRAPH}]")
_GARBAGE = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff\x00\x01\x03-\x08\x0e-\x1f]|\\(cid:\\d+\\)")
_MOST_GARBAGE = 0.3  # of the characters that are no blanks
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# PDFium writes one of these for a hyphen at the end of a line and drops the line break.
_LINE_HYPHEN = re.compile("([^\\W\\d_]+)[\ufffe\x02]\n?([^\\W\\d_]+)")
_PLACE = re.compile(r"(?:page|slide|seite|folie|диапозитив|幻灯片|第)?\s*\d+\s*页?$", re.I)
# PDFium turns the letters of the ligature lam-alef round; where alef bears a sign, that can be told.
_TURNED_LAM_ALEF = re.compile("\u0627([\u0622\u0623\u0625])\u0644")
_FULL_LINE = 0.85  # of the page's widest line of ideographs
_NARROW = 24  # halfwidth columns; shorter lines are cells and labels


class Outlined(NamedTuple):
    """A title of the outline; level 1 is the outermost."""

    level: int
    title: str


def readable(text: str) -> bool:
    """Whether a page has text that means something: fonts without a map to Unicode give garbage."""
    visible = sum(not character.isspace() for character in text)
    garbage = sum(len(found[0]) for found in _GARBAGE.finditer(text))
    return visible > 0 and garbage <= _MOST_GARBAGE * visible


def mend_lines(text: str) -> str:
    """One blank for each run of blanks, no control characters, wrapped lines of ideographs made whole."""
    text = _NOISE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _TURNED_LAM_ALEF.sub("\u0627\u0644\\1", text)
    lines = [_SPACES.sub(" ", line).strip() for line in text.split("\n")]
    lines = [_SPACED_OUT.sub(lambda found: found[0].replace(" ", ""), line) for line in lines]
    widest = max((_width(line) for line in lines if _BEGINS_IDEOGRAPH.search(line)), default=0)
    whole: list[str] = []
    wraps = False
    for line in lines:
        if wraps and _BEGINS_IDEOGRAPH.match(line):
            whole[-1] += line
        elif line or (whole and whole[-1]):
            whole.append(line)
        width = _width(line)
        wraps = bool(_ENDS_IDEOGRAPH.search(line)) and width >= _NARROW and width >= _FULL_LINE * widest
    return "\n".join(whole).strip("\n")


def words_of(pages: list[str]) -> set[str]:
    """The words of a document, lower case, hyphenated ones also in parts; not those cut by a line end."""
    words: set[str] = set()
    for page in pages:
        for found in _WORD.finditer(_LINE_HYPHEN.sub(" ", page)):
            word = found[0].lower()
            words.add(word)
            words.update(word.split("-"))
    return words


def rejoin_hyphens(text: str, words: set[str]) -> str:
    """Words that were parted at line ends made whole; a hyphen of their own stays.

    `words`, those of the whole document, decide: "in-tended" is one word, "data-driven" keeps its hyphen
    where "data" and "driven" are words and "datadriven" is none.
    """

    def rejoined(found: re.Match[str]) -> str:
        first, second = found[1], found[2]
        if (first + second).lower() in words:
            return first + second
        halves = {first.lower(), second.lower()}
        own = f"{first}-{second}".lower() in words or (min(map(len, halves)) >= 3 and halves <= words)
        return f"{first}-{second}" if own or second[0].isupper() else first + second

    return re.sub("[\ufffe\x02]", "-", _LINE_HYPHEN.sub(rejoined, text))


def find_titles(text: str, titles: list[Outlined]) -> list[tuple[int, Outlined]]:
    """Where on a page each title stands, in order; at the last one's place where it is not found."""
    found: list[tuple[int, Outlined]] = []
    at = 0
    for title in titles:
        if _PLACE.match(title.title):
            continue
        pattern = r"\s*".join(map(re.escape, title.title.split()))
        place = re.compile(rf"^[^\S\n]*{pattern}", re.I | re.M).search(text, at)
        at = place.start() if place else at
        found.append((at, title))
    return found


def _width(line: str) -> int:
    return sum(2 if character >= "\u2e80" else 1 for character in line)
