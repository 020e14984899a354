"""From a few measured steps and answers to what is going to be trained and asked."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from assistant.tuning.gating import Contender, Systems, measured_work
from assistant.tuning.lessons import passed
from assistant.tuning.rows import SAMPLE, Builder, as_planned, evenly
from finetune.tuning.budget import BudgetPlan, GateWork, Pace, TrainingWork, plan
from finetune.tuning.outcome import duration

if TYPE_CHECKING:
    from assistant.tuning.base import BaseModel
    from assistant.tuning.card import Lineage
    from assistant.tuning.choices import Wish
    from assistant.tuning.clock import Clock
    from assistant.tuning.lessons import Lesson
    from finetune.tuning.data import TuningData
    from finetune.tuning.settings import TuneSettings
    from index.sync_options import Hooks

_PROBED = 24  # rows among which the middling one is measured
_TIMED = 2  # questions
_SHORTER = "budget (what the probe says fits)"


@dataclass(frozen=True, slots=True)
class Size:
    """What is going to be done, and the settings and rows for it, made of a share of the examples."""

    plan: BudgetPlan
    share: float
    settings: TuneSettings
    data: TuningData


@dataclass(frozen=True, slots=True)
class Sizing:
    """Fits a run into its clock. `contenders` are those that can be asked now, `questions` for how many."""

    wish: Wish
    lesson: Lesson
    builder: Builder
    base: BaseModel
    start: Lineage | None
    contenders: tuple[Contender, ...]
    questions: int
    clock: Clock
    hooks: Hooks

    def size(self, settings: TuneSettings, passages: int) -> Size:
        """Measure, plan, say what is left out, and make the rows."""
        fixed = self.wish.passages is not None
        limited = math.isfinite(self.clock.left())
        began = time.monotonic()
        stocked = self.lesson.offers(self.builder, passages, fixed or not limited)
        building = self._building_seconds(time.monotonic() - began, len(stocked.offers))
        gate = GateWork(self.questions)
        work = TrainingWork(
            stocked.offers,
            validation_rows=stocked.validation_rows,
            epochs=settings.epochs,
            epochs_fixed="epochs" in self.wish.settings,
            evaluations=settings.evaluations,
        )
        pace: Pace = _Boundless()
        if limited:
            sample, _ = passed(self.lesson.rows(self.builder, passages, self._sample_share()), self.builder)
            pace = self._pace(sample, settings)
            gate = self._gate_work(sample)
        left = self.clock.left() - building if limited else None
        found = plan(left, pace, work, gate)
        there = next(one.rows for one in stocked.offers if one.passages == found.passages)
        share = min(1.0, found.rows / max(there, 1))
        data, _ = passed(self.lesson.rows(self.builder, found.passages, share), self.builder)
        # The sample may have told too few rows: all are taken, unless the budget has made them fewer.
        most = found.rows if share < 1 else len(data.train)
        data = as_planned(data, most, found.validation_rows, self.builder.seed)
        found = replace(found, rows=len(data.train), validation_rows=len(data.validation))
        if found.epochs != settings.epochs:
            settings = settings.with_(_SHORTER, epochs=found.epochs)
        self._say(found, limited)
        return Size(found, share, settings, data)

    def _sample_share(self) -> float:
        return min(1.0, _PROBED / max(len(self.lesson.material.train), 1))

    def _building_seconds(self, spent: float, offers: int) -> float:
        """Of making all rows, from the time that those of the samples took."""
        share = len(self.lesson.taught) / SAMPLE
        return spent / offers * max(share, 1.0)

    def _pace(self, sample: TuningData, settings: TuneSettings) -> Pace:
        from finetune.tuning.pace import measure_pace

        self.hooks.say("Trying three steps and a few answers, to see what fits ...")
        start = self.start.folder if self.start else None
        return measure_pace(self.base.folder, sample.train, settings, self.hooks.stop, start=start)

    def _gate_work(self, sample: TuningData) -> GateWork:
        if not self.questions or not self.wish.gate or self.hooks.stop():
            return GateWork(0)
        examples = [one for one in self.lesson.material.train if not one.history]
        asked = [one.question for one in evenly(examples, _TIMED, self.builder.seed)]
        if not asked:
            asked = ["What do the documents say?"]
        systems = Systems(self.builder.runtime, self.contenders)
        try:
            return measured_work(systems, asked, sample.train[:_TIMED], self.questions)
        finally:
            systems.close()

    def _say(self, found: BudgetPlan, limited: bool) -> None:
        say = self.hooks.say
        say(f"  {'rows':14} {found.rows} to train on, {found.validation_rows} to validate")
        if found.passages:
            say(f"  {'passages':14} at most {found.passages} a row")
        if not limited:
            return
        say(
            f"  {'time':14} training about {duration(found.training_seconds)}, gate about"
            f" {duration(found.gate_seconds)}, {duration(self.clock.left())} left of the budget"
        )
        if found.left_out:
            say(f"  {'left out':14} to keep the budget, only {'; '.join(found.left_out)}")


class _Boundless:
    """The pace where time does not matter."""

    def seconds(self, tokens: int) -> float:
        return 0.0
