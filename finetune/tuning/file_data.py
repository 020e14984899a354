"""Rows of a file of the user's: JSONL of prompt and completion, or of messages, as `data export` has them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from corpora.errors import NothingToDo, UsageError
from corpora.records import Message
from finetune.card import is_sha256
from finetune.formats.lines import read_lines
from finetune.tuning.data import Origin, Source, TuningData
from finetune.tuning.encode import ChatEncoder, EncodedRow

_ROLES: Final[Mapping[str, Literal["system", "user", "assistant"]]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}
_SPLITS = ("train", "validation", "test")
_HELD_OUT = 10  # one prompt of so many, where the file names no splits


@dataclass(frozen=True, slots=True)
class _Row:
    place: str
    messages: tuple[Message, ...]
    completion: Message
    split: str | None
    kind: str
    origin: Origin | None

    @property
    def id(self) -> str:
        return f"line {self.place}"


def file_data(path: Path, chat: ChatEncoder) -> TuningData:
    """The rows of `path`; the last turn of each, which must be the assistant's, is what is taught.

    Rows keep the splits that they name, and those without one are for training. If no row is for validation
    or test, a tenth of the prompts is held out for validation, the same ones whatever their order. Rows of
    `data export` say which documents they teach from. Raises UsageError for the first line that is no row,
    NothingToDo for a file without rows.
    """
    rows = _read(path)
    if not rows:
        raise NothingToDo(f"{path} holds no rows.", code="no_input")
    held_out: frozenset[str] = frozenset()
    if all(row.split in (None, "train") for row in rows):
        held_out = _held_out(rows)
    encoded: dict[str, list[EncodedRow]] = {split: [] for split in _SPLITS}
    left_out: Counter[str] = Counter()
    for row in rows:
        split = "validation" if _key(row) in held_out else row.split or "train"
        if split == "test":
            left_out["test"] += 1
            continue
        encoded[split].append(chat.encode(row.messages, row.completion, id=row.id, kind=row.kind))
    origins = {row.id: row.origin for row in rows if row.origin is not None}
    return TuningData(tuple(encoded["train"]), tuple(encoded["validation"]), dict(left_out), origins)


def _read(path: Path) -> list[_Row]:
    rows = []
    try:
        with path.open("rb") as stream:
            for line in read_lines(stream):
                try:
                    if line.problem is not None:
                        raise ValueError(line.problem)
                    rows.append(_row(line.place, line.value))
                except ValueError as error:
                    raise UsageError(
                        f"{path}:{line.place}: {error}.",
                        hint='rows are {"prompt","completion"} or {"messages"}',
                        code="bad_row",
                    ) from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}.", hint="name a JSONL file") from error
    return rows


def _row(place: str, value: Any) -> _Row:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    turns = _turns(value)
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise ValueError("it does not end with a turn of the assistant after another")
    if not turns[-1].content.strip():
        raise ValueError("the answer is empty")
    split, kind = value.get("split"), value.get("kind")
    if split is not None and split not in _SPLITS:
        raise ValueError('"split" is none of train, validation and test')
    kind = kind if isinstance(kind, str) else "file"
    return _Row(place, tuple(turns[:-1]), turns[-1], split, kind, _origin(value))


def _origin(value: dict[str, Any]) -> Origin | None:
    """What one of our own rows says of its example; None for one of ours that is of no example."""
    if "example_id" not in value:
        return Origin()
    example = value.get("example")
    if not isinstance(example, dict):
        return None
    quotes = example.get("quotes")
    documents = {
        Source(quote["path"], quote["document_sha256"])
        for quote in (quotes if isinstance(quotes, list) else [])
        if isinstance(quote, dict)
        and isinstance(quote.get("path"), str)
        and is_sha256(str(quote.get("document_sha256")))
    }
    named = (value["example_id"], example.get("method"), example.get("language"))
    return Origin(tuple(sorted(documents)), *(one if isinstance(one, str) else None for one in named))


def _turns(value: dict[str, Any]) -> list[Message]:
    # Our own rows of prompt and completion hold the conversation too, which the joined prompt has lost.
    if "messages" in value:
        return _messages(value["messages"])
    if "prompt" not in value or "completion" not in value:
        raise ValueError("neither prompt and completion nor messages")
    prompt, completion = value["prompt"], value["completion"]
    before = _messages(prompt) if isinstance(prompt, list) else [Message("user", _text(prompt))]
    said = (
        _messages(completion) if isinstance(completion, list) else [Message("assistant", _text(completion))]
    )
    return [*before, *said]


def _messages(value: Any) -> list[Message]:
    if not isinstance(value, list):
        raise ValueError("the turns are no list")
    turns = []
    for turn in value:
        role = turn.get("role") if isinstance(turn, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise ValueError("a turn is by none of system, user and assistant")
        turns.append(Message(_ROLES[role], _text(turn.get("content"))))
    return turns


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a turn is no text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("a turn is not valid Unicode") from error
    return value


def _held_out(rows: Sequence[_Row]) -> frozenset[str]:
    """The keys of a tenth of the prompts: those of the smallest hashes."""
    keys = sorted({_key(row) for row in rows})
    return frozenset(keys[: len(keys) // _HELD_OUT])


def _key(row: _Row) -> str:
    """Of the prompt, so that two answers to the same one are on the same side."""
    said = [[turn.role, turn.content] for turn in row.messages]
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()
