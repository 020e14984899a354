"""An answer as the JSON of `ask` and `batch`: every key always there, null where it does not apply."""

from __future__ import annotations

from typing import Any

from corpora.records import Answer, Citation, ScoredPassage


def answer_row(answer: Answer) -> dict[str, Any]:
    """The object of the contract."""
    return {
        "question": answer.question,
        "answer": answer.answer,
        "kind": answer.kind,
        "refused": answer.refused,
        "refusal": answer.refusal,
        "unsupported": answer.unsupported,
        "dropped_citations": answer.dropped_citations,
        "citations": [_citation_row(citation) for citation in answer.citations],
        "passages": [passage_row(hit) for hit in answer.passages],
        "passages_left_out": answer.passages_left_out,
        "model": answer.model,
        "adapter": answer.adapter,
        "usage": {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
        },
        "seconds": {
            "retrieve": round(answer.seconds.retrieve, 3),
            "generate": round(answer.seconds.generate, 3),
            "total": round(answer.seconds.total, 3),
        },
    }


def passage_row(hit: ScoredPassage) -> dict[str, Any]:
    """A passage that was found, as in the results of `search`."""
    passage = hit.passage
    return {
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "passage_id": passage.id,
        "path": passage.path,
        "page": passage.page,
        "heading": passage.heading,
        "line_start": passage.line_start,
        "line_end": passage.line_end,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
    }


def _citation_row(citation: Citation) -> dict[str, Any]:
    return {
        "marker": citation.marker,
        "passage_id": citation.passage_id,
        "path": citation.path,
        "page": citation.page,
        "line_start": citation.line_start,
        "line_end": citation.line_end,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "verified": citation.verified,
    }
