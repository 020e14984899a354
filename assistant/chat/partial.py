"""What is kept of an answer that was cancelled: the words that were shown, with the citations among them."""

from __future__ import annotations

from dataclasses import replace

from assistant.answer.citations import CitationChecker, split_answer
from corpora.records import Answer


def partial_answer(
    question: str, heard: str, found: Answer | None, model: str | None, adapter: str | None
) -> Answer:
    """`heard` as an answer; `found` is any answer to the question from its passages, None without retrieval.

    A marker in `heard` was checked when it was shown, and is checked again for its citation.
    """
    empty = replace(Answer.blank(question), unsupported=True, model=model, adapter=adapter)
    if found is None:
        return replace(empty, answer=heard.strip())
    passages = [hit.passage for hit in found.passages]
    checker = CitationChecker(question, passages, range(1, len(passages) + 1))
    text = "".join(checker.check(piece) for piece in split_answer(heard)).strip()
    supported = bool(checker.citations) and checker.supported
    return replace(
        empty,
        answer=text,
        unsupported=not supported,
        citations=tuple(checker.citations),
        passages=found.passages,
    )
