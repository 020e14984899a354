"""Trains the tiny model in a process of its own: `tuning_driver.py BASE FOLDER KIND [--die-at EVENT:NUMBER]`.

KIND is "padded" (rows in padded batches, with dropout and noise) or "shared" (in forests, two at a time).

EVENT is "step" (a layer's forward pass of the step NUMBER), or a file call inside of saves ("rename",
"fsync"), of which the NUMBER-th kills the process.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tuning_models import learnable_rows, rows_in_families

from finetune.tuning.run import TuneResult, tune
from finetune.tuning.settings import TuneSettings
from index.sync_options import Hooks

PADDED = TuneSettings(
    rank=4,
    dropout=0.1,
    neftune=5.0,
    batch=8,
    max_steps=12,
    evaluations=3,
    checkpoint_steps=2,
    learning_rate=5e-3,
)
SETTINGS = {"padded": PADDED, "shared": replace(PADDED, dropout=0.0, neftune=None, micro_tokens=160)}
ROWS = {"padded": learnable_rows, "shared": rows_in_families}


def train(base: Path, folder: Path, kind: str, hooks: Hooks) -> TuneResult:
    """The run of a kind."""
    if kind == "shared":
        torch.set_num_threads(2)  # as many passes side by side
    rows = ROWS[kind]
    return tune(base, rows(40), rows(8, seed=1), SETTINGS[kind], folder, hooks)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=SETTINGS)
    parser.add_argument("--die-at", default="")
    options = parser.parse_args()
    event, _, number = options.die_at.partition(":")
    if event == "step":
        die_in_step(int(number))
    elif event:
        target = getattr(os, event)
        setattr(os, event, dying(target, int(number)))
    hooks = Hooks(say=lambda line: print(line, file=sys.stderr))
    train(options.base, options.folder, options.kind, hooks)


def dying(call: Callable[..., Any], number: int) -> Callable[..., Any]:
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)

    return counted


def die_in_step(number: int) -> None:
    from finetune.tuning import trainer

    original = trainer.Tuner.training_step

    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        if self.state.global_step + 1 == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    trainer.Tuner.training_step = step  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
