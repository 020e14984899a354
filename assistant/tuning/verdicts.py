"""After training: how the adapter is asked, how it does beside the others, whether it answers from now on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.tuning.gating import Contender, Judgement, Systems, chosen_threshold, judge
from assistant.tuning.papers import papers
from corpora.errors import AssistantError
from finetune.adapters.active import choose
from finetune.card import Card, GateVerdict, Serving

if TYPE_CHECKING:
    from assistant.runtime import Runtime
    from assistant.tuning.base import BaseModel
    from assistant.tuning.clock import Clock
    from assistant.tuning.lessons import Lesson
    from assistant.tuning.rows import Builder
    from assistant.tuning.runs import RunPlan
    from corpora.prompt import Language
    from corpora.store import Library
    from index.sync_options import Hooks

_GROUNDED = frozenset({"grounded", "missing", "neighbour", "near-miss", "out-of-domain", "follow-up"})
_NO_QUESTIONS = "not judged: there are no held-out questions"
_NO_TIME = "not judged: no time was left for the gate"


@dataclass(frozen=True, slots=True)
class Judged:
    """A card with its verdict (none where the user stopped it), and whether the adapter is now in use."""

    card: Card
    active: bool
    stopped: bool


def incumbents(
    runtime: Runtime, base: BaseModel, hooks: Hooks, candidate: Path | None = None
) -> tuple[Contender, ...]:
    """The plain base, and the adapter that answers on it now, if there is one.

    Where that is the `candidate` itself, as after a gate that was cut off, it is what answered before.
    """
    from assistant.chat_models.adapters import adapter_for, serving_of_model
    from finetune.adapters.active import choice_for

    name = base.choice.value
    found = [Contender("base", name, serving=serving_of_model(base.folder))]
    try:
        now = adapter_for(name, base.folder, runtime.settings.adapter, runtime.library, default=True)
        if now is not None and candidate is not None and now.folder.resolve() == candidate.resolve():
            chosen = choice_for(runtime.library, base.identity.name)
            other = chosen.previous if chosen.name == now.name else chosen.name
            now = adapter_for(name, base.folder, other, runtime.library if other else None, default=True)
    except AssistantError as error:  # of another base: it could not answer either
        hooks.say(f"note: {error.message} Comparing with the plain base.")
        now = None
    if now is not None:
        found.append(Contender("incumbent", name, now.name, now.folder, now.serving))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Gating:
    """The gate for the adapter, or whole model, in `folder`."""

    runtime: Runtime
    base: BaseModel
    plan: RunPlan
    lesson: Lesson
    builder: Builder
    clock: Clock
    hooks: Hooks

    def judge(self, card: Card, folder: Path) -> Judged:
        """Choose its threshold, ask the questions, store the verdict, and put it to use if that is right."""
        systems = Systems(
            self.runtime, (*incumbents(self.runtime, self.base, self.hooks, folder), self._own(card, folder))
        )
        card = replace(card, serving=self._serving(card, systems))
        card.write(folder)
        if self.hooks.stop():
            return Judged(card, False, True)
        if not self.plan.gate:
            reason = "not judged: --no-gate" + (", put to use by --use" if self.plan.use else "")
            return self._stored(card, folder, GateVerdict(False, False, reason), use=self.plan.use)
        sheets = papers(
            self.lesson.material,
            self.builder,
            self._passages,
            _path(self.plan.data),
            _path(self.plan.questions),
        )
        if not sheets:
            return self._stored(card, folder, GateVerdict(False, False, _NO_QUESTIONS), use=False)
        if self.clock.left() <= 0:
            return self._stored(card, folder, GateVerdict(False, False, _NO_TIME), use=False)
        systems.serve("candidate", card.serving)
        found = judge(
            systems,
            sheets,
            self._languages,
            self.plan.closed_book,
            self.clock,
            self.hooks,
            seed=self.builder.seed,
        )
        if found.held.stopped:
            return Judged(card, False, True)
        verdict = verdict_of(found)
        return self._stored(card, folder, verdict, use=verdict.promoted)

    def _own(self, card: Card, folder: Path) -> Contender:
        if (folder / "adapter_config.json").is_file():
            return Contender("candidate", self.base.choice.value, card.name, folder, card.serving)
        return Contender("candidate", str(folder), serving=card.serving)

    def _serving(self, card: Card, systems: Systems) -> Serving | None:
        """As its rows were written, and with the threshold that suits it best."""
        if not _GROUNDED & card.data.kinds.keys():
            return card.serving
        inherited = card.serving.refusal_threshold if card.serving else None
        if self.plan.data is not None or not self.lesson.material.validation:
            return Serving(examples=False, refusal_threshold=inherited)
        rows = self.builder.threshold_rows(self.lesson.material, self._passages)
        found = chosen_threshold(systems.model("candidate"), rows, self.builder.chat, self._languages)
        if found is None:
            self.hooks.say("No refusal threshold of its own: too few validation rows, or they do not tell.")
            return Serving(examples=False, refusal_threshold=inherited)
        self.hooks.say(f"The adapter {found.line()}.")
        return Serving(examples=False, refusal_threshold=found.value)

    def _stored(self, card: Card, folder: Path, verdict: GateVerdict, *, use: bool) -> Judged:
        return conclude(self.runtime.library, card, folder, verdict, use=use)

    @property
    def _passages(self) -> int:
        return max(self.plan.passages, 1)

    @property
    def _languages(self) -> Sequence[Language]:
        return tuple(one for one in ("en", "zh") if one in self.lesson.material.languages) or ("en",)


def conclude(library: Library, card: Card, folder: Path, verdict: GateVerdict, *, use: bool) -> Judged:
    """Store the verdict on the card; with `use` the adapter answers on its base from now on.

    A whole model is no adapter and cannot be put to use so.
    """
    card = replace(card, verdict=verdict)
    card.write(folder)
    able = (folder / "adapter_config.json").is_file()
    if use and able:
        choose(library, card.base.name, card.name)
    return Judged(card, use and able, False)


def verdict_of(found: Judgement) -> GateVerdict:
    """A judgement as the card keeps it."""
    if found.verdict is None:
        return GateVerdict(False, False, _NO_TIME)
    short = (
        f" ({found.held.asked} of {found.held.of} questions, for want of time)"
        if found.held.cut_short
        else ""
    )
    failed = [one.name for one in found.verdict.conditions if not one.passed]
    reason = (
        "better beyond noise, and nothing lost" if found.verdict.promoted else f"failed: {', '.join(failed)}"
    )
    return GateVerdict(
        promoted=found.verdict.promoted,
        gate=True,
        reason=reason + short,
        table=tuple(found.verdict.lines()),
        details=found.verdict.row(),
    )


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None
