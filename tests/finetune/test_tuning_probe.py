"""The estimate before a run: from three steps, to the memory that is free, compared with the outcome."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tuning_models import learnable_rows, write_llama

from corpora.errors import Missing
from finetune.tuning import probe
from finetune.tuning.batches import BatchPlan
from finetune.tuning.forward import Loss
from finetune.tuning.log import read_log
from finetune.tuning.methods import load_for_training, makes_activations_anew
from finetune.tuning.probe import Estimate, Pace, estimate, measure
from finetune.tuning.run import tune
from finetune.tuning.settings import TuneSettings
from index.sync_options import Hooks

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACE = Pace(seconds_base=0.5, seconds_per_token=0.01, bytes_base=1 << 30, bytes_per_token=1e6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    settings = TuneSettings(rank=1)
    return load_for_training(write_llama(tmp_path_factory.mktemp("llama"), layers=1), settings)


def estimated(
    model: PreTrainedModel,
    free: int,
    monkeypatch: pytest.MonkeyPatch,
    pace: Pace = PACE,
    *,
    forests: bool = False,
) -> Estimate:
    monkeypatch.setattr(probe, "free_bytes", lambda: free)
    rows = learnable_rows(40)
    plan = BatchPlan(rows, batch=8, micro=8, seed=0)
    loss = Loss(model, pad_id=0, forests=forests, workers=pace.workers)
    return estimate(pace, plan, rows, TuneSettings(), total=10, validation=[], loss=loss)


def test_time_is_that_of_all_steps(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    found = estimated(model, 64 << 30, monkeypatch)
    tokens = 2 * sum(len(row.input_ids) for row in learnable_rows(40))
    assert found.tokens == tokens
    assert found.seconds == pytest.approx(10 * 0.5 + tokens * 0.01, rel=0.1)  # and a little padding
    assert not found.gradient_checkpointing


def test_little_memory_means_few_tokens_at_a_time(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = estimated(model, 100 << 20, monkeypatch)
    assert 36 <= found.micro_tokens <= 73
    assert found.peak_bytes <= (1 << 30) + (100 << 20)
    assert found.tokens == estimated(model, 64 << 30, monkeypatch).tokens


def test_passes_side_by_side_share_the_memory(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 400 << 20
    one = estimated(model, free, monkeypatch, forests=True)
    two = estimated(model, free, monkeypatch, replace(PACE, workers=2), forests=True)
    assert two.micro_tokens == one.micro_tokens // 2
    assert two.peak_bytes <= (1 << 30) + free
    assert one.computed == two.computed == one.tokens  # without padding; these rows share nothing


def test_less_memory_means_gradient_checkpointing(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert estimated(model, 30 << 20, monkeypatch).gradient_checkpointing


def test_a_row_that_cannot_fit_is_refused_before_training(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Missing):
        estimated(model, 2 << 20, monkeypatch)


def limit_memory(monkeypatch: pytest.MonkeyPatch, tokens: int, anew: int = 0) -> None:
    """Passes of more than `tokens` tokens fail, with gradient checkpointing those of more than `anew`."""
    from transformers import LlamaModel

    monkeypatch.undo()  # an earlier limit
    forward = LlamaModel.forward

    def limited(self: Any, input_ids: Any = None, **kwargs: Any) -> Any:
        if self.training and input_ids.numel() > (anew if makes_activations_anew(self) else tokens):
            raise torch.OutOfMemoryError("out of memory (injected)")
        return forward(self, input_ids=input_ids, **kwargs)

    monkeypatch.setattr(LlamaModel, "forward", limited)


def test_sizes_that_memory_does_not_suffice_for_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_for_training(write_llama(tmp_path / "llama", layers=1), TuneSettings(rank=1))
    rows = learnable_rows(9)
    each = sorted(len(row.input_ids) for row in rows)[4]
    loss = Loss(model, pad_id=0, forests=False)
    limit_memory(monkeypatch, 2 * each)
    pace = measure(model, loss, rows, lambda: False)
    assert pace.seconds(100) > 0 and not pace.anew
    limit_memory(monkeypatch, each - 1, 4 * each)
    pace = measure(model, loss, rows, lambda: False)
    assert pace.seconds(100) > 0 and pace.anew
    assert estimated(model, 64 << 30, monkeypatch, pace).gradient_checkpointing
    limit_memory(monkeypatch, 0)
    with pytest.raises(Missing) as caught:
        measure(model, loss, rows, lambda: False)
    assert caught.value.code == "device_missing"


def test_the_outcome_is_compared_with_the_estimate(tmp_path: Path) -> None:
    said: list[str] = []
    settings = TuneSettings(max_steps=3, batch=8)
    result = tune(
        write_llama(tmp_path / "base"),
        learnable_rows(16),
        learnable_rows(4, seed=2),
        settings,
        tmp_path / "run",
        Hooks(say=said.append),
    )
    outcome = next(line for line in read_log(tmp_path / "run") if line["event"] == "outcome")
    assert result.estimate is not None
    assert outcome["estimated"]["seconds"] == result.estimate.seconds > 0
    assert outcome["seconds"] == result.seconds > 0
    assert outcome["peak_bytes"] == result.peak_bytes > 0
    assert "from three steps tried" in said[0]
    assert "the estimate was" in said[-1]
