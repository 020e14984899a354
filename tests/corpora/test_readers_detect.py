"""The kind of a file: content first, then its name."""

from __future__ import annotations

import io
import zipfile

import pytest

from corpora.readers import READERS, ReadProblem
from corpora.readers.detect import detect

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def archive(*names: str, mimetype: str | None = None) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        if mimetype:
            file.writestr("mimetype", mimetype)
        for name in names:
            file.writestr(name, "x")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.txt", b"hello", "txt"),
        ("README", b"hello", "txt"),
        ("notes.asciidoc", b"= Title", "txt"),
        ("film.srt", b"1\n00:00", "txt"),
        ("odd.xyz", "grüße".encode(), "txt"),
        ("wide.xyz", "grüße".encode("utf-16"), "txt"),
        ("a.md", b"# A", "md"),
        ("a.markdown", b"# A", "md"),
        ("a.rst", b"A\n=", "rst"),
        ("a.HTML", b"<p>x", "html"),
        ("a.txt", b"<p>not a page</p>", "txt"),
        ("a.txt", b"\n<!DOCTYPE html><p>x", "html"),
        ("page", b"<?xml version='1.0'?><html><body>x", "html"),
        ("a.py", b"<html>", "code"),
        ("a.tsv", b"a\tb", "csv"),
        ("a.ndjson", b"{}", "jsonl"),
        ("a.json", b"{}", "json"),
        ("a.ipynb", b"{}", "ipynb"),
        ("a.eml", b"From: a", "eml"),
        ("a.yaml", b"a: 1", "code"),
        ("Makefile", b"all:", "code"),
        ("latin.txt", "café".encode("cp1252"), "txt"),
        ("zeros.txt", b"a\x00b\x00\x00 hello", "txt"),
        ("report.txt", b"%PDF-1.7\n", "pdf"),
        ("report.pdf", b"junk before\n%PDF-1.4", "pdf"),
        ("broken.pdf", b"no pdf at all", "pdf"),
        ("a.doc", b"{\\rtf1 x}", "rtf"),
        ("a.rtf", b"only text", "txt"),
        ("a.docx", archive("[Content_Types].xml", "word/document2.xml"), "docx"),
        ("a.bin", archive("[Content_Types].xml", "xl/workbook.xml"), "xlsx"),
        ("a.pptx", archive("[Content_Types].xml", "ppt/presentation.xml", "xl/x"), "pptx"),
        ("a.zip", archive("content.xml", mimetype="application/vnd.oasis.opendocument.text"), "odt"),
        ("a.epub", archive("META-INF/container.xml", mimetype="application/epub+zip"), "epub"),
        ("a.zip", archive("META-INF/container.xml"), "epub"),
        ("a.docx", archive("nothing.of/word"), "docx"),
        ("cut.docx", archive("[Content_Types].xml", "word/document.xml")[:40], "docx"),
    ],
)
def test_kind(name: str, data: bytes, kind: str) -> None:
    assert detect(data, name) == kind


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", PNG, "unsupported"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "unsupported"),
        ("a.zip", archive("a.txt"), "unsupported"),
        ("cut.zip", archive("a.txt")[:30], "unsupported"),
        ("a.gz", b"\x1f\x8b\x08", "unsupported"),
        ("a.tar", bytes(257) + b"ustar\x00", "unsupported"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "unsupported"),
        ("a.doc", OLE2, "unsupported"),
        ("a.docx", OLE2, "unsupported"),
        ("a.docx", OLE2 + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        ("a.bin", bytes(range(256)) * 8, "unsupported"),
        ("a.md", bytes(range(256)) * 8, "unsupported"),
        ("latin.unknown", "café".encode("cp1252"), "unsupported"),
        ("a.ods", archive(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "unsupported"),
        ("a.xlsb", archive("[Content_Types].xml", "xl/workbook.bin"), "unsupported"),
    ],
)
def test_refused(name: str, data: bytes, code: str) -> None:
    with pytest.raises(ReadProblem) as problem:
        detect(data, name)
    assert problem.value.code == code
    assert problem.value.reason


def test_a_page_of_comments_is_told_at_once() -> None:
    assert detect(b"<!---->" * 700 + b"x", "a.txt") == "txt"
    assert detect(b"<!-- a -->\n" * 300 + b"<html>", "a.txt") == "html"


def test_every_kind_has_a_reader() -> None:
    kinds = "txt md rst html pdf docx pptx xlsx odt rtf csv json jsonl epub eml ipynb code"
    assert set(READERS) == set(kinds.split())
