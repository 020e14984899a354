"""Questions with their gold answers, from the lines of a file that anybody may have written.

    {"id": "q1", "question": "When was the lighthouse built?", "answers": ["1874", "in 1874"]}
    {"id": "q2", "question": "Who painted the lighthouse?", "answers": []}

No answers: the question must be refused. `path` names the document that holds the answer, where that is
known. Rows of `data export` have `answer` (null for a refusal) instead of `answers`, and serve as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from finetune.formats.lines import Line


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """A question; any of `answers` is right, and without one it must be refused."""

    id: str | int
    question: str
    answers: tuple[str, ...]
    path: str | None = None

    @property
    def must_refuse(self) -> bool:
        """Whether saying that the documents do not tell is the right answer."""
        return not self.answers


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """What a file holds: its questions, and the lines that are none with what is wrong with them."""

    questions: tuple[EvalQuestion, ...]
    bad: tuple[Line, ...]


def read_questions(lines: Iterable[Line]) -> QuestionFile:
    """The questions of a file. A row without an id is called by its place; no id may come twice."""
    questions: list[EvalQuestion] = []
    bad: list[Line] = []
    places: dict[str | int, str] = {}
    for line in lines:
        try:
            if line.problem is not None:
                raise ValueError(line.problem)
            question = _question(line.value, line.place)
            first = places.setdefault(question.id, line.place)
            if first != line.place:
                raise ValueError(f"the same id as line {first}")
        except ValueError as error:
            bad.append(Line(line.place, problem=str(error)))
        else:
            questions.append(question)
    return QuestionFile(tuple(questions), tuple(bad))


def _question(row: Any, place: str) -> EvalQuestion:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    name = row.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
        raise ValueError('"id" is neither text nor a whole number')
    question = _text(row.get("question"), "question")
    path = row.get("path")
    return EvalQuestion(
        id=place if name is None else name,
        question=question,
        answers=_answers(row),
        path=None if path is None else _text(path, "path").removeprefix("./"),
    )


def _answers(row: dict[str, Any]) -> tuple[str, ...]:
    if "answers" not in row:
        single = row.get("answer")
        return () if single is None else (_text(single, "answer"),)
    given = row["answers"]
    if given is None:
        return ()
    if not isinstance(given, list):
        raise ValueError('"answers" is no list of texts')
    return tuple(dict.fromkeys(_text(answer, "answers") for answer in given))


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'no "{key}" in it, or an empty one' if key == "question" else f'"{key}" is no text')
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ValueError(f'"{key}" is not valid Unicode') from error
    return value.strip()
