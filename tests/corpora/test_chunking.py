"""Passages are exact, complete, ordered and short enough, whatever the text and the tokenizer."""

from __future__ import annotations

import subprocess
import sys
import time
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from corpora.chunking import Piece, split
from corpora.records import Extracted, Mark, Span, TokenCounter, indexed_text

KINDS = ["txt", "md", "rst", "pdf", "csv", "code", "json", "xlsx"]
SENTENCES = [
    "The cat sat on the mat. ",
    "Dr. Smith met J. R. Jones at 5 p.m. in Oslo. ",
    "今天天气很好。我们去公园，看花、看鸟！",
    "吾輩は猫である。名前はまだ無い。",
    "Ein langer Satz, der nicht aufhört; ",
    "\n\n",
    "\n",
    "## A heading\n\n",
    "- item one\n- item two\n",
    "def f(x):\n    return x\n\n\n@wrap\nclass A:\n    pass\n",
    'a,"b\nc",d\n1,2,3\n',
    "👩‍👩‍👧‍👦👍🏽🇫🇷🇩🇪",
    "e\u0301\u0302a\u0308n\u0303",
    "각",
    "ﷺ",
    "Supercalifragilisticexpialidocious" * 4,
    "the the the the ",
    "   \t ",
    "......!!! ",
    "x",
]


def characters(texts: Sequence[str]) -> list[int]:
    """One token a character, and two around the text."""
    return [len(text) + 2 for text in texts]


def words(texts: Sequence[str]) -> list[int]:
    """One token a word, none around the text."""
    return [len(text.split()) for text in texts]


def quadratic(texts: Sequence[str]) -> list[int]:
    """Far from additive: a text costs more than its parts."""
    return [1 + len(text) + len(text) ** 2 // 64 for text in texts]


def trained(
    model: models.Model,
    trainer: trainers.Trainer,
    normalizer: normalizers.Normalizer,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    around: tuple[str, str] | None = None,
) -> TokenCounter:
    """The counter of a tiny tokenizer trained on the spot."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    if around:
        first, last = [(token, tokenizer.token_to_id(token)) for token in around]
        tokenizer.post_processor = processors.BertProcessing(last, first)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(encoding) for encoding in tokenizer.encode_batch(list(texts))]

    return count


SPECIAL = ["[UNK]", "[CLS]", "[SEP]"]
WORDPIECE = trained(
    models.WordPiece(vocab={SPECIAL[0]: 0}, unk_token=SPECIAL[0], max_input_chars_per_word=100),
    trainers.WordPieceTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False),
    normalizers.BertNormalizer(),
    pre_tokenizers.BertPreTokenizer(),
    ("[CLS]", "[SEP]"),
)
# Byte pairs across words: the tokens of a whole differ a lot from the sum over its parts.
BPE = trained(
    models.BPE(),
    trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    ),
    normalizers.NFKC(),
    pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
)
# As multilingual encoders do: every text starts with a word mark, so the sum is more than the whole.
UNIGRAM = trained(
    models.Unigram(),
    trainers.UnigramTrainer(
        vocab_size=300, unk_token=SPECIAL[0], special_tokens=SPECIAL, show_progress=False
    ),
    normalizers.NFKC(),
    pre_tokenizers.Metaspace(),
    ("[CLS]", "[SEP]"),
)
COUNTERS: dict[str, TokenCounter] = {
    "characters": characters,
    "words": words,
    "quadratic": quadratic,
    "wordpiece": WORDPIECE,
    "bpe": BPE,
    "unigram": UNIGRAM,
}


@st.composite
def documents(draw: st.DrawFn) -> Extracted:
    parts = draw(
        st.lists(
            st.one_of(
                st.sampled_from(SENTENCES),
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20),
            ),
            max_size=40,
        )
    )
    text = "".join(part * draw(st.integers(1, 4)) for part in parts)
    places = st.integers(0, max(0, len(text)))
    headings = st.sampled_from(
        [None, "T", "T > A", "T > A > deep", "T > B", "U", "long heading " * 30 + " > end"]
    )
    marks = draw(st.lists(st.builds(Mark, places, st.sampled_from([None, 1, 2]), headings), max_size=6))
    edges = sorted(draw(st.lists(places, max_size=6)))
    blocks = [Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    return Extracted(
        text, draw(st.sampled_from(KINDS)), tuple(sorted(marks, key=lambda mark: mark.start)), tuple(blocks)
    )


def sections(extracted: Extracted) -> list[tuple[int, int, int | None, str | None]]:
    """The text between marks, told apart anew: (start, end, page, heading)."""
    at = {0: (None, None)} | {mark.start: (mark.page, mark.heading) for mark in extracted.marks}
    starts = sorted(at)
    return [
        (start, end, *at[start])
        for start, end in zip(starts, [*starts[1:], len(extracted.text)], strict=True)
    ]


def check(
    extracted: Extracted, pieces: list[Piece], count: TokenCounter, max_tokens: int, overlap: int
) -> None:
    text = extracted.text
    seen = bytearray(len(text))
    for piece in pieces:
        passage = text[piece.start : piece.end]
        assert passage
        assert passage == passage.strip()
        assert count([indexed_text(piece.heading, passage)])[0] <= max_tokens
        assert piece.line_start == text.count("\n", 0, piece.start) + 1
        assert piece.line_end == text.count("\n", 0, piece.end) + 1
        seen[piece.start : piece.end] = b"\1" * len(passage)
    assert all(seen[place] for place, character in enumerate(text) if not character.isspace())
    for before, after in pairwise(pieces):
        assert before.start < after.start
        assert before.end < after.end
        repeated = text[after.start : before.end]
        assert after.start >= before.end or (overlap and count([repeated])[0] - count([""])[0] <= overlap)


def check_sections(extracted: Extracted, pieces: list[Piece]) -> None:
    stretches = [part for part in sections(extracted) if extracted.text[part[0] : part[1]].strip()]
    for piece in pieces:
        crossed = [part for part in stretches if part[0] < piece.end and part[1] > piece.start]
        assert {page for _, _, page, _ in crossed} == {piece.page}
        if piece.heading is None:
            continue
        path = piece.heading.split(" > ")
        for _, _, _, heading in crossed:
            assert heading is not None
            if len(heading) < 30:  # short enough never to be cut
                assert heading.split(" > ")[: len(path)] == path or heading.endswith(piece.heading)


@pytest.mark.parametrize("name", COUNTERS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_passages_are_exact_complete_ordered_and_bounded(name: str, data: st.DataObject) -> None:
    extracted = data.draw(documents())
    max_tokens = data.draw(st.sampled_from([24, 40, 64, 128, 256]))
    overlap = data.draw(st.sampled_from([0, 0, max_tokens // 8, max_tokens // 2]))
    count = COUNTERS[name]
    pieces = split(extracted, count_tokens=count, max_tokens=max_tokens, overlap=overlap)
    check(extracted, pieces, count, max_tokens, overlap)
    check_sections(extracted, pieces)
    assert pieces == split(extracted, count_tokens=count, max_tokens=max_tokens, overlap=overlap)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_protected_block_that_fits_is_whole(data: st.DataObject) -> None:
    prose = st.lists(st.sampled_from(SENTENCES[:6]), max_size=8).map("".join)
    table = st.lists(st.just("| a | b. C |\n"), min_size=1, max_size=20).map("".join)
    text, blocks = "", []
    for _ in range(data.draw(st.integers(1, 4))):
        text += data.draw(prose) + "\n\n"
        rows = data.draw(table)
        blocks.append(Span(len(text), len(text) + len(rows)))
        text += rows + "\n"
    extracted = Extracted(text, "md", blocks=tuple(blocks))
    overlap = data.draw(st.sampled_from([0, 20]))
    pieces = split(extracted, count_tokens=WORDPIECE, max_tokens=64, overlap=overlap)
    for block in blocks:
        rows = text[block.start : block.end].strip()
        whole = any(p.start <= block.start and p.end >= block.start + len(rows) for p in pieces)
        assert whole == (WORDPIECE([rows])[0] <= 64)


def test_a_block_that_is_too_long_is_cut_at_its_lines() -> None:
    text = "".join(f"let variable_{number} = compute(a, b);\n" for number in range(200))
    extracted = Extracted(text, "md", blocks=(Span(0, len(text)),))
    pieces = split(extracted, count_tokens=characters, max_tokens=300)
    assert len(pieces) > 10
    assert all(text[piece.end] == "\n" for piece in pieces)


def test_rows_of_a_table_are_whole() -> None:
    text = "".join(f'{number},"a cell. With a full stop\nand a line break",end\n' for number in range(300))
    pieces = split(Extracted(text, "csv"), count_tokens=WORDPIECE, max_tokens=128)
    assert len(pieces) > 10
    assert all(text[piece.start].isdigit() and text[: piece.end].endswith(",end") for piece in pieces)


def test_code_is_cut_before_definitions_and_decorators_stay() -> None:
    body = "".join(f"    value_{number} = {number}\n" for number in range(12))
    text = "".join(f"@decorated\n# about it\ndef function_{number}():\n{body}\n" for number in range(20))
    pieces = split(Extracted(text, "code"), count_tokens=characters, max_tokens=700)
    assert len(pieces) > 5
    assert all(text.startswith("@decorated", piece.start) for piece in pieces)


def test_sentences_are_not_cut_at_abbreviations() -> None:
    text = "We met Dr. A. Jones, e.g. at 5 p.m. in St. Louis, for tea and for a long talk there. " * 40
    pieces = split(Extracted(text, "txt"), count_tokens=characters, max_tokens=200)
    assert all(text[piece.start : piece.end].startswith("We met") for piece in pieces)
    assert all(text[piece.start : piece.end].endswith("there.") for piece in pieces)


def test_chinese_is_cut_at_its_full_stops() -> None:
    text = "他说：“今天很好。”然后，我们去了公园！你去吗？是的……" * 40
    pieces = split(Extracted(text, "txt"), count_tokens=characters, max_tokens=64)
    assert all(text[piece.end - 1] in "”！？…" for piece in pieces)


def test_wrapped_lines_are_no_boundaries() -> None:
    lines = [
        "The first sentence of this paragraph goes on over the end of",
        "its line and ends. Then another one follows that is",
    ]
    text = "\n".join([*lines, "also wrapped by hand, and ends at the end of its line."] * 30)
    pieces = split(Extracted(text, "txt"), count_tokens=characters, max_tokens=300)
    assert all(text[piece.end - 1] == "." for piece in pieces)


def test_no_crumb_is_left_at_the_end() -> None:
    text = "One sentence with exactly forty letters. " * 51
    pieces = split(Extracted(text, "txt"), count_tokens=characters, max_tokens=412)
    sizes = [piece.end - piece.start for piece in pieces]
    assert min(sizes) > 412 / 4


def test_a_title_joins_what_follows_and_long_sections_do_not_mix() -> None:
    title, first, second = (
        "# Title\n\n",
        "## A\n\n" + "Words of the first. " * 30,
        "## B\n\n" + "Words of the second. " * 30,
    )
    text = title + first + second
    marks = (
        Mark(0, None, "Title"),
        Mark(len(title), None, "Title > A"),
        Mark(len(title + first), None, "Title > B"),
    )
    pieces = split(Extracted(text, "md", marks), count_tokens=WORDPIECE, max_tokens=256)
    assert pieces[0].start == 0
    assert pieces[0].end > len(title)
    assert pieces[0].heading == "Title"
    assert len(title + first) in [piece.start for piece in pieces]
    assert pieces[-1].heading == "Title > B"


def test_small_siblings_share_a_passage_under_their_parent_and_pages_do_not() -> None:
    text = "".join(f"## {letter}\n\nShort.\n\n" for letter in "ABCDEFGH")
    starts = range(0, len(text), len(text) // 8)
    marks = [Mark(start, None, f"Words > {text[start + 3]}") for start in starts]
    (one,) = split(Extracted(text, "md", tuple(marks)), count_tokens=words, max_tokens=64)
    assert one.heading == "Words"
    pages = [Mark(start, number, None) for number, start in enumerate(starts, 1)]
    pieces = split(Extracted(text, "pdf", tuple(pages)), count_tokens=words, max_tokens=64)
    assert [piece.page for piece in pieces] == list(range(1, 9))


def test_a_long_heading_loses_its_leading_parts_then_its_end() -> None:
    path = " > ".join(f"part number {number} of the path" for number in range(20))
    endless = Mark(20, None, "endless " * 5000)
    text = "Some text is here.  And here is some more."
    pieces = split(
        Extracted(text, "md", (Mark(0, None, path), endless)), count_tokens=WORDPIECE, max_tokens=128
    )
    assert pieces[0].heading is not None
    assert path.endswith(pieces[0].heading)
    assert WORDPIECE([pieces[0].heading])[0] <= 128 // 4 + 2
    assert pieces[1].heading is not None
    assert pieces[1].heading.startswith("endless endless")


def test_accents_and_emoji_sequences_are_not_parted() -> None:
    text = ("e\u0301\u0323" * 200) + ("👩‍👩‍👧‍👦" * 60) + ("🇫🇷" * 100)
    pieces = split(Extracted(text, "txt"), count_tokens=characters, max_tokens=66)
    for piece in pieces[1:]:
        assert not unicodedata.combining(text[piece.start])
        assert "\u200d" not in (text[piece.start], text[piece.start - 1])
    flags = [
        piece for piece in pieces if text[piece.start] >= "\U0001f1e6" and text[piece.start] <= "\U0001f1ff"
    ]
    assert all(text[piece.start] == "🇫🇷"[0] for piece in flags)


def test_a_base_with_endless_accents_is_still_cut() -> None:
    text = "a" + "\u0301" * 5000
    pieces = split(Extracted(text, "txt"), count_tokens=characters, max_tokens=64)
    check(Extracted(text, "txt"), pieces, characters, 64, 0)


@pytest.mark.parametrize(
    "text",
    [
        "abcdefghij" * 100_000,
        "lorem ipsum, " * 77_000,
        "." * 1_000_000,
        "a\n\n" * 333_000,
        "a" + " " * 1_000_000 + "b",
        '"' * 1_000_000,
    ],
    ids=["word", "line", "dots", "paragraphs", "spaces", "quotes"],
)
@pytest.mark.parametrize("kind", ["txt", "csv", "code"])
def test_a_megabyte_of_one_thing_takes_seconds(text: str, kind: str) -> None:
    def quick(texts: Sequence[str]) -> list[int]:
        nonlocal passed
        passed += sum(map(len, texts))
        return [2 + len(text) // 4 for text in texts]

    passed = 0
    started = time.process_time()
    pieces = split(Extracted(text, kind), count_tokens=quick, max_tokens=256)
    assert time.process_time() - started < 8
    assert passed <= 2.5 * len(text) + 10
    assert max(piece.end - piece.start for piece in pieces) <= 256 * 16


def test_text_is_counted_at_most_two_and_a_half_times_in_big_batches(shared_data: Path) -> None:
    calls: list[int] = []

    def counted(texts: Sequence[str]) -> Sequence[int]:
        calls.append(sum(map(len, texts)))
        return WORDPIECE(texts)

    text = "\n\n".join(path.read_text("utf-8") for path in sorted((shared_data / "articles-en").glob("*.md")))
    split(Extracted(text, "md"), count_tokens=counted, max_tokens=256)
    assert sum(calls) <= 2.5 * len(text)
    assert len(calls) < 12


@pytest.mark.parametrize("folder", ["articles-en", "articles-zh"])
@pytest.mark.parametrize("overlap", [0, 32])
def test_real_articles(shared_data: Path, folder: str, overlap: int) -> None:
    for path in sorted((shared_data / folder).glob("*.md"))[:25]:
        text = path.read_text("utf-8").replace("\r\n", "\n")
        places = [0] + [
            place for place in range(1, len(text)) if text[place] == "#" and text[place - 1] == "\n"
        ]
        marks = tuple(
            Mark(place, None, text[place : text.find("\n", place)].strip("# ") or None) for place in places
        )
        extracted = Extracted(text, "md", marks)
        pieces = split(extracted, count_tokens=WORDPIECE, max_tokens=256, overlap=overlap)
        check(extracted, pieces, WORDPIECE, 256, overlap)


@pytest.mark.parametrize("text", ["", " \n\t\n "])
def test_nothing_visible_is_no_passage(text: str) -> None:
    assert split(Extracted(text, "txt"), count_tokens=words, max_tokens=16) == []


def test_impossible_budgets_are_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        split(Extracted("text", "txt"), count_tokens=characters, max_tokens=2)
    with pytest.raises(ValueError, match="overlap"):
        split(Extracted("text", "txt"), count_tokens=words, max_tokens=16, overlap=9)
    with pytest.raises(ValueError, match="character"):
        split(
            Extracted("ﷺ", "txt"),
            count_tokens=lambda texts: [len(t.encode()) * 9 for t in texts],
            max_tokens=16,
        )


def test_no_heavy_import_comes_with_splitting() -> None:
    program = """
import sys
from corpora.chunking import split
from corpora.records import Extracted
assert "langchain_text_splitters" not in sys.modules
for text, kind in (("def f(): pass\\n\\ndef g(): pass\\n", "code"), ("Text.\\n\\n# T\\n\\nText.\\n", "md")):
    split(Extracted(text, kind), count_tokens=lambda texts: [1 + len(text) for text in texts], max_tokens=64)
assert "langchain_text_splitters" in sys.modules
heavy = {"torch", "transformers", "sentence_transformers", "nltk", "spacy", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)
