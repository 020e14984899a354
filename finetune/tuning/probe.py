"""Three steps before a run: how long it will take, how much memory, how many tokens fit at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from corpora.errors import Missing
from finetune.tuning.batches import BatchPlan, Pack
from finetune.tuning.cutting import line_length
from finetune.tuning.encode import EncodedRow
from finetune.tuning.forward import Loss
from finetune.tuning.memory import (
    free_bytes,
    peak_bytes,
    reset_peak,
    too_long_for_memory,
    used_bytes,
    within_memory,
)
from finetune.tuning.methods import set_gradient_checkpointing, trained_parameters
from finetune.tuning.passes import Passes
from finetune.tuning.settings import TuneSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SIZES = (1, 2, 4)  # rows of the three steps
_TRIES = 2  # of each; the faster counts, since what else runs here can only slow a pass down
_SCATTERED = 3.2  # heap of forests of many sizes over that of the probe's: 3.2 and 4.7 after 200 steps
_FORWARD_SHARE = 0.4  # of a training step, that evaluation takes
_FILL = 0.7  # of the free memory, that a run may take
_ANEW_SHARE = 0.15  # of the activations, that gradient checkpointing keeps
_ANEW_COST = 1.35
_OPTIMIZER_BYTES = 12  # a parameter: a float32 copy and two moments
MICRO_TOKENS = {"forest": 2048, "cpu": 4096, "cuda": 16384}  # of a pass; more at once are no faster


@dataclass(frozen=True, slots=True)
class Pace:
    """Cost of a forward and backward pass of n padded tokens: `base + n * per_token`, seconds and bytes.

    `seconds_base` is the cost of a pass itself; `bytes_base` is what is used before it. `workers` passes run
    at a time, and the seconds are those by which one more of them makes a step longer. `anew` says that it
    was measured with gradient checkpointing, for want of memory.
    """

    seconds_base: float
    seconds_per_token: float
    bytes_base: int
    bytes_per_token: float
    workers: int = 1
    anew: bool = False

    def seconds(self, tokens: int) -> float:
        """Of one pass of `tokens`."""
        return self.seconds_base + tokens * self.seconds_per_token


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is going to take. `tokens` are those of all steps without padding, epochs counted.

    `computed` are those that go through the model: with padding, and with what rows share counted once.
    `share_to` and `workers` are kept, so that a resumed run takes the same steps in the same order.
    """

    seconds: float
    peak_bytes: int
    tokens: int
    tokens_per_second: float
    steps: int
    micro_tokens: int
    gradient_checkpointing: bool
    computed: int = 0
    share_to: int | None = None
    workers: int = 1

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def measure(model: PreTrainedModel, loss: Loss, rows: Sequence[EncodedRow], stop: Callable[[], bool]) -> Pace:
    """The pace of `model` on rows of middling length: passes of three sizes, no update, after a first one.

    Sizes that memory does not suffice for are left out. Raises Missing where not even one row fits.
    """
    places = sorted(range(len(rows)), key=lambda place: len(rows[place].input_ids))
    middle = rows[places[len(places) // 2]]
    count = max(_SIZES) * loss.workers
    # Rows that begin with different tokens share nothing.
    tried = [replace(middle, input_ids=(first, *middle.input_ids[1:])) for first in range(count)]
    passes = Passes(loss, tried, list(trained_parameters(model).values()))
    model.train()
    first = partial(_tried, model, passes, [[(0,)]] * loss.workers, 1)
    anew = within_memory(model, first) is None
    if anew:
        set_gradient_checkpointing(model, True)
        if within_memory(model, first) is None:
            raise too_long_for_memory(len(middle.input_ids))
    found: list[tuple[int, float, int]] = []
    before = used_bytes()
    for size in _SIZES:
        if stop():
            break
        micro: list[list[Pack]] = [
            [(worker * size + n,) for n in range(size)] for worker in range(loss.workers)
        ]
        reset_peak()
        seconds = within_memory(model, partial(_tried, model, passes, micro, _TRIES))
        if seconds is None:
            break
        tokens = loss.workers * size * len(middle.input_ids)
        found.append((tokens, seconds, max(peak_bytes() - before, 0)))
    seconds_base, seconds_per_token = _line([(tokens, seconds) for tokens, seconds, _ in found])
    _, bytes_per_token = _line([(tokens, float(size)) for tokens, _, size in found])
    return Pace(seconds_base / loss.workers, seconds_per_token, before, bytes_per_token, loss.workers, anew)


def estimate(
    pace: Pace,
    plan: BatchPlan,
    rows: Sequence[EncodedRow],
    settings: TuneSettings,
    *,
    total: int,
    validation: Sequence[EncodedRow],
    loss: Loss,
) -> Estimate:
    """What `total` steps of `plan` cost at `pace`, and how they fit into the memory that is free.

    Raises Missing where not even the longest row fits.
    """
    longest = max(len(row.input_ids) for row in rows)
    trained = sum(one.numel() for one in trained_parameters(loss.model).values())
    for_sums = trained * _OPTIMIZER_BYTES
    room = free_bytes() * _FILL - for_sums
    kind = "forest" if loss.forests else "cuda" if torch.cuda.is_available() else "cpu"
    wanted = settings.micro_tokens or MICRO_TOKENS[kind]
    anew = pace.anew or settings.gradient_checkpointing
    if anew is None:
        anew = longest * pace.bytes_per_token > room
    less, slower = (_ANEW_SHARE, _ANEW_COST) if anew and not pace.anew else (1.0, 1.0)
    per_token = pace.bytes_per_token * less * (_SCATTERED if loss.forests else 1)
    if longest * per_token > max(room, 0) / _FILL:
        raise Missing(
            f"A row of {longest} tokens needs about {longest * per_token / 2**30:.1f} GiB more than is free.",
            hint="a smaller --max-length, or a smaller model",
            code="device_missing",
        )
    micro_tokens = max(min(wanted, int(room / max(per_token, 1.0) / pace.workers)), 1)
    seconds, tokens, computed, widest = 0.0, 0, 0, 0
    for step in plan.steps(0, min(total, plan.steps_per_epoch)):
        for lines in loss.cut(rows, [line for micro in step.micro for line in micro], micro_tokens):
            size = loss.tokens(rows, lines)
            computed, widest = computed + size, max(widest, size)
            seconds += pace.seconds(size) * slower
            tokens += sum(line_length(rows, line) for line in lines)
    epochs = max(total / plan.steps_per_epoch, 1.0)
    held = loss.cut(validation, loss.lines(validation), micro_tokens) if validation else []
    evaluated = sum(loss.tokens(validation, lines) for lines in held) * settings.evaluations
    seconds = seconds * epochs + evaluated * pace.seconds_per_token * _FORWARD_SHARE
    return Estimate(
        seconds=seconds,
        peak_bytes=int(pace.bytes_base + for_sums + widest * pace.workers * per_token),
        tokens=int(tokens * epochs),
        tokens_per_second=tokens * epochs / max(seconds, 1e-9),
        steps=total,
        micro_tokens=micro_tokens,
        gradient_checkpointing=anew,
        computed=int(computed * epochs),
        workers=loss.workers,
    )


def _tried(model: PreTrainedModel, passes: Passes, micro: Sequence[Sequence[Pack]], tries: int) -> float:
    """Seconds of the fastest try."""
    return min(_seconds_of_pass(model, passes, micro) for _ in range(tries))


def _seconds_of_pass(model: PreTrainedModel, passes: Passes, micro: Sequence[Sequence[Pack]]) -> float:
    began = time.perf_counter()
    passes.train(micro, 1.0)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    model.zero_grad()
    return time.perf_counter() - began


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Base and slope of the line through `points` by least squares, neither below 0."""
    if not points:
        return 0.0, 0.0
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else mean_y / mean_x
    base = mean_y - slope * mean_x
    if slope <= 0 or base < 0:
        return 0.0, mean_y / mean_x
    return base, slope
