"""Quotes are found in spite of case, width, white space, dashes and quotation marks, and only there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.records import Passage
from finetune.candidates import Claimed
from finetune.checks.locating import find_quote, fold, holds, locate

TEXT = (
    "The harbour of Brannock\nis guarded by a “light\u00adhouse” – built in 1874,\n31 metres high; "
    "a well-known café."
)


def passage(text: str, start: int = 0) -> Passage:
    return Passage(1, "p1", "d1", "a.md", "md", 0, start, start + len(text), 1, 1, None, None, text)


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("Brannock is guarded", "Brannock\nis guarded"),
        ("BRANNOCK  IS\tGUARDED", "Brannock\nis guarded"),
        ('a "lighthouse" - built', "a “light\u00adhouse” – built"),
        ("lighthouse", "light\u00adhouse"),
        ('"built in 1874, 31 metres high"', "built in 1874,\n31 metres high"),
        ("ｂｕｉｌｔ ｉｎ １８７４", "built in 1874"),
        ("well known", "well-known"),
        ("cafe\u0301", "café"),
        ("…31 metres high…", "31 metres high"),
    ],
)
def test_normalised_match(quote: str, found: str) -> None:
    span = find_quote(quote, TEXT)
    assert span is not None
    assert TEXT[span.start : span.end] == found


@pytest.mark.parametrize(
    "quote",
    [
        "",
        "  ",
        "“”",
        "...",
        "Brannock was guarded",
        "874",
        "187",
        "rannock",
        "1 metres",
        "31 meters",
        "high café",
    ],
)
def test_other_words_and_parts_of_words_are_not_found(quote: str) -> None:
    assert find_quote(quote, TEXT) is None


def test_chinese_needs_no_word_boundary() -> None:
    text = "布兰诺克港有一座灯塔，由工程师安娜·克尔于１８７４年建造。"
    span = find_quote("1874年建造", text)
    assert span is not None and text[span.start : span.end] == "１８７４年建造"
    assert holds(text, "安娜·克尔") and not holds(text, "874年")


def test_of_several_places_the_nearest_is_taken() -> None:
    text = "one two. one two. one two."
    assert [find_quote("One two", text, near).start for near in (0, 8, 30)] == [0, 9, 18]  # type: ignore[union-attr]


def test_a_known_place_is_kept_and_a_wrong_one_is_mended() -> None:
    text = "1874 and 1874"
    exact = locate(Claimed(passage(text, 100), "1874", 9), {"d1": "s"})
    assert exact is not None and (exact.start, exact.end, exact.text, exact.sha256) == (109, 113, "1874", "s")
    mended = locate(Claimed(passage(text, 100), "1874", 7), {"d1": "s"})
    assert mended is not None and mended.start == 109
    assert locate(Claimed(passage(text), "1875", 0), {"d1": "s"}) is None
    assert locate(Claimed(passage(text), "1874", -3), {"d1": "s"}) is not None
    assert locate(Claimed(passage(text), "1874"), {}) is None


@given(st.text(max_size=80), st.integers(0, 80), st.integers(0, 80), st.integers(0, 50))
def test_a_located_quote_is_the_text_of_its_document(text: str, first: int, last: int, start: int) -> None:
    document = "#" * start + text
    quote = locate(Claimed(passage(text, start), text[min(first, last) : max(first, last)]), {"d1": "s"})
    if quote is not None:
        assert quote.text == document[quote.start : quote.end]
        assert 0 <= quote.start < quote.end <= len(document)


_NOISE = st.lists(
    st.sampled_from([" ", "\n", "\t", "\u00a0", "\u200b", "\u00ad", ""]), min_size=60, max_size=60
)


@given(
    st.sampled_from(
        ["The harbour of Brannock was built in 1874 by Anna Kerr.", "港口由工程师安娜于1874年建造，高31米。"]
    ),
    st.data(),
    _NOISE,
    st.booleans(),
    st.booleans(),
)
def test_noise_in_a_quote_is_seen_through(
    text: str, data: st.DataObject, noise: list[str], upper: bool, wide: bool
) -> None:
    words = [at for at in range(len(text)) if at == 0 or not (text[at - 1].isalnum() and text[at].isalnum())]
    words += [at for at in range(1, len(text)) if text[at] > "\u3000" or text[at - 1] > "\u3000"]
    first, last = sorted(data.draw(st.sampled_from(sorted({*words, len(text)}))) for _ in range(2))
    quote = text[first:last]
    if not any(char.isalnum() for char in quote):
        return
    noisy = "".join(char + blank for char, blank in zip(quote, noise, strict=False))
    noisy = noisy.upper() if upper else noisy
    if wide:
        noisy = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in noisy)
    span = find_quote(noisy, text, first)
    assert span is not None
    assert fold(text[span.start : span.end]).text.strip("-'") == fold(quote).text.strip("-'")


@given(st.text(max_size=60))
def test_folding_keeps_places(text: str) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.places)
    assert list(folded.places) == sorted(folded.places)
    assert all(0 <= place < len(text) for place in folded.places)
