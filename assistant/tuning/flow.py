"""One run of `tune`: choices, rows, budget, training, card, gate; a resumed run does nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.tuning.base import (
    BaseModel,
    check_names,
    chosen_base,
    chosen_start,
    fitted_to,
    open_base,
    passages_of,
    say_choices,
    settings_from,
)
from assistant.tuning.card import Lineage, build_card
from assistant.tuning.choices import Choice, Device, Wish, budget_seconds
from assistant.tuning.lessons import Lesson, open_lesson, rows_as_planned, wish_of
from assistant.tuning.papers import papers, read_own
from assistant.tuning.rows import Builder
from assistant.tuning.runs import Run, RunPlan, Runs
from assistant.tuning.sizing import Size, Sizing
from assistant.tuning.verdicts import Gating, incumbents
from corpora.errors import Conflict
from finetune.adapters.store import find, in_library, install
from finetune.card import Card
from index.sync_options import Hooks

if TYPE_CHECKING:
    from assistant.runtime import Runtime
    from assistant.tuning.clock import Clock
    from finetune.tuning.data import TuningData

LOCK = "tuning.db"  # one run at a time in a library; documents may be ingested beside it


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of the command. `card` is None where it was stopped before there was an adapter.

    `active` says whether the adapter answers from now on, `folder` where it is; `outranked` names a setting
    of the user's that goes before what the library has in use.
    """

    run: Run | None
    card: Card | None
    folder: Path | None
    active: bool
    stopped: bool
    outranked: str | None = None

    @property
    def whole_model(self) -> bool:
        """Whether it is no adapter that was made."""
        return self.folder is not None and not (self.folder / "adapter_config.json").is_file()


class Tuning:
    """A `tune` command on an open library."""

    def __init__(self, runtime: Runtime, wish: Wish, hooks: Hooks, clock: Clock) -> None:
        self._runtime, self._wish, self._hooks, self._clock = runtime, wish, hooks, clock
        self._runs = Runs(runtime.library)
        self.run: Run | None = None

    def begin(self) -> Tuned:
        """A new run, from the choices to the verdict."""
        wish = self._wish
        name = self._runs.free_name(wish.name)
        self._mention_unfinished()
        if wish.questions is not None:
            read_own(wish.questions)
        check_names(wish, self._runtime)
        lesson = open_lesson(self._runtime, wish)
        device = Device.here()
        seconds = budget_seconds(wish, device)
        self._clock.limit(seconds)
        base = chosen_base(self._runtime.settings, device)
        settings = settings_from(wish, device, base)
        start = chosen_start(wish, self._runtime, base, settings, self._hooks.say)
        if start is not None:
            settings = fitted_to(start, settings, wish)
        say_choices(wish, base, settings, start, self._hooks.say)
        builder = Builder.of(self._runtime, base.chat, base.longest_row(wish), settings.seed)
        passages = wish.passages or passages_of(self._runtime, base)
        sheets = papers(lesson.material, builder, passages, wish.data, wish.questions) if wish.gate else ()
        questions = sum(len(paper.questions) for paper in sheets)
        if wish.gate and not questions:
            self._hooks.say(
                "There are no held-out questions: what is tuned will be neither judged nor put to use"
                " (--questions FILE gives some)."
            )
        contenders = incumbents(self._runtime, base, self._hooks)
        sizing = Sizing(wish, lesson, builder, base, start, contenders, questions, self._clock, self._hooks)
        size = sizing.size(settings, passages)
        if self._hooks.stop():
            return Tuned(None, None, None, active=False, stopped=True)
        run = self._runs.begin(_plan(name, wish, base, start, builder, size, seconds))
        return self._train(run, base, builder, size.data, lesson, start)

    def resume(self) -> Tuned:
        """Go on with a run that was stopped or killed, from where it was."""
        run = self._runs.resumable(self._wish.name)
        plan = run.plan
        wish = wish_of(plan)
        spent = run.seconds_spent()
        if self._wish.budget is not None:
            self._clock.limit(self._wish.budget * 60)
        elif plan.seconds is not None:
            self._clock.limit(max(plan.seconds - spent, plan.gate_seconds))
        base = open_base(self._runtime.settings, Choice(plan.model, plan.model_origin))
        settings = plan.tune_settings()
        lesson = open_lesson(self._runtime, wish)
        start = chosen_start(wish, self._runtime, base, settings, self._hooks.say)
        builder = Builder.of(self._runtime, base.chat, plan.max_length, settings.seed)
        self._hooks.say(f"Going on with {plan.name}, a run of {plan.created}.")
        folder = self._finished_folder(run)
        if folder is not None:
            return self._judge(run, base, builder, lesson, folder)
        data = rows_as_planned(lesson, builder, plan)
        if data.sha256 != plan.data_sha256:
            raise Conflict(
                f"The rows of {plan.name} are no longer what they were: documents, examples or file have"
                " changed since.",
                hint=f"undo that, or remove {run.folder} and begin anew",
                code="data_changed",
            )
        return self._train(run, base, builder, data, lesson, start)

    def _train(
        self,
        run: Run,
        base: BaseModel,
        builder: Builder,
        data: TuningData,
        lesson: Lesson,
        start: Lineage | None,
    ) -> Tuned:
        from finetune.tuning.run import tune

        self.run = run
        try:
            result = tune(
                base.folder,
                data.train,
                data.validation,
                run.plan.tune_settings(),
                run.folder,
                self._hooks,
                start=start.folder if start else None,
                base_name=base.identity.name,
                deadline=self._clock.deadline(run.plan.gate_seconds),
            )
        except Exception as error:
            if getattr(error, "code", None) == "diverged" or not run.resumable:
                run.finish()  # it would fail again; its name is free for a run with other settings
            raise
        if result.stopped or result.adapter is None:
            return Tuned(run, None, None, active=False, stopped=True)
        card = build_card(run.plan, base.identity, data, result, start, embedded=base.embedded)
        if run.plan.settings["method"]["value"] in ("full", "freeze"):
            card.write(result.adapter)
            folder = result.adapter
        else:
            folder = install(self._runtime.library, result.adapter, card).folder
        return self._judge(run, base, builder, lesson, folder)

    def _judge(self, run: Run, base: BaseModel, builder: Builder, lesson: Lesson, folder: Path) -> Tuned:
        self.run = run
        card = Card.read(folder)
        gating = Gating(self._runtime, base, run.plan, lesson, builder, self._clock, self._hooks)
        judged = gating.judge(card, folder)
        if not judged.stopped:
            run.finish()
        outranked = None
        settings = self._runtime.settings
        if settings.adapter is not None and settings.adapter != card.name:
            outranked = f"the {settings.origins['adapter']} names the adapter {settings.adapter}"
        return Tuned(run, judged.card, folder, judged.active, judged.stopped, outranked)

    def _finished_folder(self, run: Run) -> Path | None:
        """Where the adapter of a run is that was stopped after its training."""
        whole = run.folder / "model"
        if (whole / "card.json").is_file():
            return whole
        names = {one.name for one in in_library(self._runtime.library)}
        if run.plan.name not in names:
            return None
        folder = find(run.plan.name, self._runtime.library).folder
        if Card.read(folder).created != run.plan.created:
            raise Conflict(
                f"There is another adapter called {run.plan.name} by now.",
                hint=f"assistant adapters remove {run.plan.name}, then resume",
                code="name_taken",
            )
        return folder

    def _mention_unfinished(self) -> None:
        for run in self._runs.begun():
            self._hooks.say(
                f"note: the run {run.plan.name} was begun and not ended;"
                f" assistant tune --resume --name {run.plan.name} goes on with it."
            )


def _plan(
    name: str,
    wish: Wish,
    base: BaseModel,
    start: Lineage | None,
    builder: Builder,
    size: Size,
    seconds: float | None,
) -> RunPlan:
    return RunPlan(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        model=base.identity.name,
        model_origin=base.choice.origin,
        stage=wish.stage,
        data=str(wish.data.absolute()) if wish.data else None,
        start=start.name if start else None,
        passages=size.plan.passages,
        max_length=builder.max_length,
        share=size.share,
        rows=size.plan.rows,
        validation_rows=size.plan.validation_rows,
        data_sha256=size.data.sha256,
        settings=size.settings.as_json(),
        gate=wish.gate,
        use=wish.use,
        questions=str(wish.questions.absolute()) if wish.questions else None,
        closed_book=size.plan.closed_book,
        seconds=seconds,
        budget_origin="flag" if wish.budget is not None else "default",
        gate_seconds=size.plan.gate_seconds,
        left_out=size.plan.left_out,
    )
