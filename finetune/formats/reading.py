"""A row of a file, which anybody may have written, as what it says about an example.

Our own exports carry the example itself. Of other files the question, the answer and what was said before
are taken, and a quote with its path where they name one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast, get_args

from corpora.examples import Kind, Method, Split
from corpora.prompt import REFUSAL, Language, language_of
from corpora.records import Message
from finetune.rows.records import RowKind

_MOST_QUOTES, _MOST_TURNS, _MOST_SCORES = 64, 256, 64
_CITED = re.compile(r"(?:\s*\[\d{1,3}\])+\s*$")
_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class NamedQuote:
    """A quote as a file names it; `start` and `end`, if given, are offsets into the document's text."""

    path: str
    text: str
    sha256: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """What a row says about its example. `answer` None: the right answer is a refusal."""

    question: str
    answer: str | None
    input: str = ""
    history: tuple[Message, ...] = ()
    quotes: tuple[NamedQuote, ...] = ()
    split: Split | None = None
    method: Method = "import"
    kind: Kind = "instruction"
    language: Language = "en"
    teacher: str = ""
    prompt_version: str = ""
    scores: tuple[tuple[str, float], ...] = ()


def read_row(row: Any) -> ReadRow | None:
    """The example behind a row of any of the formats.

    None for a row of ours that was mixed in from elsewhere. Raises ValueError with a reason for people.
    """
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    split = _one_of(row, "split", Split, None) if isinstance(row.get("split"), str) else None
    if "example" in row and row.get("kind") in get_args(RowKind):
        return None if row["example"] is None else _own(row["example"], split)
    question, answer, given, history = _foreign(row)
    quoted = isinstance(row.get("quote"), str) and isinstance(row.get("path"), str) and row["quote"].strip()
    quotes = (NamedQuote(_text(row, "path"), _text(row, "quote")),) if quoted else ()
    if quotes and isinstance(row.get("question"), str):
        question, given = _said(row, "question"), ""
        answer = _CITED.sub("", answer)
    refused = answer in REFUSAL.values()
    return ReadRow(
        question=question,
        answer=None if refused else answer,
        input=given,
        history=history,
        quotes=quotes,
        split=split,
        kind="span" if quotes or refused else "instruction",  # a refusal is one over passages
        language=language_of(question),
    )


# -- our own rows ----------------------------------------------------------------------------------


def _own(row: Any, split: Split | None) -> ReadRow:
    if not isinstance(row, dict):
        raise ValueError('"example" is no object')
    question = _said(row, "question")
    return ReadRow(
        question=question,
        answer=None if row.get("answer") is None else _said(row, "answer"),
        input=_text(row, "input"),
        history=tuple(_turns(row, "history", "role", "content")),
        quotes=tuple(_quote(one) for one in _items(row, "quotes", _MOST_QUOTES)),
        split=split,
        method=_one_of(row, "method", Method, "import"),
        kind=_one_of(row, "kind", Kind, "instruction"),
        language=_one_of(row, "language", Language, language_of(question)),
        teacher=_text(row, "teacher")[:200],
        prompt_version=_text(row, "prompt_version")[:200],
        scores=tuple(_score(one) for one in _items(row, "scores", _MOST_SCORES)),
    )


def _quote(row: Any) -> NamedQuote:
    if not isinstance(row, dict):
        raise ValueError("a quote is no object")
    start, end = row.get("start"), row.get("end")
    placed = type(start) is int and type(end) is int and 0 <= start <= end
    sha256 = row.get("document_sha256")
    return NamedQuote(
        path=_said(row, "path", strip=False),
        text=_said(row, "quote", strip=False),
        sha256=sha256 if isinstance(sha256, str) else None,
        start=start if placed else None,
        end=end if placed else None,
    )


def _score(row: Any) -> tuple[str, float]:
    if not isinstance(row, dict):
        raise ValueError("a score is no object")
    score = row.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise ValueError("a score is no number")
    return _said(row, "check")[:200], float(score)


# -- rows of others --------------------------------------------------------------------------------


def _foreign(row: dict[str, Any]) -> tuple[str, str, str, tuple[Message, ...]]:
    """Question, answer, input and history of a row in one of the four formats."""
    if isinstance(row.get("prompt"), list) and isinstance(row.get("completion"), list):
        row = {"messages": [*row["prompt"], *row["completion"]]}
    if "prompt" in row and "completion" in row:
        return _said(row, "prompt"), _said(row, "completion"), "", ()
    if "conversations" in row:
        return _asked(_turns(row, "conversations", "from", "value"))
    if "instruction" in row and "output" in row:
        return _said(row, "instruction"), _said(row, "output"), _text(row, "input").strip(), _before(row)
    if "messages" in row:
        return _asked(_turns(row, "messages", "role", "content"))
    raise ValueError("none of prompt and completion, messages, conversations, instruction and output")


def _asked(turns: Sequence[Message]) -> tuple[str, str, str, tuple[Message, ...]]:
    """The last question and its answer; what came before is history."""
    if len(turns) < 2 or turns[-1].role != "assistant" or turns[-2].role != "user":
        raise ValueError("it does not end with a turn of the user and one of the assistant")
    question, answer = turns[-2].content.strip(), turns[-1].content.strip()
    if not question or not answer:
        raise ValueError("an empty turn")
    return question, answer, "", tuple(turns[:-2])


def _before(row: dict[str, Any]) -> tuple[Message, ...]:
    """`system` and `history` of an Alpaca row."""
    system = _text(row, "system").strip() if row.get("system") is not None else ""
    said = [Message("system", system)] if system else []
    if row.get("history") is None:
        return tuple(said)
    for pair in _items(row, "history", _MOST_TURNS):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError('"history" is no list of pairs')
        said += [
            Message("user", _valid("history", pair[0])),
            Message("assistant", _valid("history", pair[1])),
        ]
    return tuple(said)


def _turns(row: dict[str, Any], key: str, role: str, content: str) -> list[Message]:
    turns: list[Message] = []
    for turn in _items(row, key, _MOST_TURNS):
        if not isinstance(turn, dict):
            raise ValueError(f'a turn in "{key}" is no object')
        who = turn.get(role)
        if not isinstance(who, str) or who not in _ROLES:
            raise ValueError(f'a turn in "{key}" is by none of system, user and assistant')
        turns.append(Message(_ROLES[who], _text(turn, content)))
    return turns


# -- values ----------------------------------------------------------------------------------------


def _items(row: dict[str, Any], key: str, most: int) -> list[Any]:
    value = row.get(key)
    if not isinstance(value, list):
        raise ValueError(f'"{key}" is no list')
    if len(value) > most:
        raise ValueError(f'"{key}" has more than {most} items')
    return value


def _said(row: dict[str, Any], key: str, *, strip: bool = True) -> str:
    """A text with something in it."""
    text = _text(row, key)
    if not text.strip():
        raise ValueError(f'"{key}" is empty')
    return text.strip() if strip else text


def _text(row: dict[str, Any], key: str) -> str:
    return _valid(key, row.get(key, ""))


def _valid(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f'"{key}" is no text')
    if "\0" in value:
        raise ValueError(f'"{key}" holds a NUL')
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f'"{key}" is not valid Unicode') from error
    return value


def _one_of(row: dict[str, Any], key: str, names: Any, default: _T) -> _T:
    """The value at `key` if it is one of the Literal `names`, else `default`."""
    value = row.get(key)
    return cast("_T", value) if isinstance(value, str) and value in get_args(names) else default
