"""Bytes to text in any encoding, or a reason with the byte offset."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.readers import ReadProblem
from corpora.readers.encoding import decode

WITHOUT_RETURNS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\ufeff\x00\x1b"))


@given(WITHOUT_RETURNS, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_text_with_a_mark_comes_back(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)).text == text


@given(WITHOUT_RETURNS)
def test_utf8_without_a_mark_comes_back_without_a_note(text: str) -> None:
    decoded = decode(text.encode())
    assert (decoded.text, decoded.note) == (text, None)


@given(st.binary(max_size=200))
def test_any_bytes_give_text_or_a_reason_and_no_replacement(data: bytes) -> None:
    try:
        text = decode(data).text
    except ReadProblem as problem:
        assert problem.code == "undecodable"
    else:
        assert "\ufffd" not in text or "\ufffd".encode() in data or "\ufffd".encode("utf-16") in data


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_without_a_mark(encoding: str) -> None:
    text = "The quick brown fox.\nÜber 中文 as well.\n"
    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert encoding in str(decoded.note)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("café", "cp1252"),
        ("naïve “quoted” – dash", "cp1252"),
        ("El niño comió ¿qué?", "cp1252"),
        ("Größe: 5 µm bei 20 °C", "cp1252"),
        ("Zażółć gęślą jaźń", "cp1250"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
        ("İstanbul güzel şehir ışık", "cp1254"),
        ("Visi žmonės gimsta laisvi ir lygūs savo orumu", "cp1257"),
        ("Привет, мир", "cp1251"),
        ("Привет, мир", "koi8-r"),
        ("Привет, мир", "cp866"),
        ("Ελληνικά κείμενα", "cp1253"),
        ("כל בני האדם נולדו בני חורין ושווים בערכם", "cp1255"),
        ("مرحبا بالعالم", "cp1256"),
        ("สวัสดีชาวโลก", "cp874"),
        ("你好", "gb18030"),
        ("中文测试文件，内容很短。", "gb18030"),
        ("繁體中文測試文件", "cp950"),
        ("日本語のテスト", "cp932"),
        ("日本語のテスト", "euc_jp"),
        ("日本語のテスト", "iso2022_jp"),
        ("한국어 텍스트", "cp949"),
    ],
)
def test_one_line_in_a_legacy_encoding(text: str, encoding: str) -> None:
    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert decoded.note is not None


def test_note_names_the_encoding_and_how_sure_it_is() -> None:
    assert decode("déjà vu, très bien".encode("cp1252")).note == "read as windows-1252 (100 %)"


@pytest.mark.parametrize(
    "head", ['<?xml version="1.0" encoding="koi8-r"?>', '<html><head><meta charset="koi8-r">']
)
def test_declared_charset_of_markup_wins_over_the_guess(head: str) -> None:
    text = head + "<p>а</p>"
    decoded = decode(text.encode("koi8-r"), markup=True)
    assert decoded.text == text
    assert decoded.note == "read as koi8-r (declared)"


def test_wrong_or_unknown_declaration_is_survived() -> None:
    assert decode("é".encode(), declared="us-ascii").text == "é"
    assert decode("café".encode("cp1252"), declared="no-such-charset").text == "café"


def test_utf8_broken_in_the_middle_tells_the_byte() -> None:
    data = "Überall schöne Wörter für müde Bären ".encode() + b"\xff" + "größer".encode()
    with pytest.raises(ReadProblem, match="byte 43") as problem:
        decode(data)
    assert problem.value.code == "undecodable"


def test_cut_utf16_tells_the_byte() -> None:
    with pytest.raises(ReadProblem, match="byte 4"):
        decode(b"\xff\xfea\x00b")


def test_newlines_become_one_kind() -> None:
    assert decode(b"a\r\nb\rc\n").text == "a\nb\nc\n"


def test_real_files_in_known_encodings(shared_data: Path) -> None:
    supersets = {"GB2312": "gb18030", "Big5": "cp950"}
    wrong = []
    for folder in sorted((shared_data / "documents" / "encodings").iterdir()):
        for path in folder.iterdir() if folder.is_dir() else ():
            data = path.read_bytes()
            wanted = data.decode(supersets.get(folder.name, folder.name)).removeprefix("\ufeff")
            if decode(data).text != wanted.replace("\r\n", "\n").replace("\r", "\n"):
                wrong.append(path)
    assert wrong == []
