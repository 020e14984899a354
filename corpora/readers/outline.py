"""Where headings, tables and code blocks lie in Markdown, reStructuredText, AsciiDoc and Org text.

One pass over the lines each; no markup is removed, so every offset is one of the text itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from corpora.readers.builder import HeadingPath
from corpora.records import Mark, Span


@dataclass(frozen=True, slots=True)
class Outline:
    """Marks of the headings and spans of the blocks, both sorted by start."""

    marks: tuple[Mark, ...] = ()
    blocks: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    text: str

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def may_be_heading(self) -> bool:
        return len(self.text) <= _LONGEST_HEADING


_LONGEST_HEADING = 1000  # characters of a line; also keeps the patterns below quick
_LONGEST_TABLE = 5000  # lines

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"\s{0,12}(?:[-*+>] +)?(`{3,}|~{3,})(.*)$")
_TABLE_RULE = re.compile(r"\s{0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_NOT_PARAGRAPH = re.compile(r"\s*(?:[-*+>|#]|\d{1,9}[.)] |$)|    ")
_INLINE_LINK = re.compile(
    r"!?\[([^\[\]]{0,200})\](?:\([^()\s]{0,500}(?:\s+\"[^\"]{0,200}\")?\)|\[[^\]]{0,80}\])?"
)
_ATTRIBUTES = re.compile(r"\s*\{[#.][^{}]{0,120}\}\s*$")

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*$")
_RST_BLOCK = re.compile(
    r"\s*\.\. (?:code-block|code|sourcecode|parsed-literal|literalinclude|math|csv-table|list-table)::"
)
_GRID_RULE = re.compile(r"\s*\+(?:[-=]{2,}\+)+\s*$")
_SIMPLE_RULE = re.compile(r"\s*={2,}(?: +={2,})+\s*$")

_ASCIIDOC_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+=+)?[ \t]*$")
_ASCIIDOC_FENCE = re.compile(r"(-{4,}|\.{4,}|/{4,}|\+{4,}|\|={3,}|`{3,})[ \t]*\S*$")
_ORG_HEADING = re.compile(r"(\*{1,8})[ \t]+(\S.*?)(?:[ \t]+:[\w@:]+:)?[ \t]*$")
_ORG_BEGIN = re.compile(r"\s*#\+begin_(src|example|verse)", re.I)
_ORG_END = re.compile(r"\s*#\+end_(src|example|verse)", re.I)


def _lines(text: str) -> list[_Line]:
    lines, start = [], 0
    for line in text.split("\n"):
        lines.append(_Line(start, line))
        start += len(line) + 1
    return lines


class _Collector:
    def __init__(self, path: HeadingPath | None = None) -> None:
        self.path = path or HeadingPath()
        self.marks: list[Mark] = []
        self.blocks: list[Span] = []

    def heading(self, line: _Line, level: int, title: str) -> None:
        self.marks.append(Mark(line.start, heading=self.path.enter(level, _plain(title))))

    def block(self, first: _Line, last: _Line) -> None:
        if last.end > first.start:
            self.blocks.append(Span(first.start, last.end))

    def outline(self) -> Outline:
        return Outline(tuple(self.marks), tuple(self.blocks))


def _plain(title: str) -> str:
    """A heading without its inline markup, at most 200 characters."""
    title = _INLINE_LINK.sub(r"\1", _ATTRIBUTES.sub("", title[:1000]))
    return title.replace("`", "").replace("**", "").strip(" \t*_")[:200]


def markdown_outline(text: str, path: HeadingPath | None = None) -> Outline:
    """ATX and setext headings, fenced code, pipe tables and front matter (CommonMark, GFM tables).

    With `path` the headings go below those that are open in it, and stay open there.
    """
    lines, found = _lines(text), _Collector(path)
    at = _after_front_matter(lines, found)
    while at < len(lines):
        line = lines[at]
        fence = _FENCE.match(line.text)
        if fence and not (fence[1][0] == "`" and "`" in fence[2]):
            end = re.compile(rf"\s*(?:> *)?{re.escape(fence[1][0])}{{{len(fence[1])},}}\s*$")
            close = _closing(lines, at + 1, end)
            found.block(line, lines[close])
            at = close + 1
            continue
        if at + 1 < len(lines) and "|" in line.text and "|" in lines[at + 1].text and _is_rule(lines[at + 1]):
            last = _last_with(lines, at + 1, "|")
            found.block(line, lines[last])
            at = last + 1
            continue
        atx = _ATX.match(line.text) if line.may_be_heading else None
        if atx and atx[2]:
            found.heading(line, len(atx[1]), atx[2])
        elif at + 1 < len(lines) and _setext(lines, at):
            found.heading(line, 1 if "=" in lines[at + 1].text else 2, line.text)
            at += 1
        at += 1
    return found.outline()


def _is_rule(line: _Line) -> bool:
    return line.may_be_heading and bool(_TABLE_RULE.match(line.text))


def _setext(lines: list[_Line], at: int) -> bool:
    """A one-line paragraph over a row of = or -; "---" over a list or a longer paragraph is a rule."""
    if not _SETEXT.match(lines[at + 1].text) or _NOT_PARAGRAPH.match(lines[at].text):
        return False
    if not lines[at].may_be_heading:
        return False
    return at == 0 or not lines[at - 1].text.strip() or bool(_ATX.match(lines[at - 1].text))


def _after_front_matter(lines: list[_Line], found: _Collector) -> int:
    if lines[0].text.rstrip() != "---":
        return 0
    for at in range(1, min(len(lines), 200)):
        if lines[at].text.rstrip() in {"---", "..."}:
            found.block(lines[0], lines[at])
            return at + 1
    return 0


def _closing(lines: list[_Line], at: int, pattern: re.Pattern[str]) -> int:
    for index in range(at, len(lines)):
        if pattern.match(lines[index].text):
            return index
    return len(lines) - 1


def _last_with(lines: list[_Line], at: int, needed: str) -> int:
    while at + 1 < len(lines) and needed in lines[at + 1].text:
        at += 1
    return at


def rst_outline(text: str) -> Outline:
    """Headings in the order in which their adornments first come; directives, `::` and tables as blocks."""
    lines, found = _lines(text), _Collector()
    styles: dict[str, int] = {}
    at = 0
    while at < len(lines):
        line = lines[at].text
        heading = _rst_heading(lines, at)
        if heading is not None:
            style, title_at, after = heading
            level = styles.setdefault(style, len(styles) + 1)
            found.heading(lines[at], level, lines[title_at].text)
            at = after
        elif _RST_BLOCK.match(line) or (line.rstrip().endswith("::") and not line.lstrip().startswith("..")):
            last = _indented(lines, at)
            is_directive = line.lstrip().startswith("..")
            if last > at:
                found.block(lines[at if is_directive else _first_text(lines, at + 1)], lines[last])
            at = last + 1
        elif _GRID_RULE.match(line) or _SIMPLE_RULE.match(line):
            last = _table_end(lines, at)
            found.block(lines[at], lines[last])
            at = last + 1
        else:
            at += 1
    return found.outline()


def _rst_heading(lines: list[_Line], at: int) -> tuple[str, int, int] | None:
    """(style, index of the title, index after) of a heading whose first line is `at`."""
    text = [line.text.rstrip() for line in lines[at : at + 3]] + ["", "", ""]
    over = _ADORNMENT.match(text[0]) if len(text[0]) >= 2 else None
    if over and text[1].strip() and text[2] == text[0] and len(text[1].strip()) <= len(text[0]) + 2:
        return over[1] * 2, at + 1, at + 3
    under = _ADORNMENT.match(text[1]) if len(text[1]) >= 2 else None
    blank_before = at == 0 or not lines[at - 1].text.strip() or lines[at - 1].text.startswith("..")
    if under and text[0] and not text[0][0].isspace() and not over and blank_before:
        width = sum(2 if c > "\u1100" else 1 for c in text[0])
        if len(text[1]) >= min(width, 4) and len(text[1]) + 2 >= len(text[0]):
            return under[1], at, at + 2
    return None


def _indent(line: _Line) -> int:
    return len(line.text) - len(line.text.lstrip())


def _indented(lines: list[_Line], at: int) -> int:
    """The last line of the indented block below `at`, or `at` if there is none."""
    depth, last = _indent(lines[at]), at
    for index in range(at + 1, len(lines)):
        if not lines[index].text.strip():
            continue
        if _indent(lines[index]) <= depth:
            break
        last = index
    return last


def _first_text(lines: list[_Line], at: int) -> int:
    while not lines[at].text.strip():
        at += 1
    return at


def _table_end(lines: list[_Line], at: int) -> int:
    """A grid table ends before a blank line, a simple one with a rule before a blank line."""
    simple = bool(_SIMPLE_RULE.match(lines[at].text))
    for index in range(at + 1, min(len(lines), at + _LONGEST_TABLE)):
        blank_next = index + 1 >= len(lines) or not lines[index + 1].text.strip()
        if blank_next and (not simple or (_SIMPLE_RULE.match(lines[index].text) and index > at + 1)):
            return index
    return at


def asciidoc_outline(text: str) -> Outline:
    """`= Title` headings; listing, literal and table blocks between their delimiters."""
    lines, found = _lines(text), _Collector()
    at = 0
    while at < len(lines):
        fence = _ASCIIDOC_FENCE.match(lines[at].text)
        heading = _ASCIIDOC_HEADING.match(lines[at].text) if lines[at].may_be_heading else None
        if fence:
            close = _closing(lines, at + 1, re.compile(re.escape(fence[1]) + r"[ \t]*$"))
            found.block(lines[at], lines[close])
            at = close
        elif heading:
            found.heading(lines[at], len(heading[1]), heading[2])
        at += 1
    return found.outline()


def org_outline(text: str) -> Outline:
    """`* Heading` lines; source and example blocks."""
    lines, found = _lines(text), _Collector()
    at = 0
    while at < len(lines):
        heading = _ORG_HEADING.match(lines[at].text) if lines[at].may_be_heading else None
        if _ORG_BEGIN.match(lines[at].text):
            close = _closing(lines, at + 1, _ORG_END)
            found.block(lines[at], lines[close])
            at = close
        elif heading:
            found.heading(lines[at], len(heading[1]), heading[2])
        at += 1
    return found.outline()
