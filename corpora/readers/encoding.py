"""Bytes to text: byte order mark, UTF-8, the declared charset, UTF-16/32 by their zeros, then a detector."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from corpora.readers import ReadProblem

_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# A label stands for the superset that the Web reads it as (WHATWG Encoding Standard, "Names and labels").
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "cp950",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
}
_XML_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([\w.:-]{2,40})["']""", re.I)
_HTML_META = re.compile(rb"""<meta[^>]{0,300}?\bcharset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text, newlines as `\\n`; `note` says so when it was not read as UTF-8."""

    text: str
    encoding: str
    note: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        return (self.note,) if self.note else ()


def decode(data: bytes, *, markup: bool = False, declared: str | None = None) -> Decoded:
    """The text of `data`.

    `markup` looks for an XML declaration or HTML meta; `declared` is a charset named from outside (a mail
    header). Raises ReadProblem `undecodable` with the byte offset; no replacement character is ever put in.
    """
    marked = _by_mark(data)
    if marked is not None:
        return marked
    utf16 = _zeros_pattern(data)
    if utf16 is not None:
        return Decoded(_newlines(data.decode(utf16)), utf16, f"read as {utf16} (no byte order mark)")
    if b"\x1b$" in data and data.isascii():
        text = _try(data, "iso2022_jp")
        if text is not None:
            return Decoded(_newlines(text), "iso2022_jp", "read as iso-2022-jp")
    try:
        return Decoded(_newlines(data.decode("utf-8")), "utf-8")
    except UnicodeDecodeError as error:
        failed_at = error.start
    named = declared or (declared_charset(data) if markup else None)
    if named is not None:
        text = _try(data, named)
        if text is not None:
            encoding = _superset(named)
            return Decoded(_newlines(text), encoding, f"read as {_shown(encoding)} (declared)")
    if _mostly_utf8(data):
        raise ReadProblem("undecodable", f"UTF-8 that is broken at byte {failed_at}")
    return _detected(data, failed_at)


def is_plain_text(data: bytes) -> bool:
    """Whether `data` decodes cleanly without guessing: a byte order mark or UTF-8, and no NUL."""
    try:
        marked = _by_mark(data)
    except ReadProblem:
        return False
    if marked is not None:
        return "\x00" not in marked.text
    return b"\x00" not in data and _is_utf8(data)


def is_utf16_or_32(data: bytes) -> bool:
    """Whether `data` begins with the mark of UTF-16 or UTF-32, or looks like them without one."""
    wide = tuple(mark for mark, name in _BOMS if name != "utf-8")
    return data.startswith(wide) or _zeros_pattern(data) is not None


def may_be_text(data: bytes) -> bool:
    """Whether `data` could be text in any encoding: few control bytes, or UTF-16/32."""
    if data.startswith(codecs.BOM_UTF8) or is_utf16_or_32(data):
        return True
    head = data[:65_536].replace(b"\x00", b"")
    if len(head) < len(data[:65_536]) and not _is_utf8(data):
        return False  # zeros are forgiven in what is text for certain
    controls = len(head) - len(head.translate(None, _CONTROL_BYTES))
    return controls * 50 <= len(head)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_CONTROL_BYTES = bytes(set(range(1, 32)) - {7, 8, 9, 10, 11, 12, 13, 14, 15, 27})  # 14, 15, 27: ISO-2022


def declared_charset(data: bytes) -> str | None:
    """The charset that an XML declaration or an HTML meta element in the first 4 KiB names."""
    found = _XML_DECLARATION.search(data[:400]) or _HTML_META.search(data[:4096])
    return found[1].decode("ascii") if found else None


def _by_mark(data: bytes) -> Decoded | None:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                text = data[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                where = error.start + len(mark)
                raise ReadProblem("undecodable", f"{encoding} that is broken at byte {where}") from error
            note = None if encoding == "utf-8" else f"read as {encoding}"
            return Decoded(_newlines(text), encoding, note)
    return None


def _zeros_pattern(data: bytes) -> str | None:
    """UTF-16/32 without a mark, told by where the zero bytes of Latin letters and spaces lie."""
    head = data[:4096]
    if len(data) % 2 or len(head) < 8 or 0 not in head:
        return None
    zeros = [head[lane::4].count(0) * 4 / len(head) for lane in range(4)]
    candidates = []
    if len(data) % 4 == 0 and min(zeros[2], zeros[3]) > 0.9 and zeros[0] < 0.1:
        candidates = ["utf-32-le"]
    elif len(data) % 4 == 0 and min(zeros[0], zeros[1]) > 0.9 and zeros[3] < 0.1:
        candidates = ["utf-32-be"]
    elif max(zeros[0], zeros[2]) < 0.02 and min(zeros[1], zeros[3]) > 0.02:
        candidates = ["utf-16-le"]
    elif max(zeros[1], zeros[3]) < 0.02 and min(zeros[0], zeros[2]) > 0.02:
        candidates = ["utf-16-be"]
    return next((name for name in candidates if _reads_as_text(data, name)), None)


def _reads_as_text(data: bytes, encoding: str) -> bool:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    sample = text[:2048]
    return sum(c.isprintable() or c in "\t\n\r\f" for c in sample) >= 0.98 * len(sample)


def _try(data: bytes, charset: str) -> str | None:
    encoding = _superset(charset)
    for name in dict.fromkeys((encoding, charset)):
        try:
            return data.decode(name)
        except (LookupError, ValueError):  # UnicodeDecodeError is a ValueError
            continue
    return None


def _superset(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return charset
    return _SUPERSETS.get(name, name)


def _mostly_utf8(data: bytes) -> bool:
    """At least three times as many multi-byte UTF-8 sequences as bytes that fit none: no accident."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(c > "\x7f" for c in text) - broken >= 3 * broken


def _detected(data: bytes, failed_at: int) -> Decoded:
    from corpora.readers.charset import guess

    found = guess(data)
    if found is None:
        reason = f"in no encoding that can be told; not UTF-8 from byte {failed_at} on"
        raise ReadProblem("undecodable", reason)
    encoding, text, sure = found
    superset = _superset(encoding)
    return Decoded(_newlines(text), superset, f"read as {_shown(superset)} ({round(100 * sure)} %)")


def _shown(encoding: str) -> str:
    windows = re.fullmatch(r"cp(125\d)", encoding)
    return f"windows-{windows[1]}" if windows else encoding.replace("_", "-")


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
