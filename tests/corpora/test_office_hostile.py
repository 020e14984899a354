"""Containers that lie, burst or break: every one ends in a ReadProblem, quickly and in little memory."""

from __future__ import annotations

import io
import random
import resource
import struct
import time
import zipfile
import zlib
from collections.abc import Callable

import pytest

from corpora.readers import ReadProblem, docx, epub, odt, pptx, rtf, xlsx
from corpora.records import Extracted

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
READERS: dict[str, Callable[[bytes, str], Extracted]] = {
    "docx": docx.read,
    "pptx": pptx.read,
    "xlsx": xlsx.read,
    "odt": odt.read,
    "epub": epub.read,
}


def packed(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def word(body: str, prolog: str = "") -> dict[str, str | bytes]:
    return {"word/document.xml": f'{prolog}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'}


def problem(read: Callable[[bytes, str], Extracted], data: bytes) -> str:
    with pytest.raises(ReadProblem) as raised:
        read(data, "file")
    assert raised.value.reason
    assert "\n" not in raised.value.reason
    return raised.value.code


def paragraph_bomb(size: int) -> bytes:
    paragraph = b"<w:p><w:r><w:t>bomb</w:t></w:r></w:p>"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = f'<w:document xmlns:w="{WORD}"><w:body>'.encode()
    pieces, checksum, total = [packer.compress(head)], zlib.crc32(head), len(head)
    block = paragraph * (1 << 14)
    while total < size:
        pieces.append(packer.compress(block))
        checksum, total = zlib.crc32(block, checksum), total + len(block)
    return stored_by_hand(b"word/document.xml", b"".join([*pieces, packer.flush()]), checksum, total)


def stored_by_hand(name: bytes, content: bytes, checksum: int, size: int, copies: int = 1) -> bytes:
    """A ZIP of one member; `copies` entries of its directory point to the same bytes."""
    sizes = struct.pack("<III", checksum, len(content), size)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0)
    body = local + name + content
    entry = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes
    entry += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = struct.pack("<HHHHIIH", 0, 0, copies & 0xFFFF, copies & 0xFFFF, len(entry) * copies, len(body), 0)
    return body + entry * copies + b"PK\x05\x06" + end


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_zip_or_lacks_its_main_part_is_damaged(kind: str) -> None:
    assert problem(READERS[kind], b"PK\x03\x04 not really") == "damaged"
    assert problem(READERS[kind], packed({"something.txt": "else"})) == "damaged"
    assert problem(READERS[kind], b"") == "damaged"


def test_paragraphs_that_burst_are_a_bomb_found_in_seconds_and_in_little_memory() -> None:
    data = paragraph_bomb(200 << 20)
    assert len(data) < 1 << 20
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert problem(docx.read, data) == "bomb"
    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_entries_over_the_same_bytes_are_a_bomb() -> None:
    content = zlib.compress(b"x" * 1000)[2:-4]
    data = stored_by_hand(b"word/document.xml", content, zlib.crc32(b"x" * 1000), 1000, copies=2)
    assert problem(docx.read, data) == "bomb"


def test_a_hundred_thousand_entries_are_a_bomb_before_they_are_listed() -> None:
    data = stored_by_hand(b"a", b"", 0, 0, copies=100_000)
    began = time.monotonic()
    assert problem(docx.read, data) == "bomb"
    assert time.monotonic() - began < 1


def test_a_header_that_understates_the_size_is_damaged() -> None:
    whole = packed(word("<w:p><w:r><w:t>text</w:t></w:r></w:p>" * 1000))
    size = struct.pack("<I", len(word("<w:p><w:r><w:t>text</w:t></w:r></w:p>" * 1000)["word/document.xml"]))
    assert whole.count(size) == 2
    assert problem(docx.read, whole.replace(size, struct.pack("<I", 100))) == "damaged"


def test_an_encrypted_member_is_encrypted() -> None:
    data = bytearray(packed(word("<w:p/>")))
    data[6] |= 1  # the flag in the member's own header
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1  # and in the directory
    assert problem(docx.read, bytes(data)) == "encrypted"


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;">]>',
        '<!DOCTYPE d [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p; <!ENTITY x "y">]>',
    ],
)
def test_entities_are_refused(prolog: str) -> None:
    body = "<w:p><w:r><w:t>before &x; after</w:t></w:r></w:p>"
    assert problem(docx.read, packed(word(body, prolog))) in {"damaged", "bomb"}
    opf = f'{prolog}<package xmlns="http://www.idpf.org/2007/opf"><metadata>&x;</metadata></package>'
    assert problem(epub.read, packed({"content.opf": opf})) in {"damaged", "bomb"}


def test_nesting_without_end_is_damaged() -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 5_000
    assert problem(docx.read, packed(word(deep))) == "damaged"
    assert problem(rtf.read, b"{\\rtf1 " + b"{" * 1_000_000) == "damaged"


def test_tables_within_tables_take_no_quadratic_time() -> None:
    inner = "<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 5_000
    for _ in range(60):
        inner = f"<w:tbl><w:tr><w:tc>{inner}</w:tc></w:tr></w:tbl>"
    began = time.monotonic()
    assert "x" in docx.read(packed(word(inner)), "f.docx").text
    assert time.monotonic() - began < 5


def test_repeated_cells_of_a_spreadsheet_are_not_unrolled() -> None:
    names = ("office", "table", "text")
    spaces = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in names)
    content = f"""<office:document-content {spaces}><office:body><office:text><table:table>
        <table:table-row table:number-rows-repeated="1000000"><table:table-cell
        table:number-columns-repeated="1000000"><text:p>x</text:p></table:table-cell></table:table-row>
        </table:table></office:text></office:body></office:document-content>"""
    assert len(odt.read(packed({"content.xml": content}), "f.odt").text) < 50_000


def sample(kind: str) -> bytes:
    sheet = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    if kind == "docx":
        table = "<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>"
        return packed(word(f"<w:p><w:r><w:t>One</w:t></w:r></w:p>{table}"))
    if kind == "xlsx":
        return packed(
            {
                "xl/workbook.xml": f'<workbook xmlns="{sheet}" xmlns:r="{office}"><sheets>'
                '<sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
                "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{links}"><Relationship Id="r1" '
                f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
                "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{sheet}"><sheetData><row r="1">'
                '<c r="A1"><v>12.5</v></c><c r="C1" t="b"><v>1</v></c></row></sheetData></worksheet>',
            }
        )
    if kind == "epub":
        return packed(
            {
                "META-INF/container.xml": '<container><rootfile full-path="b.opf"/></container>',
                "b.opf": '<package><manifest><item id="a" href="a.html" media-type="application/xhtml+xml"/>'
                '</manifest><spine><itemref idref="a"/></spine></package>',
                "a.html": "<html><body><h1>Title</h1><p>Words</p></body></html>",
            }
        )
    fonts = b"{\\rtf1\\ansi{\\fonttbl{\\f0\\fcharset134 S;}}\\f0 "
    return fonts + b"One \\'c4\\'e3\\par\\trowd\\intbl a\\cell\\row\\u20320?}"


@pytest.mark.parametrize("kind", ["docx", "xlsx", "epub", "rtf"])
def test_broken_files_give_text_or_a_reason_and_nothing_else(kind: str) -> None:
    rng = random.Random(f"seed {kind}")
    whole = sample(kind)
    read = rtf.read if kind == "rtf" else READERS[kind]
    read(whole, "whole")
    for _ in range(300):
        broken = bytearray(whole)
        if rng.random() < 0.3:
            del broken[rng.randrange(len(broken)) :]
        for _ in range(rng.choice([1, 5, 25])):
            if broken:
                broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            read(bytes(broken), "broken")
        except ReadProblem as raised:
            assert raised.code in {"damaged", "encrypted", "bomb", "empty"}, raised.reason
