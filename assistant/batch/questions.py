"""The questions of a file that anybody may have written, JSONL or CSV; a wrong row spoils no other.

    {"id": "q1", "question": "When was the lighthouse built?", "k": 8, "in": "docs/**", "expected": "1874"}

Only `question` must be there. `expected` is one right answer or a list of them; the empty list says that the
question must be refused. `answers`, as in the files of `eval`, is the same. Other keys are ignored. A CSV has
these names in its first line; an empty cell is as if it were not there, and a list of expected answers is
written as in JSON.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from assistant.batch.table import is_table, read_table
from corpora.errors import UsageError
from corpora.prompt import LONGEST_QUESTION
from corpora.store.glob import compile_glob
from finetune.adapters.active import NONE
from finetune.card import is_adapter_name
from finetune.formats.lines import Line, read_lines

KEYS = ("id", "question", "k", "in", "adapter", "expected", "answers")
_LONGEST_ID = 1000
_MOST_PASSAGES = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """Row `number` of the input, from 1. Where `problem` says what is wrong with it, it cannot be asked.

    A row without an `id` is called by its number, or "row N" where another row is called that.

    `place` is its line. `expected` holds right answers; () is a refusal, None that nothing is known.
    `ignored` are keys that mean nothing here.
    """

    number: int
    place: str
    id: str | int
    question: str | None = None
    k: int | None = None
    within: str | None = None
    adapter: str | None = None
    expected: tuple[str, ...] | None = None
    problem: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 (hex) of all but where it stands and what is ignored."""
        left_out = ("number", "place", "ignored")
        fields = {name: value for name, value in asdict(self).items() if name not in left_out}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def read_questions(data: bytes, name: str) -> list[Question]:
    """The rows of a file called `name`, each of them, in order.

    Raises UsageError for a table whose first line does not name a question, or a key twice.
    """
    lines = read_table(data, name, KEYS) if is_table(data, name) else read_lines(io.BytesIO(data))
    return list(_numbered(lines))


def _numbered(lines: Iterable[Line]) -> Iterator[Question]:
    known = list(lines)
    given = {str(line.value.get("id")) for line in known if isinstance(line.value, dict)}
    places: dict[str, str] = {}
    for number, line in enumerate(known, start=1):
        row = line.value if isinstance(line.value, dict) else {}
        name: str | int = number if str(number) not in given else f"row {number}"
        try:
            if line.problem is not None:
                raise ValueError(line.problem)
            name = _id(row.get("id"), name)
            first = places.setdefault(str(name), line.place)
            if first != line.place:
                raise ValueError(f"the same id as line {first}")
            yield _question(line, number, name)
        except ValueError as error:
            said, expected = _readable(_asked, row), _readable(_expected, row)
            yield Question(number, line.place, name, said, expected=expected, problem=str(error))


def _readable(read: Callable[[dict[str, Any]], T], row: dict[str, Any]) -> T | None:
    """What can be read of a row in which something else is wrong."""
    try:
        return read(row)
    except ValueError:
        return None


def _question(line: Line, number: int, name: str | int) -> Question:
    row = line.value
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return Question(
        number=number,
        place=line.place,
        id=name,
        question=_asked(row),
        k=_count(row.get("k")),
        within=_glob(row.get("in")),
        adapter=_adapter(row.get("adapter")),
        expected=_expected(row),
        ignored=tuple(key for key in row if key not in KEYS),
    )


def _asked(row: dict[str, Any]) -> str:
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        raise ValueError('no "question" in it, or an empty one')
    if len(question) > LONGEST_QUESTION:
        raise ValueError(f"the question is longer than {LONGEST_QUESTION} characters")
    return _text(question, "question").strip()


def _id(value: Any, unnamed: str | int) -> str | int:
    if value is None:
        return unnamed
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError('"id" is neither text nor a whole number')
    if len(str(value)) > _LONGEST_ID:
        raise ValueError(f'"id" is longer than {_LONGEST_ID} characters')
    return _text(value, "id") if isinstance(value, str) else value


def _count(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_PASSAGES:
        raise ValueError(f'"k" is no whole number from 1 to {_MOST_PASSAGES}')
    return value


def _glob(value: Any) -> str | None:
    if value is None:
        return None
    try:
        compile_glob(_text(value, "in"))
    except UsageError as error:
        raise ValueError(f'"in" is no pattern: {error.message}') from error
    return str(value)


def _adapter(value: Any) -> str | None:
    """A name only: a file of questions may come from anybody, and opens no folder."""
    if value is not None and not (isinstance(value, str) and (value == NONE or is_adapter_name(value))):
        raise ValueError('"adapter" is no name of an adapter, nor "none"')
    return value


def _expected(row: dict[str, Any]) -> tuple[str, ...] | None:
    if "expected" in row and "answers" in row:
        raise ValueError('"expected" and "answers" are the same: give one of them')
    key = "expected" if "expected" in row else "answers"
    value = row.get(key)
    if value is None:
        return None
    given = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(_text(answer, key).strip() for answer in given))


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'"{key}" is no text, or an empty one')
    if "\0" in value:
        raise ValueError(f'"{key}" holds a NUL character')
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ValueError(f'"{key}" is not valid Unicode') from error
    return value
