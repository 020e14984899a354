"""What a training run is told, each setting with where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from corpora.errors import UsageError

Method = Literal[
    "qlora",  # NF4 with double quantisation under LoRA
    "int8",  # 8-bit base under LoRA
    "lora",
    "dora",
    "rslora",
    "freeze",  # all but the last layers frozen
    "full",
    "prompt",
    "prefix",
    "p-tuning",
]
Schedule = Literal["cosine", "linear", "constant", "step", "exponential"]
Weighting = Literal[
    "token",  # the loss is the mean over all trained tokens of a step
    "row",  # the mean over a step's rows of the mean over a row's trained tokens
]

ADAPTER_METHODS = frozenset({"qlora", "int8", "lora", "dora", "rslora", "prompt", "prefix", "p-tuning"})
LORA_METHODS = frozenset({"qlora", "int8", "lora", "dora", "rslora"})

_ORIGINS: Mapping[str, str] = {
    "method": "default (16-bit LoRA is faster than 4 bits where the base is small)",
    "rank": "default (16 on all linear layers: an adapter of the embedded model is 10 MB)",
    "alpha": "default (twice the rank)",
    "dropout": "default (none: so LoRA layers can be fused; early stopping guards)",
    "learning_rate": "default (about ten times that of full tuning, as TRL's guide has it)",
    "schedule": "default",
    "warmup": "default (the QLoRA paper's 3 %)",
    "max_grad_norm": "default (the QLoRA paper's)",
    "weighting": "default (as TRL)",
    "first_token": "default (none)",
    "batch": "default (TRL's guide advises less than 32 for LoRA)",
    "micro_tokens": "default (bounds the memory)",
    "compile": "default (off: it needs a compiler, and minutes)",
    "packing": "default (sorted rows waste few tokens)",
    "neftune": "default (off: it helps style, not facts)",
}


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """Settings of a run; `origins` says of each where it comes from (see `origin`).

    `batch` is the effective batch in rows; how many go through the model at once follows from
    `micro_tokens`, the most padded tokens of one forward pass (None: from the probe). `warmup` is the share
    of all steps. `first_token` is the share of a row's loss, where rows are weighed, that lies on its first
    trained token alone: there it is decided whether the model refuses. `last_layers` counts for freeze,
    `virtual_tokens` for prompt, prefix and p-tuning.
    `evaluations` are spread evenly over the run; `patience` of them without a better validation loss end it
    (0: never). `checkpoint_steps` is the distance of checkpoints (None: every `checkpoint_seconds`).
    `gradient_checkpointing` None: only where memory is short. `track` names a tracker of transformers.
    """

    method: Method = "lora"
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    max_grad_norm: float = 0.3
    schedule: Schedule = "cosine"
    warmup: float = 0.03
    epochs: float = 2.0
    max_steps: int | None = None
    batch: int = 16
    weighting: Weighting = "token"
    first_token: float = 0.0
    micro_tokens: int | None = None
    packing: bool = False
    neftune: float | None = None
    compile: bool = False
    gradient_checkpointing: bool | None = None
    last_layers: int = 2
    virtual_tokens: int = 20
    evaluations: int = 5
    patience: int = 3
    checkpoint_steps: int | None = None
    checkpoint_seconds: float = 120.0
    keep_checkpoints: int = 2
    seed: int = 0
    track: str = "none"
    origins: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises UsageError for values that make no run."""
        if self.method not in get_args(Method) or self.schedule not in get_args(Schedule):
            raise UsageError(
                f"There is no method {self.method!r} or no schedule {self.schedule!r}.",
                hint=f"methods: {', '.join(get_args(Method))}; schedules: {', '.join(get_args(Schedule))}",
            )
        if self.weighting not in get_args(Weighting):
            raise UsageError(f"There is no weighting {self.weighting!r}.", hint="token, row")
        positive = {
            "rank": self.rank,
            "alpha": self.alpha,
            "learning_rate": self.learning_rate,
            "epochs": self.epochs,
            "max_steps": self.max_steps,
            "batch": self.batch,
            "micro_tokens": self.micro_tokens,
            "last_layers": self.last_layers,
            "virtual_tokens": self.virtual_tokens,
            "keep_checkpoints": self.keep_checkpoints,
            "checkpoint_steps": self.checkpoint_steps,
        }
        for name, value in positive.items():
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{name} must be a number greater than 0, not {value}.")
        if not 0 <= self.first_token < 1 or (self.first_token and self.weighting != "row"):
            raise UsageError("first_token lies between 0 and 1, and needs the weighting by rows.")
        for name, value in {"dropout": self.dropout, "warmup": self.warmup}.items():
            if not 0 <= value < 1:
                raise UsageError(f"{name} lies between 0 and 1, not at {value}.")
        from_zero = {
            "neftune": self.neftune,
            "weight_decay": self.weight_decay,
            "max_grad_norm": self.max_grad_norm,
            "evaluations": self.evaluations,
            "patience": self.patience,
        }
        for name, value in from_zero.items():
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"{name} must be a number from 0 on, not {value}.")

    def origin(self, name: str) -> str:
        """Where the value of `name` comes from."""
        return self.origins.get(name) or _ORIGINS.get(name, "default")

    def with_(self, origin: str, **changes: Any) -> TuneSettings:
        """A copy with `changes`, which come from `origin` ("flag", "probe", ...)."""
        return replace(self, **changes, origins={**self.origins, **dict.fromkeys(changes, origin)})

    def as_json(self) -> dict[str, dict[str, object]]:
        """Each setting as {"value", "origin"}."""
        names = [one.name for one in fields(self) if one.name != "origins"]
        return {name: {"value": getattr(self, name), "origin": self.origin(name)} for name in names}

    def values(self) -> dict[str, object]:
        """The bare values: two runs with equal ones, on equal rows and base, go equally."""
        values = asdict(self)
        del values["origins"]
        return values
