"""The estimate before a run: from three steps, to the memory that is free, compared with the outcome."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuning_models import learnable_rows, write_llama

from corpora.errors import Missing
from finetune.tuning import probe
from finetune.tuning.batches import BatchPlan
from finetune.tuning.log import read_log
from finetune.tuning.probe import Pace, estimate
from finetune.tuning.run import tune
from finetune.tuning.settings import TuneSettings
from index.sync_options import Hooks

PACE = Pace(seconds_base=0.5, seconds_per_token=0.01, bytes_base=1 << 30, bytes_per_token=1e6)


def estimated(settings: TuneSettings, free: int, monkeypatch: pytest.MonkeyPatch) -> probe.Estimate:
    monkeypatch.setattr(probe, "free_bytes", lambda: free)
    rows = learnable_rows(40)
    plan = BatchPlan(rows, batch=8, micro=8, seed=0)
    return estimate(PACE, plan, rows, settings, total=10, validation=[], trained_parameters=1000)


def test_time_is_that_of_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    found = estimated(TuneSettings(), 64 << 30, monkeypatch)
    tokens = 2 * sum(len(row.input_ids) for row in learnable_rows(40))
    assert found.tokens == tokens
    assert found.seconds == pytest.approx(10 * 0.5 + tokens * 0.01, rel=0.1)  # and a little padding
    assert not found.gradient_checkpointing


def test_little_memory_means_few_tokens_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = estimated(TuneSettings(), 100 << 20, monkeypatch)
    assert 36 <= found.micro_tokens <= 73
    assert found.peak_bytes <= (1 << 30) + (100 << 20)
    assert found.tokens == estimated(TuneSettings(), 64 << 30, monkeypatch).tokens


def test_less_memory_means_gradient_checkpointing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert estimated(TuneSettings(), 30 << 20, monkeypatch).gradient_checkpointing


def test_a_row_that_cannot_fit_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Missing):
        estimated(TuneSettings(), 2 << 20, monkeypatch)


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
