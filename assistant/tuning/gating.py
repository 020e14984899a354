"""The gate of a tuned adapter: three systems on one base in memory, a threshold, questions, a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.answer.build import ChosenModel, build_engine
from assistant.evaluating import Examined
from assistant.runtime import Runtime
from assistant.tuning.rows import evenly
from corpora.errors import Conflict
from finetune.card import Serving
from finetune.evaluation.contest import ROLES, Held, Paper, Role, System, hold
from finetune.evaluation.forgetting import Forgetting, Probe, forgetting, probe, probe_tasks
from finetune.evaluation.gate import Verdict, decide
from finetune.evaluation.threshold import Threshold, choose
from finetune.tuning.budget import GateWork

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.chat_models.local import LocalChatModel
    from assistant.chat_models.switching import Switchboard
    from assistant.tuning.clock import Clock
    from corpora.prompt import Language
    from finetune.tuning.encode import ChatEncoder, EncodedRow
    from index.sync_options import Hooks

_FEW_TASKS = 8
_GROUNDED = frozenset({"grounded", "follow-up"})
_ANSWER_TOKENS = 24  # of a tuned model's answer
_TASK_TOKENS = 5  # a general task takes as long as writing so many alone: sixteen are written at once
_THRESHOLD_ROWS = 64


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the systems: the plain base (no adapter), an adapter on it, or a model of its own."""

    role: Role
    model: str
    adapter: str | None = None
    folder: Path | None = None
    serving: Serving | None = None


class Systems:
    """The systems of a gate, their weights loaded at first use; adapters share one base where they can."""

    def __init__(self, runtime: Runtime, contenders: Sequence[Contender]) -> None:
        self._runtime = runtime
        self._contenders = {one.role: one for one in contenders}
        self._boards: dict[str, Switchboard] = {}
        self._apart: dict[Role, BaseChatModel] = {}

    def serve(self, role: Role, serving: Serving | None) -> None:
        """Ask a system otherwise from now on."""
        self._contenders[role] = replace(self._contenders[role], serving=serving)
        self._apart.pop(role, None)  # it has read its card when it was loaded

    def close(self) -> None:
        """Let all weights go, before others are loaded."""
        import gc

        import torch

        self._boards.clear()
        self._apart.clear()
        self.__dict__.pop("asked", None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @cached_property
    def asked(self) -> dict[Role, System]:
        """Each system, asked in both ways."""
        return {role: self._system(self._contenders[role]) for role in ROLES if role in self._contenders}

    @property
    def without_incumbent(self) -> bool:
        """Whether the plain base is what answers now."""
        return "incumbent" not in self._contenders

    def model(self, role: Role) -> LocalChatModel:
        """The chat model of a system, ready to be asked; another call may turn the same one into another."""
        from assistant.chat_models.local import LocalChatModel

        contender = self._contenders.get(role) or self._contenders["base"]
        chat = self._apart.get(contender.role) or self._on_board(contender)
        if not isinstance(chat, LocalChatModel):
            raise Conflict(f"{contender.model} is no model of this machine.")
        return chat

    def _on_board(self, contender: Contender) -> BaseChatModel:
        board = self._board(contender.model)
        if contender.adapter is None or contender.folder is None:
            board.use(None)
            return _asked_by(board.model, contender)
        if contender.adapter not in board.names:
            try:
                board.load(contender.adapter, contender.folder, contender.serving)
            except Conflict as error:
                if error.code != "not_switchable":
                    raise
                self._apart[contender.role] = self._alone(contender)
                return self._apart[contender.role]
        board.use(contender.adapter)
        return _asked_by(board.model, contender)

    def _board(self, model: str) -> Switchboard:
        from assistant.chat_models.switching import Switchboard

        if model not in self._boards:
            chat = self._alone(Contender("base", model))
            self._boards[model] = Switchboard(chat)  # type: ignore[arg-type]
        return self._boards[model]

    def _alone(self, contender: Contender) -> BaseChatModel:
        return ChosenModel(self._runtime_of(contender)).chat

    def _runtime_of(self, contender: Contender) -> Runtime:
        settings = self._runtime.settings
        origins = {**settings.origins, "model": "flag", "adapter": "flag"}
        named = replace(settings, model=contender.model, adapter=contender.adapter or "none", origins=origins)
        return Runtime(self._runtime.library, named)

    def _system(self, contender: Contender) -> System:
        runtime = self._runtime_of(contender)
        engine = build_engine(runtime, model=_Seat(runtime, self, contender.role))
        return System(Examined(engine, retrieval=True), Examined(engine, retrieval=False))


def _asked_by(model: LocalChatModel, contender: Contender) -> LocalChatModel:
    """`model`, asked as the contender is to be."""
    if model.serving != contender.serving:
        model.replace_weights(replace(model.loaded, serving=contender.serving), contender.adapter)
    return model


class _Seat(ChosenModel):
    """A system's place at the shared base: its model is put there whenever it is asked."""

    def __init__(self, runtime: Runtime, systems: Systems, role: Role) -> None:
        super().__init__(runtime)
        self._systems, self._role = systems, role

    @property
    def chat(self) -> BaseChatModel:  # not cached: it may be another's now
        return self._systems.model(self._role)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate made of a candidate; `verdict` is None where it was stopped or had no time."""

    verdict: Verdict | None
    held: Held


def judge(
    systems: Systems,
    papers: Sequence[Paper],
    languages: Sequence[Language],
    closed_book: int,
    clock: Clock,
    hooks: Hooks,
    *,
    seed: int,
) -> Judgement:
    """Put the questions to all systems as long as the clock allows, and decide."""
    lost, since = _forgetting(systems, languages, clock, hooks, seed)
    held = hold(
        papers,
        systems.asked,
        closed_book=closed_book,
        left=clock.left,
        stop=hooks.stop,
        progress=hooks.progress,
        seed=seed,
    )
    if held.stopped or not held.asked:
        return Judgement(None, held)
    return Judgement(decide(held.contests, lost, since_incumbent=since, seed=seed), held)


def _forgetting(
    systems: Systems, languages: Sequence[Language], clock: Clock, hooks: Hooks, seed: int
) -> tuple[Forgetting | None, Forgetting | None]:
    """From the plain base to the candidate, and from the incumbent, if it is another.

    Where the clock is short, tasks are fewer, so that at least half of the time is left for questions.
    """
    tasks = probe_tasks(languages)
    if math.isfinite(clock.left()):
        began = time.monotonic()
        probe(systems.model("base"), tasks[:_FEW_TASKS])
        a_task = (time.monotonic() - began) / _FEW_TASKS
        fitting = int(clock.left() / 2 / (a_task * len(systems.asked)))
        tasks = evenly(tasks, max(fitting, _FEW_TASKS), seed)
    probes: dict[Role, Probe] = {}
    hooks.progress.start("general tasks", len(systems.asked))
    for role in systems.asked:
        if hooks.stop():
            return None, None
        probes[role] = probe(systems.model(role), tasks)
        hooks.progress.advance(1, role)
    since = None
    if "incumbent" in probes:
        since = forgetting(probes["incumbent"], probes["candidate"], seed=seed)
    return forgetting(probes["base"], probes["candidate"], seed=seed), since


def chosen_threshold(
    model: LocalChatModel, rows: Sequence[EncodedRow], chat: ChatEncoder, languages: Sequence[Language]
) -> Threshold | None:
    """The refusal threshold of the adapter on `model`, from validation rows; None where these are too few."""
    refusals = refusal_ids(chat, languages)
    firsts = sorted({ids[0] for ids in refusals})
    answerable: list[int] = []
    unanswerable: list[int] = []
    prompts: list[tuple[tuple[int, ...], int]] = []
    for row in rows:
        trained = row.input_ids[len(row.input_ids) - row.trained :]
        refused = trained in refusals
        if not refused and row.kind not in _GROUNDED:
            continue
        (unanswerable if refused else answerable).append(len(prompts) // len(firsts))
        prompts += [(row.input_ids[: len(row.input_ids) - row.trained], first) for first in firsts]
    found = model.first_token_probabilities(prompts)
    # The refusal is said in the language of the question: of the others the probability is next to nothing.
    sums = [sum(found[at : at + len(firsts)]) for at in range(0, len(found), len(firsts))]
    return choose(
        [min(sums[place], 1.0) for place in answerable], [min(sums[place], 1.0) for place in unanswerable]
    )


def refusal_ids(chat: ChatEncoder, languages: Sequence[Language]) -> frozenset[tuple[int, ...]]:
    """What a row is trained to write when it must refuse, in each language."""
    from corpora.prompt import REFUSAL
    from corpora.records import Message

    asked = (Message("system", "-"), Message("user", "-"))
    return frozenset(tuple(chat.answer_ids(asked, REFUSAL[language])) for language in languages)


def measured_work(
    systems: Systems, questions: Sequence[str], tuned: Sequence[EncodedRow], count: int
) -> GateWork:
    """What `count` questions will take here, from a few `questions` of the training split.

    The candidate is not there yet: it is going to read the prompt of a training row, whose time is measured,
    and to write a short answer.
    """
    began = time.monotonic()
    model = systems.model("base")
    loading = time.monotonic() - began
    base = systems.asked["base"]
    asked = [base.retrieval.answer(question).seconds for question in questions]
    retrieval = sum(one.retrieve for one in asked) / len(asked)
    alone = base.closed_book.answer(questions[0])
    a_token = alone.seconds.generate / max(alone.usage.completion_tokens, 1)
    reading = _reading_seconds(model, tuned)
    adapters = 1 if systems.without_incumbent else 2
    tuned_seconds = retrieval + reading + _ANSWER_TOKENS * a_token
    tasks = len(probe_tasks(["en"]))
    once = 2 * loading + _THRESHOLD_ROWS * reading + (adapters + 1) * tasks * _TASK_TOKENS * a_token
    return GateWork(
        questions=count,
        seconds=sum(one.total for one in asked) / len(asked) + adapters * tuned_seconds,
        closed_book_seconds=(adapters + 1) * alone.seconds.total,
        once_seconds=once,
    )


def _reading_seconds(model: LocalChatModel, rows: Sequence[EncodedRow]) -> float:
    """Of the prompt of a row."""
    some = [(row.input_ids[: len(row.input_ids) - row.trained], row.input_ids[-1]) for row in rows]
    began = time.monotonic()
    for one in some:
        model.first_token_probabilities([one])
    return (time.monotonic() - began) / max(len(some), 1)
