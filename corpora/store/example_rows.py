"""Examples as rows of `library.db`, and the small records that are stored beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from corpora.examples import Example, Method, Quote, Split, Status
from corpora.records import Message
from corpora.store.records import shown_path, stored_path
from corpora.store.writer import now_text


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What a teacher said to one prompt; `key` is the hash of the prompt, the model and its parameters."""

    key: str
    teacher: str
    text: str
    cut: bool
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class JudgeRecord:
    """How well a reader tells good pairs from bad ones by one check, on `n` human pairs (area under ROC)."""

    reader: str
    check: str
    auc: float
    n: int


@dataclass(frozen=True, slots=True)
class Count:
    """So many examples share these."""

    status: Status
    reason: str | None
    method: Method
    split: Split
    n: int


def example_id(
    method: Method, question: str, input_text: str, answer: str | None, quotes: Sequence[Quote]
) -> str:
    """The same for the same words about the same spans of the same bytes (16 hex digits)."""
    places = [[quote.document_id, quote.sha256, quote.start, quote.end] for quote in quotes]
    key = json.dumps([method, question, input_text, answer, places], ensure_ascii=False)
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def clean(text: str) -> str:
    """`text` without lone surrogates, which SQLite would refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")


def example_row(example: Example) -> Sequence[object]:
    """The values of an insert into `examples`, less the number."""
    return (
        example.id,
        example.status,
        example.reason,
        example.method,
        example.kind,
        example.language,
        clean(example.question),
        clean(example.input),
        None if example.answer is None else clean(example.answer),
        json.dumps([[turn.role, clean(turn.content)] for turn in example.history], ensure_ascii=False),
        example.split,
        clean(example.teacher),
        example.prompt_version,
        json.dumps(dict(example.scores), sort_keys=True),
        example.reviewed,
        example.stale,
        example.created_at or now_text(),
    )


def quote_row(number: int, ordinal: int, quote: Quote) -> Sequence[object]:
    """The values of an insert into `example_quotes`; the document is looked up by its id."""
    return (
        number,
        ordinal,
        quote.document_id,
        quote.document_id,
        stored_path(quote.path),
        quote.sha256,
        quote.passage_id,
        quote.start,
        quote.end,
        clean(quote.text),
    )


def read_example(row: Sequence[Any], quotes: tuple[Quote, ...]) -> Example:
    """An example from its row, `number` first."""
    _, *head, history, split, teacher, prompt_version, scores, reviewed, stale, created_at = row
    identity, status, reason, method, kind, language, question, input_text, answer = head
    return Example(
        id=identity,
        status=status,
        reason=reason,
        method=method,
        kind=kind,
        language=language,
        question=question,
        input=input_text,
        answer=answer,
        quotes=quotes,
        history=tuple(Message(role, content) for role, content in json.loads(history)),
        split=split,
        teacher=teacher,
        prompt_version=prompt_version,
        scores=json.loads(scores),
        reviewed=bool(reviewed),
        stale=stale,
        created_at=created_at,
    )


def read_quote(row: Sequence[Any]) -> Quote:
    """A quote from its row, the example's number first."""
    _, document_id, path, *rest = row
    return Quote(document_id, shown_path(path), *rest)
