"""PDF: pages, outline, odd text, scans, passwords and damage; every file here is written by hand."""

from __future__ import annotations

import hashlib
import random
import time
import zlib

import pytest

from corpora.readers import ReadProblem, pdf
from corpora.readers.pdf_text import mend_lines, readable, rejoin_hyphens, words_of
from corpora.records import Extracted

PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def built(objects: list[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects, the first its catalog."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(objects) + 1, table)
    out += b"trailer << /Size %d /Root 1 0 R %b >>\n" % (len(objects) + 1, trailer)
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def stream(content: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), more, content)


def shown(*lines: str) -> bytes:
    """The content of a page with these lines, each below the last."""
    text = b"".join(b"(%b) Tj 0 -20 Td " % line.encode("latin-1") for line in lines)
    return b"BT /F1 12 Tf 50 700 Td " + text + b"ET"


def document(*pages: bytes, outline: list[tuple[str, int]] | None = None, font: bytes = HELVETICA) -> bytes:
    """A PDF of pages with these contents; `outline` has titles with 0-based pages, one below another."""
    first = 4
    kids = b" ".join(b"%d 0 R" % (first + 2 * index) for index in range(len(pages)))
    titles = first + 2 * len(pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R %b >>" % (b"/Outlines %d 0 R" % titles if outline else b""),
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(pages)),
        font,
    ]
    for index, content in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (first + 2 * index + 1)
        )
        objects.append(stream(content))
    if outline:
        objects.append(b"<< /First %d 0 R /Last %d 0 R >>" % (titles + 1, titles + 1))
    for depth, (title, page) in enumerate(outline or [], start=1):
        last = depth == len(outline or [])
        below = b"" if last else b"/First %d 0 R /Last %d 0 R" % ((titles + depth + 1,) * 2)
        place = b"/Parent %d 0 R /Dest [%d 0 R /Fit]" % (titles + depth - 1, first + 2 * page)
        objects.append(b"<< /Title (%b) %b %b >>" % (title.encode(), place, below))
    return built(objects)


def encrypted(user_password: bytes) -> bytes:
    """A one-page PDF under 40-bit RC4 (standard handler, revision 2)."""
    owner_key = hashlib.md5(PADDING, usedforsecurity=False).digest()[:5]
    owner = _rc4(owner_key, (user_password + PADDING)[:32])
    seed = (user_password + PADDING)[:32] + owner + b"\xfc\xff\xff\xff" + b"0123456789abcdef"
    key = hashlib.md5(seed, usedforsecurity=False).digest()[:5]
    page_key = hashlib.md5(key + bytes([5, 0, 0, 0, 0]), usedforsecurity=False).digest()[:10]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        HELVETICA,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R "
        b"/Resources << /Font << /F1 3 0 R >> >> >>",
        stream(_rc4(page_key, shown("A secret page"))),
        b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b> >>"
        % (owner.hex().encode(), _rc4(key, PADDING).hex().encode()),
    ]
    identity = b"0123456789abcdef".hex().encode()
    return built(objects, b"/Encrypt 6 0 R /ID [<%b> <%b>]" % (identity, identity))


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def read(data: bytes) -> Extracted:
    return pdf.read(data, "file.pdf")


def problem(data: bytes) -> ReadProblem:
    with pytest.raises(ReadProblem) as raised:
        read(data)
    return raised.value


def test_pages_are_numbered_and_kept_apart() -> None:
    extracted = read(document(shown("First page", "second line"), shown("Second page")))
    assert extracted.text == "First page\nsecond line\n\nSecond page"
    assert [(mark.start, mark.page) for mark in extracted.marks] == [(0, 1), (24, 2)]


def test_titles_of_the_outline_are_headings_where_they_stand() -> None:
    pages = shown("Preface", "1 Start", "text"), shown("more"), shown("elsewhere")
    extracted = read(document(*pages, outline=[("1 Start", 0), ("Not written so", 2)]))
    marks = [(extracted.text[mark.start :][:4], mark.page, mark.heading) for mark in extracted.marks]
    assert marks == [
        ("Pref", 1, None),
        ("1 St", 1, "1 Start"),
        ("more", 2, "1 Start"),
        ("else", 3, "1 Start > Not written so"),
    ]


def test_an_image_only_file_says_how_many_pages_and_that_there_is_no_ocr() -> None:
    image = b"q 100 0 0 100 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \x00 EI Q"
    raised = problem(document(image, image, image))
    assert raised.code == "no_text_layer"
    assert raised.reason == "3 pages, no text layer (scan?); OCR is not built in"


def test_pages_without_text_are_noted() -> None:
    extracted = read(document(b"", shown("words"), b""))
    assert extracted.notes == ("no text on 2 of 3 pages",)
    assert [mark.page for mark in extracted.marks] == [2]


def test_an_encrypted_file_opens_only_with_the_empty_password() -> None:
    assert read(encrypted(b"")).text == "A secret page"
    raised = problem(encrypted(b"open sesame"))
    assert raised.code == "encrypted"
    assert "remove the password" in raised.reason


def test_chinese_comes_through_a_map_to_unicode() -> None:
    mapped = "今天天气很好"
    ranges = b"".join(b"<%02x> <%04x>\n" % (65 + at, ord(sign)) for at, sign in enumerate(mapped))
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /x def\n"
        b"1 begincodespacerange <00> <ff> endcodespacerange\n%d beginbfchar\n%bendbfchar\n"
        b"endcmap end end" % (len(mapped), ranges)
    )
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Song /ToUnicode 6 0 R >>"
    data = document(shown("ABCDEF"), font=font)
    objects = [part.split(b"\nendobj")[0] for part in data.split(b" 0 obj\n")[1:]]
    assert read(built([*objects, stream(cmap)])).text == mapped


def test_what_is_no_pdf_or_has_no_pages_is_damaged() -> None:
    assert problem(b"%PDF-1.7\nnothing").code == "damaged"
    assert problem(b"").code == "damaged"
    assert problem(document()).code == "damaged"


def test_mutated_files_give_text_or_a_reason_and_nothing_else() -> None:
    rng = random.Random(20)
    whole = document(shown("One", "two"), shown("three"), outline=[("One", 0)])
    for _ in range(300):
        broken = bytearray(whole)
        if rng.random() < 0.3:
            del broken[rng.randrange(len(broken)) :]
        for _ in range(rng.choice([1, 5, 25])):
            if broken:
                broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            read(bytes(broken))
        except ReadProblem as raised:
            assert raised.code in {"damaged", "encrypted", "no_text_layer"}


def test_an_outline_that_turns_in_a_circle_ends() -> None:
    data = document(shown("text"), outline=[("a", 0), ("b", 0)])
    began = time.monotonic()
    read(data.replace(b"/Last 8 0 R >>\nendobj\n8 0", b"/Last 7 0 R >>\nendobj\n8 0"))
    circle = data.replace(b"/First 8 0 R", b"/First 7 0 R")
    assert read(circle).text == "text"
    assert time.monotonic() - began < 2


def test_a_stream_that_is_no_text_is_passed_over() -> None:
    packed = zlib.compress(b"\x00" * 1_000_000)
    data = document(shown("x")).replace(stream(shown("x")), stream(packed, b"/Filter /FlateDecode"))
    assert problem(data).code in {"no_text_layer", "damaged"}


def test_garbage_counts_as_no_text() -> None:
    assert readable("plain words")
    assert not readable(" \n")
    assert not readable("\ue001\ue002 a")
    assert not readable("(cid:12)(cid:7)ab")


def test_wrapped_lines_of_ideographs_are_made_whole_and_others_left() -> None:
    full = "项目描述负责引水隧洞爆破方案优化设计及监测工"
    wrapped = f"{full}\r\n作。沟通协调业主\r\n短行\r\n目 录 表"
    assert mend_lines(wrapped) == f"{full}作。沟通协调业主\n短行\n目录表"
    assert mend_lines("a   b\xa0c \n\n\n d") == "a b c\n\nd"


def test_hyphens_at_line_ends_go_unless_they_belong_to_the_word() -> None:
    page = "in\ufffetended data\ufffedriven self\ufffemade Smith\ufffeJones data was driven; a self-made man"
    words = words_of([page])
    assert rejoin_hyphens(page, words).startswith("intended data-driven self-made Smith-Jones")
