"""A training row as a JSON object of each format.

Every object keeps `split`, `example_id`, `question`, `quote`, `path`, `kind`, `answer`, `passage_ids`,
`gold_passage_ids` and `messages` (the whole conversation), and under `example` what it was made from, so that
an import finds the same example again; `example` is null in rows that were mixed in from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from corpora.examples import Example
from corpora.prompt import escape
from corpora.records import Message
from finetune.rows.records import TrainingRow

LineFormat = Literal["prompt-completion", "messages", "alpaca", "sharegpt"]
LINE_FORMATS: tuple[LineFormat, ...] = get_args(LineFormat)
_SHAREGPT: Mapping[str, str] = {"system": "system", "user": "human", "assistant": "gpt"}


def to_record(row: TrainingRow, form: LineFormat) -> dict[str, Any]:
    """The row as one line of `form`."""
    common = _common(row)
    if form == "prompt-completion":
        return {**_texts(row), **common}
    if form == "alpaca":
        return {**_alpaca(row), **common}
    if form == "sharegpt":
        turns = [{"from": _SHAREGPT[turn.role], "value": turn.content} for turn in _conversation(row)]
        return {"conversations": turns, **common}
    return common


def to_dataset_record(row: TrainingRow) -> dict[str, Any]:
    """The row as one row of a `datasets` folder: prompt, completion and messages side by side."""
    return {**_texts(row), **_common(row)}


def _texts(row: TrainingRow) -> dict[str, Any]:
    prompt = "\n\n".join(turn.content for turn in row.messages)
    return {"prompt": prompt, "completion": row.completion.content}


def _alpaca(row: TrainingRow) -> dict[str, Any]:
    """`input` is what the last turn holds beside the question; `history` are the pairs before it."""
    *before, last = row.messages
    said = [turn.content for turn in before if turn.role != "system"]
    return {
        "instruction": row.question,
        "input": _beside(last.content, row.question),
        "output": row.completion.content,
        "system": "\n\n".join(turn.content for turn in before if turn.role == "system"),
        "history": [list(pair) for pair in zip(said[::2], said[1::2], strict=False)],
    }


def _beside(text: str, question: str) -> str:
    """The passages before the question, or the input behind the instruction."""
    asked = escape(question).strip()
    if text.startswith(asked):
        return text.removeprefix(asked).strip()
    return text.removesuffix(asked).rstrip().rpartition("\n")[0].strip()


def _common(row: TrainingRow) -> dict[str, Any]:
    return {
        "split": row.split,
        "example_id": row.example_id,
        "question": row.question,
        "quote": row.quote,
        "path": row.path,
        "kind": row.kind,
        "answer": row.answer,
        "passage_ids": list(row.passage_ids),
        "gold_passage_ids": list(row.gold_passage_ids),
        "messages": [_turn(turn) for turn in _conversation(row)],
        "example": _example(row.example) if row.example else None,
    }


def _conversation(row: TrainingRow) -> tuple[Message, ...]:
    return (*row.messages, row.completion)


def _turn(turn: Message) -> dict[str, str]:
    return {"role": turn.role, "content": turn.content}


def _example(example: Example) -> dict[str, Any]:
    """What an import needs to make the same example of; scores as a list, since tables have fixed columns."""
    return {
        "method": example.method,
        "kind": example.kind,
        "language": example.language,
        "question": example.question,
        "input": example.input,
        "answer": example.answer,
        "history": [_turn(turn) for turn in example.history],
        "teacher": example.teacher,
        "prompt_version": example.prompt_version,
        "scores": [{"check": check, "score": score} for check, score in sorted(example.scores.items())],
        "quotes": [
            {
                "path": quote.path,
                "document_sha256": quote.sha256,
                "start": quote.start,
                "end": quote.end,
                "quote": quote.text,
            }
            for quote in example.quotes
        ],
    }
