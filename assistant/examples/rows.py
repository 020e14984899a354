"""An example as the JSON of `data list`, as a line of it, and as the page of `data show`."""

from __future__ import annotations

from typing import Any

from assistant.terminal import clean_line
from corpora.examples import Example, Quote


def example_row(example: Example) -> dict[str, Any]:
    """Every key always; path to document_sha256 are those of the first quote, null where there is none."""
    first = _quote(example.quotes[0]) if example.quotes else dict.fromkeys(_QUOTE)
    return {
        "id": example.id,
        "status": example.status,
        "reason": example.reason,
        "method": example.method,
        "kind": example.kind,
        "language": example.language,
        "question": example.question,
        "input": example.input,
        "answer": example.answer,
        **first,
        "quotes": [_quote(quote) for quote in example.quotes],
        "history": [{"role": turn.role, "content": turn.content} for turn in example.history],
        "split": example.split,
        "teacher": example.teacher,
        "prompt_version": example.prompt_version,
        "scores": dict(example.scores),
        "reviewed": example.reviewed,
        "stale": example.stale,
        "created_at": example.created_at,
    }


def example_line(example: Example) -> str:
    """Id, split, what became of it where it was not accepted, question and answer."""
    became = "" if example.status == "accepted" else f"{example.reason or example.status}  "
    given = f" {clean_line(example.input)}" if example.input else ""
    answer = "(refusal)" if example.answer is None else clean_line(example.answer)
    return f"{example.id}  {example.split:10}  {became}{clean_line(example.question)}{given}  → {answer}"


def example_page(example: Example) -> list[str]:
    """A line for each thing known, quotes last."""
    row = example_row(example)
    lines: list[str] = []
    for name, value in row.items():
        if name in _QUOTE or name in ("quotes", "history", "scores"):
            continue
        shown = str(value).lower() if isinstance(value, bool) else value
        lines.append(f"{name:15} {'-' if shown in (None, '') else clean_line(str(shown))}")
    scores = ", ".join(f"{clean_line(check)} {score:.3g}" for check, score in example.scores.items())
    lines.append(f"{'scores':15} {scores or '-'}")
    lines += [f"{turn.role:15} {clean_line(turn.content)}" for turn in example.history]
    for quote in example.quotes:
        lines.append(f"{'quote':15} {clean_line(quote.text)}")
        place = f"{clean_line(quote.path)}:{quote.start}-{quote.end}"
        lines.append(f"{'':15} {place}, passage {quote.passage_id}")
    return lines


_QUOTE = ("path", "passage_id", "start", "end", "quote", "document_sha256")


def _quote(quote: Quote) -> dict[str, Any]:
    values = (quote.path, quote.passage_id, quote.start, quote.end, quote.text, quote.sha256)
    return dict(zip(_QUOTE, values, strict=True))
