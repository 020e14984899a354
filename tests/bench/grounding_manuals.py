"""Paragraphs of manuals for the grounding adapter, with questions that `generate` makes by rule.

What people asked of encyclopedias and papers alone teaches a reader to refuse manuals: headings, lists, code,
references. These texts are cut into passages as a library cuts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora.chunking import split
from corpora.readers.plain import read_md, read_rst
from corpora.records import Extracted, Passage
from finetune.answer_first.writer import AnswerFirst

MANUALS = {"rust-book-en": ("*.md", read_md), "flask-docs": ("*.rst", read_rst)}
_TOKENS = 256  # of a passage, counted roughly
_SHORTEST = 200  # characters
_LONGEST_ANSWER = 100
_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Manual:
    """A passage of a manual and its questions, each with an answer that stands in the text."""

    name: str
    path: str
    heading: str | None
    text: str
    answered: tuple[tuple[str, str], ...]


def manuals(documents: Path) -> Iterator[Manual]:
    """Every passage of which a question can be made."""
    writer = AnswerFirst()
    for name, (pattern, read) in MANUALS.items():
        for file in sorted((documents / name).rglob(pattern)):
            passages = [one for one in _passages(read, file) if len(one.text) >= _SHORTEST]
            for passage, candidates in zip(passages, writer.write(passages), strict=True):
                answered = tuple(
                    (one.question, one.answer) for one in candidates if len(one.answer) <= _LONGEST_ANSWER
                )
                if answered:
                    yield Manual(name, file.name, passage.heading, passage.text, answered)


def _passages(read: Callable[[bytes, str], Extracted], file: Path) -> list[Passage]:
    extracted = read(file.read_bytes(), file.name)
    pieces = split(extracted, count_tokens=_counts, max_tokens=_TOKENS)
    return [
        Passage(
            place,
            "x",
            "x",
            file.name,
            extracted.kind,
            place,
            piece.start,
            piece.end,
            piece.line_start,
            piece.line_end,
            None,
            piece.heading,
            extracted.text[piece.start : piece.end],
        )
        for place, piece in enumerate(pieces, 1)
    ]


def _counts(texts: Sequence[str]) -> list[int]:
    return [len(_TOKEN.findall(text)) for text in texts]
