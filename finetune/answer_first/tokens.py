"""Words of an English sentence with their places, cut as the Penn Treebank cuts them.

Differs from it in one thing: a hyphenated word stays one token ("full-sized").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[^\W\d_]+"
_TOKEN = re.compile(
    r"(?P<code>`[^`\n]{1,80}`)"
    r"|(?P<url>https?://[^\s<>()]{1,300}|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4})"
    r"|(?P<short>(?:[A-Z]\.){2,6}|(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Gen|Col|Lt|Rev|Hon|No|Vol|vs|etc|ca|c|e\.g|i\.e|"
    r"a\.m|p\.m|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|[A-Z])\.(?=\s|,|$))"
    r"|(?P<code_name>[A-Z]{1,4}\.\d+)"
    r"|(?P<money>US\$|A\$|C\$|HK\$|[$€£¥])"
    r"|(?P<number>\d+(?:[.,:/]\d+)*(?:[–-]\d+(?:[.,]\d+)*)*(?:st|nd|rd|th|s\b)?(?:-[^\W\d_]+)*%?)"
    r"|(?P<clitic>['’](?:s|re|ve|ll|d|m)\b|['’](?=\s|$|[,.;:]))"
    rf"|(?P<word>{_WORD}(?:\d+{_WORD}?)?(?:[-‐‑&/]\w+|['’](?!s\b|re\b|ve\b|ll\b|d\b|m\b)[^\W\d_]+|\d+)*)"
    r"|(?P<dash>--+|—|–|-)|(?P<dots>\.\.+|…)|(?P<mark>\S)",
    re.UNICODE,
)
_NOT = re.compile(r"(?i)(.+)(n['’]t)$")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or mark at [start, end) of the text it was cut from, with its Penn Treebank tag."""

    text: str
    start: int
    end: int
    tag: str = ""

    @property
    def low(self) -> str:
        return self.text.casefold()


def tokens(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """The tokens of text[start:end] in order, untagged; offsets count from the beginning of `text`."""
    cut: list[Token] = []
    for found in _TOKEN.finditer(text, start, len(text) if end is None else end):
        word, at = found[0], found.start()
        parts = _NOT.fullmatch(word) if found.lastgroup == "word" else None
        if parts:
            middle = at + len(parts[1])
            cut += [Token(parts[1], at, middle), Token(parts[2], middle, found.end())]
        elif word.casefold() == "cannot":
            cut += [Token(word[:3], at, at + 3), Token(word[3:], at + 3, found.end())]
        elif word.endswith("%") and len(word) > 1:
            cut += [Token(word[:-1], at, found.end() - 1), Token("%", found.end() - 1, found.end())]
        else:
            cut.append(Token(word, at, found.end()))
    return cut
