"""The questions of the gate: held out of the library, of the file trained on, and the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assistant.tuning.rows import Builder, Material
from corpora.errors import UsageError
from finetune.evaluation.contest import Paper
from finetune.evaluation.questions import QuestionFile, read_questions
from finetune.formats.lines import Line, read_lines

YOURS = "your questions"
_OF_DATA = "test rows of the file"


def read_own(path: Path) -> Paper:
    """The user's own questions. Raises UsageError, before anything slow is done, for a line that is none."""
    file = _read(path)
    if file.bad:
        first = file.bad[0]
        raise UsageError(
            f"{path}:{first.place}: {first.problem} ({len(file.bad)} bad lines).",
            hint='one a line: {"id": "1", "question": "…", "answers": ["…"]}',
            code="bad_row",
        )
    if not file.questions:
        raise UsageError(f"{path} holds no questions.", code="bad_row")
    return Paper(YOURS, file.questions)


def papers(
    material: Material, builder: Builder, passages: int, data: Path | None, own: Path | None
) -> tuple[Paper, ...]:
    """All that there is to ask; papers without questions are left out."""
    found = []
    if material.test:
        found.append(builder.held_out(material, passages))
    if data is not None:
        found.append(Paper(_OF_DATA, _read(data, test_only=True).questions))
    if own is not None:
        found.append(read_own(own))
    return tuple(paper for paper in found if paper.questions)


def _read(path: Path, *, test_only: bool = False) -> QuestionFile:
    try:
        with path.open("rb") as stream:
            lines = read_lines(stream)
            return read_questions(_of_test(lines) if test_only else lines)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}.", hint="name a JSONL file") from error


def _of_test(lines: Iterator[Line]) -> Iterator[Line]:
    """The rows of the test split that have a question of their own, as `data export` writes them."""
    for line in lines:
        row = line.value
        if isinstance(row, dict) and row.get("split") == "test" and row.get("question"):
            yield Line(line.place, {**row, "id": line.place})
