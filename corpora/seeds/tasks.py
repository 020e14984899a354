"""Seed tasks: the shipped ones, and a user's own file.

A line of such a file is a JSON object, either as Self-Instruct has it

    {"instruction": "...", "instances": [{"input": "...", "output": "..."}], "is_classification": false}

or as Alpaca has it

    {"instruction": "...", "input": "...", "output": "..."}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from corpora.errors import UsageError
from corpora.prompt import Language

FEWEST = 8  # tasks: as many as one prompt shows
_LONGEST_LINE = 1_000_000  # bytes
_REPORTED = 20  # bad lines named in an error

# English seeds that a teacher may be shown, but that no model should be taught by: what is wrong with them is
# their answer, or that an answer is given at all. The Chinese ones were written without such tasks.
NOT_FOR_TRAINING = frozenset(
    f"seed_task_{number}"
    for numbers in (
        (3, 27, 36, 54, 55, 77, 94, 113, 122, 149, 153, 173),  # stereotypes of groups, faiths, professions
        (67, 151, 172),  # swear words, insults, a thread labelled as hate speech
        (115, 120),  # ask for private data; refused in other words than the assistant's
        (16, 130, 131, 142),  # harmful or wrong advice on health, on killing, on the law
        (2, 143),  # facts out of date, or never right
        (7, 39, 95, 101, 106, 119, 138, 152),  # wrong or useless answers
        (28, 69),  # code that does not run
        (29, 47, 74, 89, 129, 137),  # the output says what the input does not, or the contrary
        (79,),  # the lyrics of a song, which are in copyright
        (0, 4, 145, 163),  # misspelt outputs
    )
    for number in numbers
)


@dataclass(frozen=True, slots=True)
class Instance:
    """A case of a task; `input` is "" where the instruction alone says what to do."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class SeedTask:
    """A task written by a human. `is_classification` is None where the file does not say."""

    id: str
    instruction: str
    instances: tuple[Instance, ...]
    is_classification: bool | None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line (1-based) that is no task, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class SeedFile:
    """What a file of seed tasks holds."""

    tasks: tuple[SeedTask, ...]
    bad: tuple[BadLine, ...]


def load_seeds(language: Language) -> list[SeedTask]:
    """The tasks shipped for `language`: 175 in English, 143 in Chinese."""
    data = files("corpora.seeds").joinpath(f"seed_tasks.{language}.jsonl").read_bytes()
    return list(_parse(data).tasks)


def read_seeds(path: Path) -> SeedFile:
    """The tasks of a user's file, and its bad lines.

    Raises UsageError when it cannot be read or has fewer than 8 tasks; a hundred are enough.
    """
    try:
        found = _parse(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}.", hint="name a JSONL file of tasks, one a line"
        ) from error
    if len(found.tasks) < FEWEST:
        why = "; ".join(f"line {bad.line}: {bad.reason}" for bad in found.bad[:_REPORTED])
        raise UsageError(
            f"{path} has {len(found.tasks)} seed tasks, and at least {FEWEST} are needed."
            + (f" {why}." if why else ""),
            hint='one JSON object a line, like {"instruction": "...", "input": "", "output": "..."}',
        )
    return found


def _parse(data: bytes) -> SeedFile:
    tasks: list[SeedTask] = []
    bad: list[BadLine] = []
    lines_of: dict[str, int] = {}
    for number, line in _lines(data):
        try:
            task = _task(_object(line), number)
            first = lines_of.setdefault(task.instruction, number)
            if first != number:
                raise ValueError(f"the same instruction as line {first}")
        except ValueError as error:
            bad.append(BadLine(number, str(error)))
        else:
            tasks.append(task)
    return SeedFile(tuple(tasks), tuple(bad))


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"longer than {_LONGEST_LINE} bytes")
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row


def _task(row: dict[str, Any], number: int) -> SeedTask:
    instruction = _text(row, "instruction")
    if not instruction:
        raise ValueError('no "instruction"')
    instances = row.get("instances", [row])
    if not isinstance(instances, list) or not instances:
        raise ValueError('"instances" is no list of input and output')
    classification = row.get("is_classification")
    if classification is not None and not isinstance(classification, bool):
        raise ValueError('"is_classification" is neither true nor false')
    name = row.get("id")
    return SeedTask(
        name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 100 else f"line_{number}",
        instruction,
        tuple(_instance(instance) for instance in instances),
        classification,
    )


def _instance(row: Any) -> Instance:
    if not isinstance(row, dict):
        raise ValueError('an instance is no object of "input" and "output"')
    output = _text(row, "output")
    if not output:
        raise ValueError('no "output"')
    return Instance(_text(row, "input"), output)


def _text(row: dict[str, Any], key: str) -> str:
    """The text at `key`, "" where there is none; no-break spaces become plain ones."""
    value = row.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f'"{key}" is no text')
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ValueError(f'"{key}" is not valid Unicode') from error
    return value.replace("\xa0", " ").strip()
