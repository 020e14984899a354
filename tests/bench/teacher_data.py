"""Training rows of the question adapter: human questions with the passage and the answer that they belong to.

A question is taken where it can be understood alone, as `finetune.answer_first` reads it: the same reading
that questions of the adapter must pass. "The university" is named in full first, where the title tells which.
Articles that are `BARRED`, and the paragraphs that measure readers in `generate`, are in no row.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grounding_data import (
    BARRED,
    Paragraph,
    _key,
    calibration_keys,
    common_answer,
    other_paragraphs,
    read,
    squad_articles,
)

from corpora.records import Message, Passage
from finetune.answer_first.asked import Asked
from finetune.answer_first.english import made_clear
from finetune.answer_first.question_writer import Chosen, question_prompt
from finetune.answer_first.sources import Source, sources
from finetune.answer_first.topic import title_of
from finetune.evaluation.forgetting import drawn
from finetune.rouge import words

_SETS = frozenset(("squad2", "xquad-en", "expmrc-squad", "covid-qa", "clapnq"))
_RESERVED = 0.08  # of the paragraphs, for the validation loss
_UNTITLED = 0.15  # of the paragraphs are shown without a title, as documents without one are


@dataclass(frozen=True, slots=True)
class Human:
    """A question that people asked, with what a question writer would be given for its answer."""

    chosen: Chosen
    question: str
    source: str
    kind: str = "question"

    @property
    def messages(self) -> tuple[Message, ...]:
        """The prompt, as the writer with an adapter sends it."""
        return question_prompt(self.chosen, examples=False)


def rows(folder: Path, seed: int) -> tuple[list[Human], list[Human]]:
    """Training and validation rows; no paragraph is in both."""
    rng = random.Random(seed)
    paragraphs = [one for article in squad_articles(folder).values() for one in article]
    barred = calibration_keys()
    paragraphs += [one for one in other_paragraphs(folder, rng) if _key(one.text) not in barred]
    parts: tuple[list[Human], list[Human]] = ([], [])
    for one in paragraphs:
        if one.source in _SETS:
            titled = rng.random() >= _UNTITLED
            parts[_is_reserved(one)].extend(humans(one, titled=titled))
    return parts


def humans(paragraph: Paragraph, *, titled: bool = True) -> Iterator[Human]:
    """The questions of a paragraph that can be understood alone."""
    passage = passage_of(paragraph)
    usable = sources(passage)
    for question, answer in paragraph.answered:
        source = _sentence(question, answer, usable)
        if source is None:
            continue
        start = passage.text.lower().find(answer.lower(), source.start)
        end = start + len(answer.rstrip(" .,;"))
        if not _is_whole(passage.text, start, end):
            continue
        asked = Asked(question.strip().rstrip("?") + "?", start, end, "human", 1.0)
        clear = made_clear(asked, source)
        if clear is not None:
            title = title_of(passage) if titled and paragraph.source != "covid-qa" else ""
            chosen = Chosen(passage.text, source.text, passage.text[start:end], title)
            yield Human(chosen, clear.question, paragraph.source)


def passage_of(paragraph: Paragraph) -> Passage:
    """A paragraph as a library has it, under its title."""
    text, title = paragraph.text, paragraph.title.replace("_", " ")
    path = f"{paragraph.title.replace('/', '-')}.md"
    return Passage(1, path, path, path, "md", 0, 0, len(text), 1, 1, None, title, text)


def _sentence(question: str, answer: str, usable: Sequence[Source]) -> Source | None:
    """The sentence that holds the answer and most of the question's words."""
    asked = set(words(question))
    holding = [one for one in usable if answer.lower() in one.text.lower()]
    return max(holding, key=lambda one: len(asked & set(words(one.text))), default=None)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is cut at the ends of words."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def held_out(folder: Path) -> list[Human]:
    """The human questions about the barred articles, which no row shows."""
    by_text: dict[str, Paragraph] = {}
    for name in ("squad2", "xquad-en", "expmrc-squad"):
        here = {row["doc_id"]: row for row in read(folder, name, "docs") if row["title"] in BARRED}
        for row in read(folder, name, "questions"):
            doc = here.get(row["doc_ids"][0])
            answer = common_answer(row["answers"], doc["text"]) if doc and row["answerable"] else None
            if doc is None or answer is None:
                continue
            one = by_text.setdefault(_key(doc["text"]), Paragraph(doc["title"], doc["text"], name))
            if all(row["question"] != known for known, _ in one.answered):
                one.answered.append((row["question"], answer))
    return [human for one in by_text.values() for human in humans(one)]


def _is_reserved(paragraph: Paragraph) -> bool:
    return drawn(paragraph.text) < _RESERVED
