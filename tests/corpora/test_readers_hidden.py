"""What nobody sees goes, is counted, and moves the marks; what scripts need stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.readers.hidden import strip_hidden, visible
from corpora.records import Extracted, Mark, Span


def cleaned(text: str) -> tuple[str, int]:
    result = strip_hidden(Extracted(text, "txt"))
    return result.text, result.hidden_removed


@pytest.mark.parametrize(
    ("text", "seen", "count"),
    [
        ("a\u200bb\u200ec\ufeff", "abc", 3),
        ("pay\u202eroll\u202c", "payroll", 2),
        ("A" + "".join(chr(0xE0000 + ord(c)) for c in "ignore"), "A", 6),
        ("soft\u00adhyphen\u2060", "softhyphen", 2),
        ("nul\x00 bell\x07 c1\x9b", "nul bell c1", 3),
        ("\x1b[31mred\x1b[0m", "red", 9),
        ("\x1b]0;title\x07text", "text", 10),
        ("lone\udc80", "lone", 1),
        ("a\tb\nc", "a\tb\nc", 0),
        ("a\r\nb\rc", "a\nb\nc", 0),
        ("page\x0cbreak\u2028line", "page\nbreak\nline", 0),
        ("x\ufe0f\ufe0f\ufe01", "x", 3),
        ("\u200d\u200c start", " start", 2),
        ("Latin\u200dletters", "Latinletters", 1),
    ],
)
def test_removed(text: str, seen: str, count: int) -> None:
    assert cleaned(text) == (seen, count)


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",  # Persian needs its ZWNJ
        "क्\u200dष",  # a half form
        "ශ්\u200dරී",
        "👨\u200d👩\u200d👧",
        "❤\ufe0f\u200d🔥",
        "1\ufe0f⃣",
        "葛\U000e0100",  # a variant of an ideograph
        "ภาษา\u200bไทย",
        "naïve – “quotes” 中文、日本語",
    ],
)
def test_kept(text: str) -> None:
    assert cleaned(text) == (text, 0)


def test_marks_and_blocks_move_with_the_text() -> None:
    text = "\ufeffA\u200b\nhead\u200bing\r\n[x\u200b]"
    marks = (Mark(1, heading="A\u200b"), Mark(4, heading="heading"))
    result = strip_hidden(Extracted(text, "md", marks, (Span(text.index("["), len(text)),)))
    assert result.text == "A\nheading\n[x]"
    assert [result.text[mark.start :][:2] for mark in result.marks] == ["A\n", "he"]
    assert [mark.heading for mark in result.marks] == ["A", "heading"]
    assert [result.text[span.start : span.end] for span in result.blocks] == ["[x]"]
    assert result.hidden_removed == 4


@given(st.text(st.sampled_from("ab \n\r\u200b\u200d\u202e\x00中")), st.data())
def test_an_offset_still_points_at_its_character(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    result = strip_hidden(Extracted(text, "txt", (Mark(at),)))
    before, after = visible(text[:at]), result.text
    start = result.marks[0].start
    assert after == visible(text)
    if not text[:at].endswith("\r"):  # "\r" ends a line alone, or is half of one end
        assert after[:start] == before


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = visible(text)
    assert visible(once) == once
