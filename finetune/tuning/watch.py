"""What looks on while a model is trained: the log, when to evaluate, to checkpoint, to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune.tuning.batches import Step
from finetune.tuning.forward import Stopped
from finetune.tuning.log import RunLog
from finetune.tuning.memory import peak_bytes
from finetune.tuning.settings import TuneSettings
from index.sync_options import Hooks

_WORSE = 1e-4  # a validation loss is better when it is lower by more than this share


@dataclass(frozen=True, slots=True)
class _Seen:
    """The step that was computed last."""

    step: Step
    tokens: int
    computed: int
    micro: int


class Watch(TrainerCallback):
    """Callbacks of one run of `total` steps, validated at `evaluate_at`."""

    def __init__(
        self,
        log: RunLog,
        settings: TuneSettings,
        hooks: Hooks,
        evaluate_at: frozenset[int],
        deadline: float | None = None,
    ) -> None:
        self.evaluation_due = False  # whether one was begun and not ended
        self.cut_short = False  # whether the deadline has ended the run
        self._deadline = deadline
        self._log, self._settings, self._hooks = log, settings, hooks
        self._evaluate_at = evaluate_at
        self._seen: _Seen | None = None
        self._began = self._saved = time.monotonic()
        self._clock: Callable[[], float] = time.monotonic

    def saw(self, step: Step, *, tokens: int, computed: int, micro: int) -> None:
        """A step of so many tokens is computed, of which so many went through the model (see `Estimate`)."""
        self._seen = _Seen(step, tokens, computed, micro)

    def out_of_memory(self, step: int, micro_tokens: int) -> None:
        """The step after `step` did not fit and is tried again."""
        self._log.write("out_of_memory", step, {"micro_tokens": micro_tokens})
        self._hooks.say(
            f"Out of memory: going on with {micro_tokens:,} tokens at a time, the batch unchanged."
        )

    def best_step(self, state: TrainerState) -> int | None:
        """The step with the best validation loss so far."""
        return _best(_evaluations(state.log_history))[0]

    def is_over(self, state: Mapping[str, Any]) -> bool:
        """Whether the last evaluations of a stored state end the run."""
        return self._stale(_evaluations(state["log_history"]))

    def _stale(self, losses: list[tuple[int, float]]) -> bool:
        return bool(self._settings.patience) and _best(losses)[1] >= self._settings.patience

    def stop_if_asked(self) -> None:
        """Raises Stopped: between micro-batches, where the layers cannot ask because they are compiled."""
        if self._hooks.stop():
            raise Stopped

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock of the step."""
        self._began = self._clock()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Decide what follows the step."""
        control.should_evaluate = state.global_step in self._evaluate_at
        every = self._settings.checkpoint_steps
        if every is not None:
            control.should_save = state.global_step % every == 0
        else:
            control.should_save = self._clock() - self._saved > self._settings.checkpoint_seconds
        if state.global_step == state.max_steps:
            control.should_save = True
        elif self._is_late(state.log_history):
            control.should_evaluate = bool(self._evaluate_at)
            control.should_save = control.should_training_stop = self.cut_short = True
            self._log.write("deadline", state.global_step, {"of": state.max_steps})

    def _is_late(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Whether only one more evaluation fits before the deadline."""
        if self._deadline is None:
            return False
        last = next((line["eval_runtime"] for line in reversed(history) if "eval_runtime" in line), 0.0)
        return self._clock() + last >= self._deadline

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Count the time to the next checkpoint from here."""
        self._saved = self._clock()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the line of a step or an evaluation."""
        logs = logs or {}
        if "eval_loss" in logs:
            facts: dict[str, Any] = {"loss": logs["eval_loss"], "perplexity": logs["eval_perplexity"]}
            self._log.write("evaluation", state.global_step, {**facts, "seconds": logs["eval_runtime"]})
        elif "loss" in logs and self._seen is not None:
            facts = {
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "grad_norm": logs.get("grad_norm"),
                "epoch": self._seen.step.epoch,
                "tokens": self._seen.tokens,
                "computed_tokens": self._seen.computed,
                "trained_tokens": self._seen.step.trained,
                "micro_batches": self._seen.micro,
                "seconds": self._clock() - self._began,
                "peak_bytes": peak_bytes(),
            }
            self._log.write("step", state.global_step, facts)
            self._hooks.progress.advance(1, f"loss {logs['loss']:.3f}")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep the best; end the run when it has long been no better."""
        losses = _evaluations(state.log_history)
        best, _since = _best(losses)
        if best == state.global_step:
            control.should_save = True
        if self._stale(losses):
            control.should_training_stop = True
            control.should_save = True
            self._log.write("early_stop", state.global_step, {"best_step": best})


def _evaluations(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    return [(int(line["step"]), line["eval_loss"]) for line in history if "eval_loss" in line]


def _best(losses: list[tuple[int, float]]) -> tuple[int | None, int]:
    """The step of the best loss, and how many evaluations came after it."""
    best: tuple[int | None, float, int] = (None, float("inf"), 0)
    for at, (step, loss) in enumerate(losses):
        if best[0] is None or loss < best[1] * (1 - _WORSE):
            best = (step, loss, at)
    return best[0], len(losses) - 1 - best[2] if losses else 0
