"""What is tuned and how: what the user asked for, and for the rest what the hardware decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from corpora.errors import UsageError

if TYPE_CHECKING:
    from assistant.settings import Settings
    from finetune.tuning.settings import Method, TuneSettings

Stage = Literal["sft", "pretrain"]

EMBEDDED = "smollm2-135m"
LARGE = "Qwen/Qwen2.5-7B-Instruct"
CPU_BUDGET = 60.0  # minutes
_LARGE_BYTES = 8_000_000_000  # of a card, from which a 7B in NF4 can be tuned
_FOUR_BIT_FROM = 3_000_000_000  # parameters; below, 4 bits cost more time than they save memory


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for; None is left to the program. `settings` are fields of TuneSettings.

    `start` is "base" or an adapter to begin from, `budget` minutes, `questions` a file of the user's own for
    the gate, `use` whether to activate what no gate has judged.
    """

    data: Path | None = None
    model: str | None = None
    name: str | None = None
    method: Method | None = None
    stage: Stage = "sft"
    start: str | None = None
    budget: float | None = None
    questions: Path | None = None
    gate: bool = True
    use: bool = False
    passages: int | None = None
    max_length: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises UsageError for wishes that contradict each other."""
        if self.use and self.gate:
            raise UsageError("--use is for --no-gate.", hint="with the gate, the verdict decides")
        if self.use and self.method in ("full", "freeze"):
            raise UsageError("--use is for adapters.", hint="a whole model answers with --model FOLDER")
        if self.questions is not None and not self.gate:
            raise UsageError("--questions are for the gate.", hint="leave out --no-gate")
        if self.stage == "pretrain" and self.data is not None:
            raise UsageError("--stage pretrain reads the library's passages, not --data.")
        if self.stage == "pretrain" and self.passages is not None:
            raise UsageError("--stage pretrain has no passages beside a question.", hint="leave out -k")
        if self.budget is not None and not 0 < self.budget < 1e6:
            raise UsageError("--budget takes minutes, more than 0.")


@dataclass(frozen=True, slots=True)
class Device:
    """What training runs on; `memory` is that of the card, in bytes."""

    kind: Literal["cpu", "cuda"]
    memory: int = 0

    @classmethod
    def here(cls) -> Device:
        """Of this machine. Imports torch."""
        import torch

        if not torch.cuda.is_available():
            return cls("cpu")
        return cls("cuda", int(torch.cuda.get_device_properties(0).total_memory))


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and where it comes from."""

    value: str
    origin: str


def chosen_model(settings: Settings, device: Device) -> Choice:
    """The base to tune: the user's, else by the device."""
    if settings.origins["model"] != "default":
        return Choice(settings.model, settings.origins["model"])
    if device.kind == "cpu":
        return Choice(EMBEDDED, "default (no CUDA device: the embedded model)")
    if device.memory < _LARGE_BYTES:
        return Choice(EMBEDDED, "default (a card of less than 8 GB: the embedded model)")
    return Choice(LARGE, "default (a CUDA device of 8 GB or more)")


def chosen_method(wish: Wish, device: Device, parameters: int) -> tuple[Method, str]:
    """The method for a base of so many parameters."""
    if wish.method is not None:
        return wish.method, "flag"
    if device.kind == "cuda" and parameters >= _FOUR_BIT_FROM:
        return "qlora", "default (a large base on CUDA: NF4 weights under LoRA)"
    if device.kind == "cpu":
        return "lora", "default (a processor: LoRA on bfloat16 weights, twice as fast as 4 bits)"
    return "lora", "default (a small base: 4 bits cost time and save little)"


def tune_settings(wish: Wish, device: Device, parameters: int) -> TuneSettings:
    """The settings of the run before a budget changes them. Raises UsageError for values that cannot be."""
    from finetune.tuning.methods import settings_for

    method, origin = chosen_method(wish, device, parameters)
    settings = settings_for(method).with_(origin, method=method)
    flags = dict(wish.settings)
    if "rank" in flags and "alpha" not in flags:
        settings = settings.with_("default (twice the rank)", alpha=2 * flags["rank"])
    return settings.with_("flag", **flags) if flags else settings


def budget_seconds(wish: Wish, device: Device) -> float | None:
    """How long tuning and gate may take together; None: as long as they take."""
    if wish.budget is not None:
        return wish.budget * 60
    return CPU_BUDGET * 60 if device.kind == "cpu" else None
