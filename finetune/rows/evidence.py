"""Does a passage give an answer away? Asked with more suspicion the more a row depends on a "no"."""

from __future__ import annotations

import unicodedata

from corpora.examples import Quote
from corpora.records import Passage
from index.evidence.support import find_evidence, read_claim
from index.evidence.words import question_words, share, words

_SUBJECT = 0.34  # of a question's words


def folded(text: str) -> str:
    """`text` as strings are compared here: without case, width and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def title_of(passage: Passage) -> str:
    """What a prompt shows of a passage beside its text."""
    return f"{passage.path} {passage.heading or ''}"


def holds_answer(passage: Passage, question: str, answer: str) -> bool:
    """Whether the answer can be read in the passage: its string, all of its words, or support for it.

    Suspicious on purpose: "5" is held by every passage with a 5 in it, since a refusal taught over a
    passage that does hold the answer is worse than a row less.
    """
    shown = f"{title_of(passage)}\n{passage.text}"
    if folded(answer) in folded(shown):
        return True
    said, there = words(answer), words(shown)
    if (said.terms or said.numbers) and said.terms <= there.terms and said.numbers <= there.numbers:
        return True
    return supports(passage, question, answer)


def speaks_of(passage: Passage, question: str) -> bool:
    """Whether the passage holds a good part of the question's words, and may be about its subject."""
    asked = question_words(question)
    there = words(f"{title_of(passage)}\n{passage.text}")
    return share(asked.terms | asked.numbers, there.terms | there.numbers) > _SUBJECT


def supports(passage: Passage, question: str, answer: str) -> bool:
    """Whether some sentence of the passage says that this is the answer to the question."""
    return find_evidence(read_claim(answer, question), passage.text, title_of(passage)) is not None


def holds_quote(passage: Passage, quotes: tuple[Quote, ...]) -> bool:
    """Whether the passage overlaps one of the spans, or repeats one of the texts."""
    text = folded(passage.text)
    return any(
        (passage.document_id == quote.document_id and passage.start < quote.end and quote.start < passage.end)
        or folded(quote.text) in text
        for quote in quotes
    )
