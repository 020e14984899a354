"""What a run learns from: the library's examples, a file of the user's, or the library's passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from assistant.tuning.choices import Wish
from assistant.tuning.rows import Builder, Material, as_planned, evenly
from corpora.errors import NothingToDo, UsageError
from finetune.tuning.budget import Offer
from finetune.tuning.preflight import Preflight, check

if TYPE_CHECKING:
    from assistant.runtime import Runtime
    from assistant.tuning.runs import RunPlan
    from corpora.examples import Example
    from finetune.tuning.data import TuningData

_MOST_VALIDATION = 200  # examples, whatever the size of the library


@dataclass(frozen=True, slots=True)
class Stocked:
    """What there is: rows to train on, by passages a row, and rows to validate."""

    offers: tuple[Offer, ...]
    validation_rows: int


class Lesson(Protocol):
    """A source of rows."""

    @property
    def material(self) -> Material:
        """What the library has to teach and to ask."""

    def offers(self, builder: Builder, passages: int, fixed: bool) -> Stocked:
        """What there is to train on, with `passages` passages a row and, unless that is fixed, with fewer."""

    def rows(self, builder: Builder, passages: int, share: float) -> TuningData:
        """The rows of about this share of what there is."""

    @property
    def taught(self) -> Sequence[Example]:
        """The examples that rows are made from."""


@dataclass(frozen=True, slots=True)
class ExampleLesson:
    """The accepted examples of the library."""

    material: Material

    def offers(self, builder: Builder, passages: int, fixed: bool) -> Stocked:
        """From a sample of the examples."""
        offers = builder.offers(self.material, passages, fixed)
        each = offers[0].rows / max(len(self.material.train), 1)
        return Stocked(offers, round(each * min(len(self.material.validation), _MOST_VALIDATION)))

    def rows(self, builder: Builder, passages: int, share: float) -> TuningData:
        """Of examples of the training and the validation split."""
        train = self.material.train
        count = len(train) if share >= 1 else max(1, round(share * len(train)))
        validation = evenly(self.material.validation, _MOST_VALIDATION, builder.seed)
        return builder.data([*evenly(train, count, builder.seed), *validation], passages)

    @property
    def taught(self) -> Sequence[Example]:
        """Those of the training split."""
        return self.material.train


@dataclass(frozen=True, slots=True)
class FileLesson:
    """A file of the user's; the library's examples only ask the gate's questions."""

    material: Material
    path: Path

    def offers(self, builder: Builder, passages: int, fixed: bool) -> Stocked:
        """All rows: their prompts are the user's."""
        return _all(self.rows(builder, passages, 1.0))

    def rows(self, builder: Builder, passages: int, share: float) -> TuningData:
        """All rows."""
        from finetune.tuning.file_data import file_data

        return file_data(self.path, builder.chat)

    @property
    def taught(self) -> Sequence[Example]:
        """None of the library's."""
        return ()


@dataclass(frozen=True, slots=True)
class PassageLesson:
    """The passages of the library as plain text."""

    material: Material

    def offers(self, builder: Builder, passages: int, fixed: bool) -> Stocked:
        """All passages outside of the test split."""
        return _all(self.rows(builder, passages, 1.0))

    def rows(self, builder: Builder, passages: int, share: float) -> TuningData:
        """All rows. Raises NothingToDo for a library without documents."""
        from finetune.tuning.data import passage_data

        data = passage_data(builder.runtime.library, builder.chat, max_length=builder.max_length)
        if not data.train:
            raise NothingToDo("The library holds no passages to train on.", hint="assistant ingest FOLDER")
        return data

    @property
    def taught(self) -> Sequence[Example]:
        """None: passages are no examples."""
        return ()


def open_lesson(runtime: Runtime, wish: Wish) -> Lesson:
    """The source of rows that was asked for. Raises NothingToDo (exit 3) where it holds none."""
    material = Material.of(runtime)
    if wish.data is not None:
        return FileLesson(material, wish.data)
    if wish.stage == "pretrain":
        return PassageLesson(material)
    return ExampleLesson(material.checked())


def passed(data: TuningData, builder: Builder) -> tuple[TuningData, Preflight]:
    """The rows that the preflight lets through, and what it found of those to train on. Raises as `check`."""
    if not data.train:
        why = ", ".join(f"{count} {reason}" for reason, count in data.left_out.items())
        raise UsageError(
            f"There are no rows to train on{f': {why}' if why else ''}.",
            hint="a larger --max-length" if "too_long" in data.left_out else "assistant generate",
            code="nothing_to_train",
        )
    found = check(
        data.train,
        ends=builder.chat.ends,
        max_length=builder.max_length,
        template=builder.chat.template_sha256,
        base_template=builder.chat.template_sha256,
    )
    validation = tuple(row for row in data.validation if len(row.input_ids) <= builder.max_length)
    return replace(data, train=found.kept, validation=validation), found


def rows_as_planned(lesson: Lesson, builder: Builder, plan: RunPlan) -> TuningData:
    """The rows of a run, the same whenever they are made, as long as what they come from is the same."""
    data, _ = passed(lesson.rows(builder, plan.passages, plan.share), builder)
    return as_planned(data, plan.rows, plan.validation_rows, builder.seed)


def wish_of(plan: RunPlan) -> Wish:
    """What the user of a run had asked for, as far as rows and gate depend on it."""
    return Wish(
        data=Path(plan.data) if plan.data else None,
        stage="pretrain" if plan.stage == "pretrain" else "sft",
        start=plan.start or "base",
        questions=Path(plan.questions) if plan.questions else None,
        gate=plan.gate,
        use=plan.use,
    )


def _all(data: TuningData) -> Stocked:
    tokens = sum(len(row.input_ids) for row in data.train)
    offer = Offer(0, len(data.train), tokens / max(len(data.train), 1))
    return Stocked((offer,), len(data.validation))
