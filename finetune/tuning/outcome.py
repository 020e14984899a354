"""What comes of a run: the adapter of the best step, and how the run went against its estimate."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict, StorageError
from finetune.tuning.log import RunLog, read_log
from finetune.tuning.settings import ADAPTER_METHODS, Method
from index.cache_files import make_durable

if TYPE_CHECKING:
    from finetune.tuning.checkpoints import Checkpoints
    from finetune.tuning.probe import Estimate
    from finetune.tuning.trainer import Tuner


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What came of a run. `adapter` is its folder (of the whole model, for freeze and full): None if stopped.

    `best_step` and `validation_loss` are None without validation rows. `seconds` are those of all steps and
    evaluations, also before a stop; `tokens` are without padding. `estimate` is None when the run was
    stopped before it. `cut_short`: its deadline ended it.
    """

    stopped: bool
    adapter: Path | None = None
    steps: int = 0
    resumed_from: int | None = None
    best_step: int | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    seconds: float = 0.0
    tokens: int = 0
    peak_bytes: int = 0
    estimate: Estimate | None = None
    cut_short: bool = False

    @property
    def perplexity(self) -> float | None:
        """Of the validation rows at the best step."""
        return None if self.validation_loss is None else math.exp(min(self.validation_loss, 50.0))

    @property
    def tokens_per_second(self) -> float:
        """Without padding, evaluations included."""
        return self.tokens / max(self.seconds, 1e-9)


def restore_best(tuner: Tuner, checkpoints: Checkpoints, say: Callable[[str], None]) -> int | None:
    """Put the weights of the best validation loss into the model, where these are not the last.

    Returns the step whose weights are in the model; None where nothing was validated.
    """
    best = tuner.best_step()
    if best is None or best == tuner.state.global_step:
        return best
    try:
        tuner.load_weights(checkpoints.read(best))
    except Conflict as error:
        say(f"{error.message} Keeping the last step instead of the best.")
        return int(tuner.state.global_step)
    return best


def write_trained(model: Any, method: Method, base: Path, folder: Path, base_name: str | None) -> Path:
    """The trained adapter, or model, under `folder` as safetensors, whole or not at all."""
    final = folder / ("adapter" if method in ADAPTER_METHODS else "model")
    building = folder / f".tmp-{os.getpid()}-{final.name}"
    try:
        shutil.rmtree(building, ignore_errors=True)
        if method in ADAPTER_METHODS:
            model.peft_config["default"].base_model_name_or_path = base_name or str(base)
            model.save_pretrained(building, save_embedding_layers=False)
            (building / "README.md").unlink(missing_ok=True)  # peft's empty model card, with a path in it
        else:
            model.save_pretrained(building)
            for pattern in ("*token*", "chat_template*", "vocab*", "merges*"):
                for path in base.glob(pattern):
                    shutil.copy(path, building / path.name)
        make_durable([*building.iterdir(), building])
        shutil.rmtree(final, ignore_errors=True)
        building.rename(final)
        make_durable([folder])
    except OSError as error:
        raise StorageError(f"The adapter could not be written: {error}.") from error
    return final


def outcome(
    folder: Path,
    estimate: Estimate,
    adapter: Path | None,
    tuner: Tuner,
    resumed_from: int | None,
    best: int | None,
) -> TuneResult:
    """The result of the run in `folder`, from its log; `best` is the step whose weights were kept."""
    lines = read_log(folder)
    steps = [line for line in lines if line["event"] == "step"]
    held = {line["step"]: line for line in lines if line["event"] == "evaluation"}
    return TuneResult(
        stopped=adapter is None,
        adapter=adapter,
        steps=tuner.state.global_step,
        resumed_from=resumed_from,
        best_step=best,
        train_loss=steps[-1]["loss"] if steps else None,
        validation_loss=held[best]["loss"] if best in held else None,
        seconds=sum(line["seconds"] for line in [*steps, *held.values()]),
        tokens=sum(line["tokens"] for line in steps),
        peak_bytes=max((line["peak_bytes"] for line in steps), default=0),
        estimate=estimate,
        cut_short=tuner.cut_short,
    )


def note_outcome(found: TuneResult, estimate: Estimate, log: RunLog, say: Callable[[str], None]) -> None:
    """Log how the run went beside how it was expected to go, and tell the user."""
    facts = {"seconds": found.seconds, "peak_bytes": found.peak_bytes, "tokens": found.tokens}
    log.write("outcome", found.steps, {**facts, "estimated": estimate.as_json()})
    if found.cut_short:
        say(f"The time was up after {found.steps} of {estimate.steps} steps; the best of them is kept.")
    say(
        f"Took {duration(found.seconds)} and {found.peak_bytes / 2**30:.1f} GiB; the estimate was "
        f"{duration(estimate.seconds)} and {estimate.peak_bytes / 2**30:.1f} GiB."
    )


def duration(seconds: float) -> str:
    """Seconds or minutes, in words."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
