"""Trains the tiny model in a process of its own: `tuning_driver.py BASE FOLDER [--die-at EVENT:NUMBER]`.

EVENT is "step" (a layer's forward pass of the step NUMBER), or a file call inside of saves ("rename",
"fsync"), of which the NUMBER-th kills the process.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuning_models import learnable_rows

from finetune.tuning.run import tune
from finetune.tuning.settings import TuneSettings
from index.sync_options import Hooks

SETTINGS = TuneSettings(
    rank=4,
    dropout=0.1,
    neftune=5.0,
    batch=8,
    max_steps=12,
    evaluations=3,
    checkpoint_steps=2,
    learning_rate=5e-3,
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die-at", default="")
    options = parser.parse_args()
    event, _, number = options.die_at.partition(":")
    if event == "step":
        die_in_step(int(number))
    elif event:
        target = getattr(os, event)
        setattr(os, event, dying(target, int(number)))
    tune(
        options.base,
        learnable_rows(40),
        learnable_rows(8, seed=1),
        SETTINGS,
        options.folder,
        Hooks(say=lambda line: print(line, file=sys.stderr)),
    )


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
