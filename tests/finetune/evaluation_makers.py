"""Answers and scores made by hand, for the tests of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpora.records import Answer, Citation, Passage, ScoredPassage, Seconds
from finetune.evaluation.scores import Score


def passage(number: int, text: str, path: str = "docs/harbour.md") -> Passage:
    return Passage(number, f"p{number}", "d", path, "md", number, 0, len(text), 1, 1, None, None, text)


def citation(number: int, quote: str, *, verified: bool = True) -> Citation:
    return Citation(number, f"p{number}", "docs/harbour.md", None, 1, 1, 0, len(quote), quote, verified)


def answer(
    text: str | None,
    *passages: Passage,
    citations: Sequence[Citation] = (),
    refused: bool = False,
    seconds: float = 1.0,
) -> Answer:
    return Answer(
        question="?",
        answer=text,
        kind="generated",
        refused=refused,
        refusal="model" if refused else None,
        unsupported=False,
        dropped_citations=0,
        citations=tuple(citations),
        passages=tuple(ScoredPassage(rank, 1.0, one) for rank, one in enumerate(passages, 1)),
        passages_left_out=0,
        model="m",
        adapter=None,
        seconds=Seconds(total=seconds),
    )


def made(number: int | str, **given: Any) -> Score:
    """A score; what is not given is that of a right answer with one right citation."""
    must_refuse = given.get("must_refuse", False)
    refused = given.get("refused", must_refuse)
    right = float(refused) if must_refuse else float(not refused)
    cites = 0 if must_refuse or refused else 1
    usual: dict[str, Any] = {
        "id": number,
        "must_refuse": must_refuse,
        "refused": refused,
        "em": right,
        "f1": right,
        "citations": cites,
        "right_passages": cites,
        "right_quotes": cites,
        "found": None if must_refuse else True,
        "seconds": 1.0,
    }
    return Score(**usual | given)
