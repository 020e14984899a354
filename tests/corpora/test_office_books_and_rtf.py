"""EPUB books and Rich Text Format."""

from __future__ import annotations

import io
import zipfile

import pytest

from corpora.readers import ReadProblem, epub, rtf

OPF = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">
<metadata><dc:title>The Book</dc:title></metadata><manifest>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="a" href="text/a%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="text/c.xhtml" media-type="application/xhtml+xml"/>
<item id="i" href="i.png" media-type="image/png"/></manifest>
<spine><itemref idref="n"/><itemref idref="c"/><itemref idref="i"/><itemref idref="a"/></spine></package>"""
NAV = """<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>
<nav epub:type="toc"><ol><li><a href="text/c.xhtml#x">Opening</a></li>
<li><a href="text/a%20b.xhtml">End</a></li></ol></nav></body></html>"""
BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container><rootfile full-path="OPS/p.opf"/></container>',
    "OPS/p.opf": OPF,
    "OPS/nav.xhtml": NAV,
    "OPS/text/a b.xhtml": "<html><head><title>The Book</title></head><body><p>Last words.</p></body></html>",
    "OPS/text/c.xhtml": "<html><head><title>The Book</title></head><body><h1>One</h1><p>First.</p>"
    "<h2>Sub</h2><table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>",
}


def packed(members: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_chapters_come_in_reading_order_under_their_titles() -> None:
    read = epub.read(packed(BOOK), "book.epub")
    assert read.text.index("First.") < read.text.index("Last words.")
    assert "Opening" not in read.text
    headings = {mark.start: mark.heading for mark in read.marks}
    assert headings[read.text.index("One")] == "One"
    assert headings[read.text.index("Sub")] == "One > Sub"
    assert read.marks[-1].heading == "End"
    assert "k | v\n1 | 2" in [read.text[span.start : span.end] for span in read.blocks]
    assert all(mark.page is None for mark in read.marks)


def test_a_missing_chapter_is_noted() -> None:
    members = {name: content for name, content in BOOK.items() if name != "OPS/text/c.xhtml"}
    read = epub.read(packed(members), "book.epub")
    assert "Last words." in read.text
    assert read.notes == ("chapters that could not be read: 1",)


@pytest.mark.parametrize(
    ("algorithm", "locked"),
    [("http://www.w3.org/2001/04/xmlenc#aes128-cbc", True), ("http://www.idpf.org/2008/embedding", False)],
)
def test_locked_chapters_are_encrypted_and_mangled_fonts_are_not(algorithm: str, locked: bool) -> None:
    entry = (
        f'<encryption><EncryptedData><EncryptionMethod Algorithm="{algorithm}"/><CipherData>'
        '<CipherReference URI="OPS/text/c.xhtml"/></CipherData></EncryptedData></encryption>'
    )
    data = packed(BOOK | {"META-INF/encryption.xml": entry})
    if locked:
        with pytest.raises(ReadProblem) as raised:
            epub.read(data, "book.epub")
        assert raised.value.code == "encrypted"
    else:
        assert "First." in epub.read(data, "book.epub").text


def rich(body: bytes, head: bytes = b"\\ansi\\ansicpg1252") -> str:
    fonts = b"{\\fonttbl{\\f0\\fcharset0 A;}{\\f1\\fcharset134 B;}}"
    return rtf.read(b"{\\rtf1" + head + fonts + body + b"}", "f.rtf").text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"caf\\'e9 \\u8364? \\emdash\\~x\\par next", "café € —\u00a0x\n\nnext"),
        (b"\\f1 \\'c4\\'e3\\'ba\\'c3\\f0 ok", "你好ok"),
        (b"\\uc2\\u20320 ab\\u22909\\'c4\\'e3!", "你好!"),
        (b"\\u-10179?\\u-8704?", "😀"),
        (b"a{\\pict\\pngblip 00ff}{\\*\\unknown x}{\\fldinst HYPERLINK}{\\fldrslt link}b", "alinkb"),
        (b"a\\bin5 }}}}}b", "ab"),
        (b"\\{x\\}\\\\ \\line y", "{x}\\ \ny"),
        (b"claim{\\footnote small {\\b print}}. More\\par end", "claim. More\n\nNote 1: small print\n\nend"),
        (b"{\\listtext 1.\\tab}first\\par", "1.\tfirst"),
    ],
)
def test_words_signs_and_destinations(body: bytes, text: str) -> None:
    assert rich(body) == text


def test_the_code_page_of_the_document_holds_where_no_font_says_otherwise() -> None:
    assert rich(b"\\'c4\\'e3", b"\\ansi\\ansicpg936") == "你"
    assert rich(b"\\'8e", b"\\mac") == "é"


def test_tables_headings_and_hidden_text() -> None:
    read = rtf.read(
        b"{\\rtf1{\\stylesheet{\\s1\\outlinelevel0 heading 1;}}\\pard\\s1 Title\\par\\pard text {\\v secret}"
        b"{\\deleted gone}\\par\\trowd\\pard\\intbl a\\par b\\cell c\\cell\\row"
        b"\\intbl 1\\cell 2\\cell\\row\\pard end\\par}",
        "f.rtf",
    )
    assert read.text == "Title\n\ntext \n\na b | c\n1 | 2\n\nend"
    assert read.marks[0].heading == "Title"
    assert read.hidden_removed == len("secret")
    assert read.text[read.blocks[0].start : read.blocks[0].end] == "a b | c\n1 | 2"
    assert read.notes == ("tracked deletions left out",)


def test_a_file_cut_short_gives_what_is_there_and_says_so() -> None:
    read = rtf.read(b"{\\rtf1 some words\\par {\\b more", "f.rtf")
    assert read.text == "some words\n\nmore"
    assert read.notes == ("the file ends early: a brace is not closed",)


def test_rtf_without_text_is_empty() -> None:
    with pytest.raises(ReadProblem) as raised:
        rich(b"{\\pict ffff}")
    assert raised.value.code == "empty"
