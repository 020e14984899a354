"""What the package brings to mix in: human-written tasks, and human questions about other documents."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib.resources import files

from corpora.prompt import Language
from corpora.seeds.tasks import NOT_FOR_TRAINING, load_seeds
from finetune.rows.records import GeneralTask, OutsideQuestion, Stock


def shipped(languages: Collection[Language]) -> Stock:
    """All that there is in these languages."""
    names = sorted(languages)
    return Stock(
        tasks=tuple(task for name in names for task in _tasks(name)),
        questions=tuple(question for name in names for question in _questions(name)),
    )


def _tasks(language: Language) -> list[GeneralTask]:
    """The seed tasks of Self-Instruct that are fit to be taught, the first case of each."""
    cases = [(task, task.instances[0]) for task in load_seeds(language) if task.id not in NOT_FOR_TRAINING]
    return [
        GeneralTask(f"{language}:{task.id}", task.instruction, case.input, case.output, language)
        for task, case in cases
    ]


def _questions(language: Language) -> list[OutsideQuestion]:
    """The questions by which readers are measured (`corpora/calibration`)."""
    lines = files("corpora").joinpath("calibration", f"{language}.jsonl").read_text("utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    return [OutsideQuestion(row["question"], row["answer"], language) for row in rows]
