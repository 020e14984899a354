"""The options of `assistant tune`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class MethodName(StrEnum):
    """What `--method` takes."""

    QLORA = "qlora"
    EIGHT_BIT = "8bit"
    LORA = "lora"
    DORA = "dora"
    RSLORA = "rslora"
    FREEZE = "freeze"
    FULL = "full"
    PROMPT = "prompt"
    PREFIX = "prefix"
    P_TUNING = "p-tuning"


class StageName(StrEnum):
    """What `--stage` takes."""

    SFT = "sft"
    PRETRAIN = "pretrain"


class ScheduleName(StrEnum):
    """What `--schedule` takes."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"
    STEP = "step"
    EXPONENTIAL = "exponential"


class TrackerName(StrEnum):
    """What `--track` takes."""

    NONE = "none"
    TRACKIO = "trackio"
    TENSORBOARD = "tensorboard"
    WANDB = "wandb"


Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="F", help="Train on this JSONL file, not on the library's examples."),
]
Model = Annotated[
    str | None, typer.Option("--model", metavar="M", help="Model to tune: name, hub id or folder.")
]
Name = Annotated[str | None, typer.Option("--name", metavar="N", help="Name of the adapter.")]
Method = Annotated[
    MethodName | None, typer.Option("--method", help="How to train (default: by the hardware).")
]
Stage = Annotated[StageName, typer.Option("--stage", help="sft on answers, or pretrain on plain passages.")]
Start = Annotated[
    str | None,
    typer.Option("--from", metavar="base|NAME", help="Adapter to begin from (default: the shipped one)."),
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", metavar="MINUTES", help="Time for training and gate (60 without a GPU)."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")]
Inspect = Annotated[
    bool, typer.Option("--inspect", help="Show rows with what is trained on, and train nothing.")
]
NoGate = Annotated[
    bool, typer.Option("--no-gate", help="Do not judge the adapter, and do not put it to use.")
]
Use = Annotated[bool, typer.Option("--use", help="With --no-gate: put it to use all the same.")]
Questions = Annotated[
    Path | None,
    typer.Option("--questions", metavar="FILE", help="Your own questions for the gate, as in eval."),
]
Passages = Annotated[
    int | None, typer.Option("-k", min=1, max=50, metavar="N", help="Most passages in a row.")
]
MaxLength = Annotated[
    int | None, typer.Option("--max-length", min=16, metavar="N", help="Most tokens in a row.")
]
Epochs = Annotated[float | None, typer.Option("--epochs", metavar="X", help="Times through the rows.")]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", metavar="X", help="Highest step size.")
]
Rank = Annotated[int | None, typer.Option("--rank", min=1, metavar="N", help="Rank of LoRA.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, metavar="N", help="Rows of a step.")]
Schedule = Annotated[ScheduleName | None, typer.Option("--schedule", help="How the step size falls.")]
Warmup = Annotated[
    float | None, typer.Option("--warmup", metavar="X", help="Share of the steps in which it rises first.")
]
Packing = Annotated[bool, typer.Option("--packing", help="Several rows in one line.")]
Neftune = Annotated[float | None, typer.Option("--neftune", metavar="X", help="Noise on embeddings.")]
Compile = Annotated[bool, typer.Option("--compile", help="Use torch.compile.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=2**32 - 1, metavar="N", help="Same seed, same run.")
]
Track = Annotated[TrackerName, typer.Option("--track", help="Tell a tracker how the run goes.")]
