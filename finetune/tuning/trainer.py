"""Our SFTTrainer: whole steps as it is given them, micro-batches that shrink, checkpoints without pickle.

TRL's trainer brings the loop, the tracking and the seams to accelerate. One batch of it is one optimiser
step (a `Step` of the batch plan); the step is cut into micro-batches here, so that out of memory these are
halved, and their number doubled, while rows, order and gradient stay the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset
from transformers import TrainerState
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_trainer import SFTTrainer

from corpora.errors import Conflict
from finetune.tuning.batches import BatchPlan, Pack, Step
from finetune.tuning.checkpoints import Checkpoints, Snapshot
from finetune.tuning.cutting import line_length
from finetune.tuning.encode import EncodedRow
from finetune.tuning.forward import Loss
from finetune.tuning.memory import too_long_for_memory, within_memory
from finetune.tuning.methods import makes_activations_anew, set_gradient_checkpointing, trained_parameters
from finetune.tuning.optimizer import MasterAdamW
from finetune.tuning.passes import Passes
from finetune.tuning.randomness import RandomState, capture, restore
from finetune.tuning.schedules import factor
from finetune.tuning.settings import TuneSettings
from finetune.tuning.trl_arguments import a_data_set, trl_arguments
from finetune.tuning.watch import Watch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Course:
    """What a run goes through: `plan` over `rows` for `total` steps, and what it is validated on."""

    rows: Sequence[EncodedRow]
    plan: BatchPlan
    total: int
    validation: Sequence[EncodedRow]


class Ended(Exception):
    """A resumed run had nothing left to do."""


class Tuner(SFTTrainer):
    """Trains `model` through `course`; `micro_tokens` are the tokens of one forward pass at first."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        course: Course,
        settings: TuneSettings,
        loss: Loss,
        *,
        micro_tokens: int,
        checkpoints: Checkpoints,
        watch: Watch,
    ) -> None:
        super().__init__(
            model=model,
            args=trl_arguments(settings, course.total, checkpoints.folder.parent),
            train_dataset=a_data_set(course.rows[:1]),
            processing_class=tokenizer,
            callbacks=[watch],
        )
        self.remove_callback(PrinterCallback)  # it prints to stdout
        self.network = model  # the trainer's own `model` may be None, by its type
        self.micro_tokens = micro_tokens
        self.loss = loss
        self.snapshot: Snapshot | None = None  # where a resumed run begins
        self._course, self._settings = course, settings
        self._checkpoints, self._watch = checkpoints, watch
        self._adam: MasterAdamW | None = None
        self._random: RandomState | None = None

    def run(self, snapshot: Snapshot | None) -> None:
        """Train from `snapshot`, or from the beginning, to the end. Raises Stopped, Conflict, Missing."""
        self.snapshot = snapshot
        if snapshot is None:
            self.train()
            return
        if snapshot.step >= self._course.total or (
            self._watch.is_over(snapshot.trainer_state) and not snapshot.facts["evaluation_due"]
        ):
            self.load_weights(snapshot)
            self.state = TrainerState(**snapshot.trainer_state)
            return
        self.micro_tokens = snapshot.facts["micro_tokens"]
        set_gradient_checkpointing(self.network, snapshot.facts["gradient_checkpointing"])
        self.args.eval_on_start = snapshot.facts["evaluation_due"]
        try:
            self.train(resume_from_checkpoint=str(self._checkpoints.path(snapshot.step)))
        except Ended:
            self.control.should_training_stop = True

    @property
    def may_save(self) -> bool:
        """Whether there is anything to save: the optimizer exists."""
        return self._adam is not None

    @property
    def cut_short(self) -> bool:
        """Whether the deadline ended the run before its last step."""
        return self._watch.cut_short

    def best_step(self) -> int | None:
        """The step with the best validation loss."""
        return self._watch.best_step(self.state)

    # What the loop of transformers calls.

    def get_train_dataloader(self) -> DataLoader[Step]:
        """Steps of the whole run in order, as of one epoch, so that resuming skips whole steps."""
        return DataLoader(
            _Steps(self._course),
            batch_size=1,
            collate_fn=lambda steps: steps[0],
            generator=torch.Generator(),  # or it would draw from the generator that dropout draws from
        )

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW with float32 sums."""
        if self.optimizer is None:
            self._adam = MasterAdamW(
                self._parameters(),
                lr=self._settings.learning_rate,
                weight_decay=self._settings.weight_decay,
            )
            self.optimizer = self._adam
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LambdaLR:
        """The schedule of the settings."""
        settings = self._settings
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(
                optimizer or self.create_optimizer(),
                lambda step: factor(settings.schedule, step, num_training_steps, settings.warmup),
            )
        return self.lr_scheduler

    def training_step(  # type: ignore[override]  # its batches are ours
        self, model: torch.nn.Module, inputs: Step, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Gradients of one step; its mean loss over trained tokens."""
        if self.control.should_training_stop:
            raise Ended
        model.train()
        self._random = capture()
        loss = self._made_to_fit(lambda: self._accumulate(inputs), self._course.rows, _lines(inputs))
        if not torch.isfinite(loss):
            raise Conflict(
                f"The loss is not a number any more at step {self.state.global_step + 1}.",
                hint="a smaller --learning-rate",
                code="diverged",
            )
        return loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Mean loss over the validation rows, weighed as in training, and its exponential."""
        started = time.monotonic()
        self._random = capture()
        self._watch.evaluation_due = True
        self.network.train(False)
        rows = self._course.validation
        lines = self.loss.lines(rows)
        passes = Passes(self.loss, rows, self._parameters())
        total = self._made_to_fit(
            lambda: passes.evaluate(self.loss.cut(rows, lines, self.micro_tokens)), rows, lines
        )
        mean = total / max(self.loss.parts(rows, lines), 1)
        metrics = {
            "eval_loss": mean,
            "eval_perplexity": math.exp(min(mean, 50.0)),
            "eval_runtime": time.monotonic() - started,
        }
        self.log(metrics)
        self._watch.evaluation_due = False
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.network.train()
        return metrics

    def _get_num_items_in_batch(self, batch_samples: list[Step], device: torch.device) -> None:
        """A Step knows how many of its tokens carry loss."""

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: a Step is no dict of tensors."""
        return 0

    # Checkpoints.

    def save_now(self) -> Path:
        """Checkpoint the state after the last whole step; one that was cut off leaves no trace in it."""
        adam, schedule = self._adam, self.lr_scheduler
        if adam is None or schedule is None:
            raise RuntimeError("there is nothing to save before training has begun")
        random = self._random or capture()
        weights = {name: one.detach() for name, one in trained_parameters(self.network).items()}
        facts = {
            "random": random.facts,
            "schedule": schedule.state_dict(),
            "optimizer": adam.settings(),
            "micro_tokens": self.micro_tokens,
            "gradient_checkpointing": makes_activations_anew(self.network),
            "evaluation_due": self._watch.evaluation_due,
        }
        tensors = {"weights": weights, "optimizer": adam.tensors(), "random": random.tensors}
        snapshot = Snapshot(self.state.global_step, tensors, asdict(self.state), facts)
        best = self._watch.best_step(self.state)
        return self._checkpoints.save(snapshot, also_keep=[] if best is None else [best])

    def load_weights(self, snapshot: Snapshot) -> None:
        """Put the trained weights of `snapshot` into the model. Raises Conflict where they do not fit."""
        weights, own = snapshot.tensors["weights"], trained_parameters(self.network)
        if {name: one.shape for name, one in own.items()} != {n: one.shape for n, one in weights.items()}:
            raise Conflict("The checkpoint holds other weights than this run trains.", code="bad_checkpoint")
        with torch.no_grad():
            for name, one in own.items():
                one.copy_(weights[name])

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        self._random = capture()
        self.save_now()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.snapshot is not None:
            self.load_weights(self.snapshot)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self.snapshot is not None and self._adam is not None and self.lr_scheduler is not None:
            self._adam.restore(self.snapshot.tensors["optimizer"], self.snapshot.facts["optimizer"])
            self.lr_scheduler.load_state_dict(dict(self.snapshot.facts["schedule"]))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if self.snapshot is not None:
            restore(RandomState(self.snapshot.tensors["random"], self.snapshot.facts["random"]))

    # One step.

    def _accumulate(self, step: Step) -> torch.Tensor:
        rows, lines = self._course.rows, _lines(step)
        micro = self.loss.cut(rows, lines, self.micro_tokens)
        passes = Passes(self.loss, rows, self._parameters())
        found = passes.train(micro, self.loss.parts(rows, lines), self._watch.stop_if_asked)
        self._watch.saw(
            step,
            tokens=sum(line_length(rows, line) for line in lines),
            computed=sum(self.loss.tokens(rows, one) for one in micro),
            micro=len(micro),
        )
        return found

    def _parameters(self) -> list[torch.nn.Parameter]:
        return list(trained_parameters(self.network).values())

    def _made_to_fit(self, work: Callable[[], T], rows: Sequence[EncodedRow], lines: Sequence[Pack]) -> T:
        """What `work` over `lines` gives, with fewer tokens at a time as long as it runs out of memory."""
        while (found := within_memory(self.network, work)) is None:
            if self._random is not None:
                restore(self._random)
            self._shrink(rows, lines)
        return found

    def _shrink(self, rows: Sequence[EncodedRow], lines: Sequence[Pack]) -> None:
        """Half as many tokens at a time; gradient checkpointing when down to one line. Raises Missing."""
        micro = self.loss.cut(rows, lines, self.micro_tokens)
        largest = max(self.loss.tokens(rows, some) for some in micro)
        if max(map(self.loss.divisible, micro)):
            self.micro_tokens = min(self.micro_tokens, largest) // 2
        elif not makes_activations_anew(self.network):
            set_gradient_checkpointing(self.network, True)
        else:
            raise too_long_for_memory(largest)
        self._watch.out_of_memory(self.state.global_step, self.micro_tokens)


class _Steps(Dataset[Step]):
    def __init__(self, course: Course) -> None:
        self._course = course

    def __len__(self) -> int:
        return self._course.total

    def __getitem__(self, number: int) -> Step:
        return self._course.plan.step(number)


def _lines(step: Step) -> list[tuple[int, ...]]:
    return [line for lines in step.micro for line in lines]
