"""Rich Text Format: text, headings, tables and notes, by one pass over its control words.

Pictures, embedded objects, fields' instructions, headers and footers are left out; hidden text and tracked
deletions too, hidden text counted. Bytes are decoded in the code page of their font.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from corpora.readers import ReadProblem
from corpora.readers.builder import TextBuilder
from corpora.readers.ooxml import one_line, rows_text
from corpora.readers.rtf_words import CHARACTER_SETS, FONT_CHARSETS, SIGNS, SILENT, SPOKEN, code_page
from corpora.records import Extracted

_TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})?[ ]?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<sign>[^a-zA-Z])"
    rb"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n]+|\\"
)
_HEADING = re.compile(r"(?:heading|标题|標題|überschrift|titre|título|titolo) ?([1-9])", re.I)
_DEEPEST = 10_000


def read(data: bytes, name: str) -> Extracted:
    """The text of an .rtf. Raises ReadProblem: `damaged`, `empty`."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise ReadProblem("damaged", "not an RTF document: it does not begin with {\\rtf")
    reader = _Reader(data)
    reader.run()
    return reader.build()


class _Group(NamedTuple):
    """What a brace restores: where text goes, how bytes become text, and whether it is seen."""

    target: str = "body"  # body, note, fonts, styles, silent
    font: int = -1
    skip: int = 1  # \uc: how many characters stand for one \u in old readers
    unseen: str = ""  # "hidden" or "deleted"


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._builder = TextBuilder()
        self._group = _Group()
        self._stack: list[_Group] = []
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._levels: dict[int, int] = {}
        self._bytes = bytearray()
        self._texts: dict[str, list[str]] = {"body": [], "note": [], "styles": []}
        self._to_skip = 0
        self._optional = False
        self._style = -1
        self._outline: int | None = None
        self._in_table = False
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._notes: list[str] = []
        self._deleted = False
        self._note_count = 0
        self._ends_early = False

    def run(self) -> None:
        at = 0
        while (token := _TOKEN.match(self._data, at)) is not None:
            at = token.end()
            kind = token.lastgroup
            if kind == "text":
                self._plain(token["text"])
            elif kind == "hex":
                self._byte(int(token["hex"], 16))
            elif kind == "brace":
                if self._brace(token["brace"]):
                    break
            elif kind == "sign":
                self._sign(token["sign"])
            elif kind in {"word", "number"}:
                at += self._word(token["word"].decode("ascii"), token["number"])
        self._ends_early = bool(self._stack)
        self._end_paragraph()
        self._end_table()
        self._end_notes()

    def build(self) -> Extracted:
        if not self._builder.length:
            raise ReadProblem("empty", "no visible text")
        notes = ["tracked deletions left out"] if self._deleted else []
        if self._ends_early:
            notes.append("the file ends early: a brace is not closed")
        return self._builder.build("rtf", tuple(notes))

    # -- bytes and characters

    def _plain(self, text: bytes) -> None:
        skipped = min(self._to_skip, len(text))
        self._to_skip -= skipped
        if self._group.target != "silent":
            self._bytes += text[skipped:]

    def _byte(self, value: int) -> None:
        if self._to_skip:
            self._to_skip -= 1
        elif self._group.target != "silent":
            self._bytes.append(value)

    def _flush(self) -> None:
        if self._bytes:
            codec = self._fonts.get(self._group.font, self._codec)
            text = self._bytes.decode(codec, "replace")
            self._bytes.clear()
            self._write(text)

    def _write(self, text: str) -> None:
        group = self._group
        if group.target == "silent":
            return
        if group.unseen and group.target in {"body", "note"}:
            if group.unseen == "hidden":
                self._builder.hidden += len(text)
            else:
                self._deleted = True
        elif group.target in self._texts:
            self._texts[group.target].append(text)

    def _taken(self, target: str) -> str:
        """What has been written to `target` since it was last taken; \\u pairs made one character."""
        self._flush()
        text = "".join(self._texts[target])
        self._texts[target].clear()
        if any("\ud800" <= character <= "\udfff" for character in text):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    # -- groups and control words

    def _brace(self, brace: bytes) -> bool:
        """Open or close a group; True once the document itself is closed."""
        self._flush()
        self._to_skip = 0
        if brace == b"{":
            if len(self._stack) >= _DEEPEST:
                raise ReadProblem("damaged", "its groups are nested too deeply")
            self._stack.append(self._group)
            self._optional = False
            return False
        if not self._stack:
            return True
        inner, self._group = self._group, self._stack.pop()
        if inner.target != self._group.target:
            self._leave(inner.target)
        return not self._stack

    def _leave(self, target: str) -> None:
        if target == "note":
            text = one_line(self._taken("note"))
            if text:
                self._note_count += 1
                self._notes.append(f"Note {self._note_count}: {text}")
        elif target == "styles":
            self._texts["styles"].clear()

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._optional = True
        elif sign in {b"\\", b"{", b"}"}:
            self._byte(sign[0])
        elif sign in {b"\r", b"\n"}:
            self._end_paragraph()
        elif sign in {b"~", b"_"}:
            self._flush()
            self._write("\u00a0" if sign == b"~" else "-")

    def _word(self, word: str, number: bytes | None) -> int:
        """Act on a control word; how many bytes of binary data after it to pass over."""
        value = int(number) if number else None
        if word == "bin":
            return max(0, value or 0)
        if word == "u":
            self._unicode(value or 0)
            return 0
        self._flush()
        if word in SILENT or (self._optional and word not in SPOKEN):
            self._group = self._group._replace(target="silent")
        elif self._group.target != "silent":
            if word in SIGNS:
                self._write(SIGNS[word])
            elif not self._character_word(word, value):
                self._paragraph_word(word, value)
        self._optional = False
        return 0

    def _unicode(self, value: int) -> None:
        self._flush()
        if 0 <= (code := value + 0x10000 if value < 0 else value) <= 0x10FFFF:
            self._write(chr(code))
        self._to_skip = self._group.skip

    def _character_word(self, word: str, value: int | None) -> bool:
        """A word about fonts, code pages, visibility or destinations; False where it is none."""
        if word == "f":
            self._group = self._group._replace(font=value or 0)
        elif word == "uc":
            self._group = self._group._replace(skip=max(0, min(8, value or 0)))
        elif word in {"v", "deleted"}:
            unseen = "hidden" if word == "v" else "deleted"
            self._group = self._group._replace(unseen="" if value == 0 else unseen)
        elif word == "plain":
            self._group = self._group._replace(unseen="")
        elif word in {"fcharset", "cpg", "ansicpg"} or word in CHARACTER_SETS:
            self._code_page(word, value)
        elif word in {"fonttbl", "stylesheet", "footnote"}:
            target = {"fonttbl": "fonts", "stylesheet": "styles", "footnote": "note"}[word]
            self._group = self._group._replace(target=target, unseen="")
        else:
            return False
        return True

    def _code_page(self, word: str, value: int | None) -> None:
        if word == "fcharset":
            if value in FONT_CHARSETS:
                self._fonts[self._group.font] = FONT_CHARSETS[value]
            return
        codec = CHARACTER_SETS.get(word) or code_page(value or 0)
        if codec and word == "cpg":
            self._fonts[self._group.font] = codec
        elif codec:
            self._codec = codec

    # -- paragraphs and tables

    def _paragraph_word(self, word: str, value: int | None) -> None:
        if self._group.target == "styles":
            self._style_word(word, value)
        elif self._group.target == "note":
            if word == "par":
                self._write(" ")
        elif word in {"par", "sect", "page"}:
            self._end_paragraph()
        elif word in {"cell", "nestcell"}:
            self._cells.append(one_line(self._taken("body")))
        elif word in {"row", "nestrow"}:
            self._end_row()
        elif word == "pard":
            self._in_table, self._style, self._outline = False, -1, None
        elif word == "intbl":
            self._in_table = True
        elif word == "s":
            self._style = value or 0
        elif word == "outlinelevel":
            self._outline = value

    def _style_word(self, word: str, value: int | None) -> None:
        if word == "s":
            self._style = value or 0
        elif word == "outlinelevel" and value is not None and 0 <= value < 9:
            self._levels[self._style] = value + 1

    def _end_row(self) -> None:
        rest = one_line(self._taken("body"))
        self._rows.append([*self._cells, *([rest] if rest else [])])
        self._rows += [[note] for note in self._notes]
        self._cells, self._notes = [], []

    def _end_paragraph(self) -> None:
        if self._group.target not in {"body", "silent"}:
            return
        if self._in_table:
            self._flush()
            self._texts["body"].append(" ")
            return
        text = self._taken("body").strip("\n")
        if text.strip():
            self._end_table()
            level = self._outline + 1 if self._outline is not None else self._levels.get(self._style)
            if level is not None and 1 <= level <= 9 and len(text) <= 300:
                self._builder.heading(level, one_line(text))
            else:
                self._builder.paragraph(text)
        self._end_notes()

    def _end_table(self) -> None:
        if self._cells:
            self._end_row()
        self._builder.block(rows_text(self._rows))
        self._rows = []

    def _end_notes(self) -> None:
        for note in self._notes:
            self._builder.paragraph(note)
        self._notes = []
