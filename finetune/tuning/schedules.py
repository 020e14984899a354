"""How the learning rate goes over the steps of a run: a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from finetune.tuning.settings import Schedule

_STAIRS = 3  # of "step": the rate is halved at each third of the run
_FLOOR = 0.01  # share of the peak where "exponential" ends


def factor(schedule: Schedule, step: int, total: int, warmup: float = 0.0) -> float:
    """The share of the peak rate at `step` (0 is the first) of `total`; it first rises, over `warmup`."""
    rising = math.ceil(warmup * total)
    if step < rising:
        return (step + 1) / rising
    done = min((step - rising) / max(total - rising, 1), 1.0)
    return _AFTER_WARMUP[schedule](done)


def _stairs(done: float) -> float:
    return 0.5 ** min(int(done * _STAIRS), _STAIRS - 1)


_AFTER_WARMUP: dict[Schedule, Callable[[float], float]] = {
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "linear": lambda done: 1 - done,
    "constant": lambda done: 1.0,
    "step": _stairs,
    "exponential": lambda done: float(_FLOOR**done),
}
