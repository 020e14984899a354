"""Bounded reading of ZIP containers and of the XML in them (OOXML, OpenDocument, EPUB).

Sizes in headers are never trusted: bytes are counted while they are unpacked. Overlapping entries are
refused here because `zipfile` does so only from 3.11.8 on (CVE-2024-0450). XML is parsed without DTDs,
entities, network access and libxml2's huge trees.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO

from lxml import etree

from corpora.readers import ReadProblem

ENTRIES = 10_000
TOTAL_BYTES = 512 << 20
MEMBER_BYTES = 64 << 20
_RATIO, _RATIO_FROM = 400, 1 << 20  # small members of real books compress beyond any ratio
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    etree.LxmlError,
    EOFError,
    OSError,
    LookupError,
    ValueError,  # of which UnicodeError is one
    NotImplementedError,
    OverflowError,
    RecursionError,
)


@contextmanager
def damage_reported(what: str) -> Iterator[None]:
    """Turn what broken containers, XML and numbers raise into ReadProblem `damaged` (or `bomb`).

    Also a decorator for a reader; `what` names the type for people, as "Word document".
    """
    try:
        yield
    except _DAMAGE as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        if "amplification" in detail or "entity loop" in detail.lower():
            raise ReadProblem("bomb", "its XML entities expand past every bound") from error
        raise ReadProblem("damaged", f"not a whole {what}: {detail}") from error


class Container:
    """A ZIP file in memory whose members can be read within a budget of bytes.

    Names are compared without regard to case, and `\\` counts as `/`, as the producers of OOXML need.
    Raises ReadProblem: `damaged`, `encrypted`, `bomb`.
    """

    def __init__(self, data: bytes) -> None:
        if data.count(_ENTRY) > ENTRIES + 1_000:  # embedded packages hold entries of their own
            raise _too_many_entries()
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        entries = self._zip.infolist()
        if len(entries) > ENTRIES:
            raise _too_many_entries()
        _check_overlap(data, entries)
        self._entries = {_key(entry.filename): entry for entry in entries}
        self._left = TOTAL_BYTES

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._entries

    def names(self) -> list[str]:
        """The names of all members, lower case, in the order of the central directory."""
        return list(self._entries)

    def stream(self, name: str, limit: int = MEMBER_BYTES) -> MemberStream:
        """A member as a binary stream of at most `limit` bytes; KeyError where there is none."""
        entry = self._entries[_key(name)]
        if entry.flag_bits & 0x1:
            raise ReadProblem("encrypted", "password protected; remove the password and ingest again")
        if entry.compress_type not in _METHODS:
            raise ReadProblem("damaged", f"compression method {entry.compress_type} is not used in documents")
        # What a header says is believed when it is bad news; zipfile unpacks no more than it says.
        _check_size(entry.file_size, entry.compress_size, limit)
        return MemberStream(self, self._zip.open(entry), entry.compress_size, limit)

    def read(self, name: str, limit: int = MEMBER_BYTES) -> bytes:
        """All bytes of a member; KeyError where there is none, ReadProblem `bomb` past `limit`."""
        stream = self.stream(name, limit)
        return b"".join(iter(stream.read, b""))

    def xml(self, name: str, limit: int = MEMBER_BYTES // 4) -> etree._Element:
        """The root element of a member that is XML."""
        root = etree.fromstring(self.read(name, limit), _parser())
        _refuse_entities(root)
        return root

    def spend(self, count: int) -> None:
        """Count `count` unpacked bytes against the budget of the whole container."""
        self._left -= count
        if self._left < 0:
            raise ReadProblem("bomb", f"expands past {TOTAL_BYTES >> 20} MiB")


class MemberStream:
    """The unpacked bytes of one member, counted."""

    def __init__(self, container: Container, file: IO[bytes], packed: int, limit: int) -> None:
        self._container, self._file, self._packed, self._limit = container, file, packed, limit
        self._count = 0

    def read(self, size: int = 1 << 16) -> bytes:
        """At most 64 KiB, b"" at the end; ReadProblem `bomb` once the limit is passed."""
        piece = self._file.read(min(size, 1 << 16) if size > 0 else 1 << 16)
        self._count += len(piece)
        self._container.spend(len(piece))
        _check_size(self._count, self._packed, self._limit)
        return piece


def elements(stream: MemberStream, *tags: str) -> Iterator[etree._Element]:
    """Each element named in `tags` ("{*}p") once it is complete, in document order, while parsing.

    The caller drops what it is done with through `forget`, so that memory stays small.
    """
    events = etree.iterparse(
        stream,
        events=("end",),
        tag=tags,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    checked = False
    for _, element in events:
        if not checked:
            _refuse_entities(element)
            checked = True
        yield element


def forget(element: etree._Element) -> None:
    """Free a finished element and its earlier siblings."""
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def local(element: etree._Element) -> str:
    """The name of an element without its namespace; "" for comments and the like."""
    tag = element.tag
    return _bare(tag) if isinstance(tag, str) else ""


def lead(element: etree._Element, name: str) -> etree._Element | None:
    """The first child where it has this name: OOXML puts properties first, and `find` is slow."""
    first = element[0] if len(element) else None
    return first if first is not None and local(first) == name else None


def named(element: etree._Element | None) -> dict[str, etree._Element]:
    """The children by their names without namespace, of equal ones the last."""
    return {} if element is None else {local(child): child for child in element}


def attribute(element: etree._Element, name: str, default: str = "") -> str:
    """An attribute by its name without namespace: strict and transitional OOXML differ in theirs."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return default


def integer(text: str | None, default: int = 0, limit: int = 1 << 31) -> int:
    """A number from an attribute: `default` when it is none, never beyond `limit`."""
    try:
        return max(-limit, min(limit, int(text[:20]))) if text else default
    except ValueError:
        return default


@lru_cache(maxsize=4096)
def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _refuse_entities(element: etree._Element) -> None:
    dtd = element.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):  # type: ignore[attr-defined]
        raise ReadProblem("damaged", "its XML declares entities, which no document needs")


def _check_size(size: int, packed: int, limit: int) -> None:
    if size > limit:
        raise ReadProblem("bomb", f"a part of it expands past {limit >> 20} MiB")
    if size > _RATIO_FROM and size > _RATIO * packed:
        raise ReadProblem("bomb", f"a part of it expands more than {_RATIO} times")


def _check_overlap(data: bytes, entries: list[zipfile.ZipInfo]) -> None:
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        start = entry.header_offset
        if start < 0 or data[start : start + 4] != _LOCAL:
            raise ReadProblem("damaged", "not a whole ZIP container: an entry points nowhere")
        if start < end:
            raise ReadProblem("bomb", "entries of its ZIP container overlap")
        name, extra = struct.unpack_from("<HH", data, start + 26)
        end = start + 30 + name + extra + entry.compress_size
    if end > len(data):
        raise ReadProblem("damaged", "not a whole ZIP container: it ends within an entry")


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _too_many_entries() -> ReadProblem:
    return ReadProblem("bomb", f"more than {ENTRIES:,} entries in its ZIP container")
