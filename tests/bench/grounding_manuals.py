"""Paragraphs of manuals for the grounding adapter, with questions made by rule and some written for it.

What people asked of encyclopedias and papers alone teaches a reader to refuse manuals: headings, lists, code,
references. These texts are cut into passages as a library cuts them. `manual_questions.jsonl` holds
questions that a language model wrote for this project as users of a manual ask, a passage at a time: those
with an answer, a span of the passage, and those that the passage does not answer.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora.chunking import split
from corpora.readers.plain import read_md, read_rst
from corpora.records import Extracted, Passage
from finetune.answer_first.writer import AnswerFirst

MANUALS = {"rust-book-en": ("*.md", read_md), "flask-docs": ("*.rst", read_rst)}
WRITTEN = Path(__file__).with_name("manual_questions.jsonl")
_TOKENS = 256  # of a passage, counted roughly
_SHORTEST = 200  # characters
_HEAD = 100  # characters by which the file of questions names a passage
_LONGEST_ANSWER = 100
_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Manual:
    """A passage of a manual with its questions; an answer stands in the text."""

    name: str
    path: str
    heading: str | None
    text: str
    by_rule: tuple[tuple[str, str], ...]
    written: tuple[tuple[str, str | None], ...]


def manuals(documents: Path) -> Iterator[Manual]:
    """Every passage; most have questions."""
    writer = AnswerFirst()
    written = _written()
    for name, (pattern, read) in MANUALS.items():
        for file in sorted((documents / name).rglob(pattern)):
            where = file.relative_to(documents / name).as_posix()
            passages = [one for one in _passages(read, file) if len(one.text) >= _SHORTEST]
            for passage, candidates in zip(passages, writer.write(passages), strict=True):
                by_rule = tuple(
                    (one.question, one.answer) for one in candidates if len(one.answer) <= _LONGEST_ANSWER
                )
                own = tuple(written[name, where, passage.text[:_HEAD]])
                yield Manual(name, file.name, passage.heading, passage.text, by_rule, own)


def _written() -> dict[tuple[str, str, str], list[tuple[str, str | None]]]:
    """Questions with their answers by manual, file and beginning of the passage."""
    found: dict[tuple[str, str, str], list[tuple[str, str | None]]] = defaultdict(list)
    for line in WRITTEN.read_text("utf-8").splitlines():
        row = json.loads(line)
        found[row["source"], row["file"], row["passage"]].append((row["question"], row["answer"]))
    return found


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
