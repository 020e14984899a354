"""Where a text may be cut, and how well: from section marks down to single characters.

A stretch of text becomes atoms: contiguous spans that tile it, each with the quality of the cut
before it. The separators of Markdown and of programming languages are those of
`langchain-text-splitters`; here they only mark positions, so that offsets are carried, never searched for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache


class Cut(IntEnum):
    """The quality of a cut, best first."""

    SECTION = 0
    TOPIC = 1  # before a top-level definition or a Markdown heading, after several blank lines
    BLANK = 2
    LINE = 3
    SENTENCE = 4
    LEAD_IN = 5  # after "for example:" or a title, away from what it introduces
    CLAUSE = 6
    SPACE = 7
    CHARACTER = 8


@dataclass(slots=True)
class Atom:
    """A span that is cut only if it fits no passage by itself; `cut` is the cut before it."""

    start: int
    end: int
    cut: Cut
    section: int
    block: bool = False
    tokens: int = 0


# Kinds whose lines are records or statements: a full stop inside them ends no sentence.
LINED = frozenset({"csv", "xlsx", "json", "jsonl", "code"})

_TERMINAL = ".!?:;。！？；：…”’\"')）】」』》|"
_BOUNDARY = re.compile(
    r"""(?P<blank>\n(?:[^\S\n]*+>?[^\S\n]*+\n)++)  # a bare > is a blank line of a quotation
      | (?P<line>\n)
      | (?P<wide>(?<![。！？；…｡．])[。！？；…｡．]++["'”’」』）)】》〉]*+[^\S\n]*+)
      | (?P<stop>(?<![.!?؟।۔])[.!?؟।۔]++["'”’)\]*_]*+[^\S\n]++(?=[^\s a-z,;]))""",
    re.VERBOSE,
)
_LINE_ENDS = re.compile(r"(?P<blank>\n(?:[^\S\n]*+\n)++)|(?P<line>\n)")
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        """mr mrs ms dr prof st sr jr vs etc e.g i.e cf al fig figs eq no nos vol vols ed eds p pp ch sec
        approx ca c inc ltd co corp dept univ gen col capt lt sgt rev hon gov sen rep jan feb mar apr jun jul
        aug sep sept oct nov dec u.s u.k u.n a.m p.m b.c a.d ph.d m.d b.a m.a z.b d.h bzw nr""",
    )
)
_STRUCTURE = re.compile(r"[^\w\s(\"'“‘`\[（「『《*_<$&@\\/]|\d+[.)）、]\s|[*+] |\s")
_COMMENT = ("@", "#", "//", "/*", "*", "--", '"""')
_STATEMENTS = frozenset(
    re.findall(
        r"\S+",
        """if for while switch case when else foreach do unless begin rescue loop match repeat default return
        continue break try throw finally catch val var let const local import library require option syntax
        int float double cond with using pragma param in where qualified constructor""",
    )
)


@cache
def _definitions() -> re.Pattern[str]:
    """What starts a top-level definition, over all languages that LangChain has separators for."""
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    words = {"impl", "trait", "mod", "macro_rules!"}
    for language in Language:
        try:
            separators = RecursiveCharacterTextSplitter.get_separators_for_language(language)
        except ValueError:  # a language that is named but has no table
            continue
        words.update(found[1] for sep in separators if (found := re.fullmatch(r"\n([a-z]+)(?: |\\\()", sep)))
    names = "|".join(sorted(map(re.escape, words - _STATEMENTS)))
    before = r"(?:(?:pub(?:\([a-z]+\))?|export|default|async|final|unsafe|extern|template) )*"
    return re.compile(rf"{before}(?:{names})\b")


@cache
def _headings() -> re.Pattern[str]:
    """Markdown headings and rules, without the code fences, which readers mark as blocks."""
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    separators = RecursiveCharacterTextSplitter.get_separators_for_language(Language.MARKDOWN)
    return re.compile("|".join(sep for sep in separators if sep.strip() and "`" not in sep))


def atoms(text: str, stretch: Atom, kind: str, max_tokens: int) -> list[Atom]:
    """A stretch without protected blocks as atoms; none where it is white space; tiny neighbours share one.

    An atom of several spans has at most max_tokens / 3 characters, or max_tokens / 8 where a blank line
    or the start of a definition lies in it, so that a passage has a bounded number of atoms.
    """
    close, apart = max(1, max_tokens // 3), max(1, max_tokens // 8)
    found: list[Atom] = []
    for start, end, cut in _spans(text, stretch.start, stretch.end, kind):
        last = found[-1] if found else None
        if (
            last
            and end - last.start <= close
            and (cut >= Cut.LINE or (end - last.start <= apart and last.cut <= cut))
        ):
            last.end = end
        else:
            found.append(Atom(start, end, cut if last else stretch.cut, stretch.section))
    return found


def finer(text: str, atom: Atom, kind: str, max_tokens: int) -> list[Atom]:
    """Cut an atom that fits no passage: a block at its lines, anything else every few characters."""
    if atom.block:
        return atoms(text, replace(atom, block=False), kind if kind in LINED else "json", max_tokens)
    width = max(1, min(max_tokens // 8, (atom.end - atom.start) // 2))
    parts: list[Atom] = []
    start, cut = atom.start, atom.cut
    while start < atom.end:
        end, after = _cut_within(text, start, atom.end, width, kind in LINED)
        if not text[start:end].isspace():
            parts.append(Atom(start, end, cut, atom.section))
        start, cut = end, after
    return parts


def cut_beside_block(text: str, position: int) -> Cut:
    """The quality of a cut where a protected block starts or ends."""
    before = text[max(0, position - 80) : position].rstrip()
    return Cut.LEAD_IN if before.endswith((":", "：")) else Cut.BLANK


def _spans(text: str, start: int, end: int, kind: str) -> Iterator[tuple[int, int, Cut]]:
    position, cut = start, Cut.SECTION
    for stop, after in _cuts(text, start, end, kind):
        if stop > position and not text[position:stop].isspace():
            yield position, stop, cut
            position, cut = stop, after
    if not text[position:end].isspace():
        yield position, end, cut


def _cuts(text: str, start: int, end: int, kind: str) -> Iterator[tuple[int, Cut]]:
    """Positions to cut at, ascending, below `end`, each with its quality."""
    lined = kind in LINED
    line_start, quotes = start, 0
    for match in (_LINE_ENDS if lined else _BOUNDARY).finditer(text, start, end):
        stop, what = match.end(), match.lastgroup
        if stop >= end:
            break
        if what in {"blank", "line"}:
            if kind == "csv":
                quotes += text.count('"', line_start, stop)
            line = text[line_start : match.start()]
            line_start = stop
            if kind == "csv" and quotes % 2 and len(line) < 4096:  # a line break inside a quoted cell
                continue
            quotes = 0
            cut = _line_cut(text, line, match, kind)
            if cut is not None:
                yield stop, cut
        elif what == "stop" and _abbreviated(text, line_start, match.start()):
            continue
        elif not _joins(text, stop):
            yield stop, Cut.SENTENCE


def _line_cut(text: str, line: str, match: re.Match[str], kind: str) -> Cut | None:
    """The quality of a cut after a line; None where the line was only wrapped."""
    stop, blank = match.end(), match.lastgroup == "blank"
    if kind == "code":
        return _code_cut(text, line, stop, blank)
    if kind in LINED:
        return Cut.LINE
    if kind == "md" and _headings().match(text, stop - 1):
        return Cut.TOPIC
    words = line.strip()
    if words.endswith((":", "：")) or (blank and _is_title(text, line, match.start())):
        return Cut.LEAD_IN
    if blank:
        if text[stop].isspace():
            return Cut.LINE  # indented: it goes on
        return Cut.TOPIC if match.group().count("\n") > 2 else Cut.BLANK
    if words and words[-1] not in _TERMINAL and len(words) >= (20 if words[-1] >= "\u2e80" else 40):
        quoted = line.startswith(">") and text.startswith("> ", stop)
        return None if quoted or not _STRUCTURE.match(text, stop) else Cut.LINE
    return Cut.LINE


def _is_title(text: str, line: str, end: int) -> bool:
    """Is this line, with a blank line after it, a short paragraph that ends no sentence?"""
    short = 0 < len(line) < 60 and line[0].isalnum() and line.rstrip()[-1] not in _TERMINAL
    before = end - len(line)
    return short and (before == 0 or text[max(0, before - 2) : before].isspace())


def _code_cut(text: str, line: str, stop: int, blank: bool) -> Cut:
    noted = text.startswith(_COMMENT, stop)
    if not blank and line.startswith(_COMMENT):
        return Cut.LEAD_IN  # a comment or decorator stays with what it is about
    if _definitions().match(text, stop) or (blank and noted):
        return Cut.TOPIC
    if text[stop].isspace():
        return Cut.SENTENCE  # inside a definition
    return Cut.BLANK if blank else Cut.LINE


def _abbreviated(text: str, line_start: int, stop: int) -> bool:
    """Is the full stop at `stop` part of "Dr.", "e.g.", an initial or the number of a list item?"""
    if text[stop] != "." or text.startswith("..", stop):
        return False
    before = text[max(line_start, stop - 16) : stop]
    words = before.split()
    if not words or before[-1].isspace():
        return False
    word = words[-1].lstrip("([\"'“‘*_")
    if len(words) == 1 and word.isdigit():
        return len(before) < 16 and not text[line_start : stop - len(word)].strip()
    return (len(word) == 1 and word.isupper() and word != "I") or word.lower() in _ABBREVIATIONS


_ENDERS = re.compile(r"""[.!?。！？；…]["'”’」』）)】》]*\s+|[。！？；…]["'”’」』）)】》]*""")
_CLAUSES = re.compile(r"[,;:，、：,]\s+|[，、：]|[)）】]\s|\s[-–—]+\s")
_CELLS = re.compile(r"[,;|\t，、]\s*")
_SPACES = re.compile(r"\s+")


def _cut_within(text: str, start: int, end: int, width: int, lined: bool) -> tuple[int, Cut]:
    """The best cut at most `width` characters after `start`, and how good it is."""
    if end - start <= width:
        return end, Cut.SPACE  # the last part: nobody reads its quality
    limit = start + width
    clauses = _CELLS if lined else _CLAUSES
    for pattern, cut in ((_ENDERS, Cut.SENTENCE), (clauses, Cut.CLAUSE), (_SPACES, Cut.SPACE)):
        last = None
        for match in pattern.finditer(text, start, limit):
            if not _joins(text, match.end()):
                last = match.end()
        if last is not None and last > start:
            return last, cut
    stop = limit
    while stop > start + 1 and _joins(text, stop):
        stop -= 1
    return (limit if _joins(text, stop) else stop), Cut.CHARACTER


def _joins(text: str, position: int) -> bool:
    """Would a cut here part a character from its accents, an emoji sequence or a flag?"""
    if position >= len(text):
        return False
    after, before = text[position], text[position - 1]
    if before == "\n" or (after < "\u0300" and before < "\u0300"):
        return False
    if before == "\u200d" or after == "\u200d" or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    if "\U0001f1e6" <= after <= "\U0001f1ff":
        run = position
        while run > max(0, position - 64) and "\U0001f1e6" <= text[run - 1] <= "\U0001f1ff":
            run -= 1
        return (position - run) % 2 == 1
    return unicodedata.category(after) in {"Mn", "Mc", "Me"} or "\u1160" <= after <= "\u11ff"


def protected(
    blocks: Sequence[tuple[int, int]], text: str, start: int, end: int
) -> Iterator[tuple[int, int, bool]]:
    """Tile `text[start:end]` with blocks and what lies between: (start, end, is a block)."""
    position = start
    for block in blocks:
        first, last = max(block[0], position), min(block[1], end)
        if last <= first or text[first:last].isspace():
            continue
        if first > position:
            yield position, first, False
        yield first, last, True
        position = last
    if position < end:
        yield position, end, False
