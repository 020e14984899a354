"""Every method and schedule trains; NF4 is NF4; adapters keep small updates."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import torch
from tuning_models import learnable_rows, write_llama

from corpora.errors import UsageError
from finetune.tuning.forward import Loss
from finetune.tuning.log import read_log
from finetune.tuning.lora import fuse_lora
from finetune.tuning.methods import load_for_training, settings_for, trained_parameters
from finetune.tuning.optimizer import MasterAdamW
from finetune.tuning.run import tune
from finetune.tuning.schedules import factor
from finetune.tuning.settings import ADAPTER_METHODS, Method, Schedule, TuneSettings
from index.sync_options import Hooks


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("llama"))


RATES: dict[str, float] = {"full": 1e-3, "freeze": 3e-3, "prompt": 0.3, "prefix": 0.1, "p-tuning": 0.03}


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_trains_and_leaves_what_it_trained(method: Method, base: Path, tmp_path: Path) -> None:
    settings = replace(
        settings_for(method),
        max_steps=8,
        batch=16,
        evaluations=0,
        learning_rate=RATES.get(method, 1e-2),
        schedule="constant",
        max_grad_norm=1.0,
    )
    result = tune(base, learnable_rows(64), [], settings, tmp_path / "run", Hooks())
    losses = [line["loss"] for line in read_log(tmp_path / "run") if line["event"] == "step"]
    assert len(losses) == 8
    assert min(losses[-2:]) < losses[0] - 0.05
    assert result.adapter is not None
    name = "adapter_model" if method in ADAPTER_METHODS else "model"
    assert (result.adapter / f"{name}.safetensors").is_file()
    assert not [
        path for path in (tmp_path / "run").rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".pkl"}
    ]


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_a_schedule_warms_up_to_its_peak_and_never_rises_again(schedule: Schedule) -> None:
    rates = [factor(schedule, step, 100, 0.1) for step in range(101)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1
    assert all(one >= two for one, two in pairwise(rates[10:]))
    ends = {"cosine": 0, "linear": 0, "constant": 1, "step": 0.25, "exponential": 0.01}
    assert rates[100] == pytest.approx(ends[schedule], abs=1e-12)


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_the_schedule_reaches_the_optimizer(schedule: Schedule, base: Path, tmp_path: Path) -> None:
    settings = TuneSettings(schedule=schedule, max_steps=6, batch=8, warmup=0.3, evaluations=0)
    tune(base, learnable_rows(16), [], settings, tmp_path, Hooks())
    rates = [line["learning_rate"] for line in read_log(tmp_path) if line["event"] == "step"]
    expected = [settings.learning_rate * factor(schedule, step, 6, 0.3) for step in range(6)]
    assert rates == pytest.approx(expected)


def test_qlora_holds_nf4_with_double_quantisation_under_bf16(base: Path) -> None:
    from bitsandbytes.nn import Linear4bit
    from peft.tuners.lora import LoraLayer

    model = load_for_training(base, TuneSettings(method="qlora"))
    layers = [one for one in model.modules() if isinstance(one, LoraLayer)]
    assert len(layers) == 2 * 7  # all linear layers of both blocks, and not the head
    for layer in layers:
        inner = layer.get_base_layer()
        assert isinstance(inner, Linear4bit)
        assert inner.weight.quant_type == "nf4"
        assert inner.weight.dtype == torch.uint8
        assert inner.weight.quant_state.nested
        assert inner.compute_dtype == torch.bfloat16
    assert {one.dtype for one in trained_parameters(model).values()} == {torch.bfloat16}


def test_int8_holds_8_bit_layers(base: Path) -> None:
    from bitsandbytes.nn import Linear8bitLt
    from peft.tuners.lora import LoraLayer

    model = load_for_training(base, TuneSettings(method="int8"))
    layers = [one for one in model.modules() if isinstance(one, LoraLayer)]
    assert layers
    assert all(isinstance(layer.get_base_layer(), Linear8bitLt) for layer in layers)


def test_dora_magnitudes_stay_in_float32(tmp_path: Path) -> None:
    model = load_for_training(
        write_llama(tmp_path / "base", dtype=torch.bfloat16), TuneSettings(method="dora")
    )
    magnitudes = [one for name, one in trained_parameters(model).items() if "magnitude" in name]
    assert len(magnitudes) == 14
    assert {one.dtype for one in magnitudes} == {torch.float32}


def test_freeze_trains_the_last_layers_only(base: Path) -> None:
    model = load_for_training(base, TuneSettings(method="freeze", last_layers=1))
    assert {name.split(".")[2] for name in trained_parameters(model)} == {"1"}


def test_an_evaluation_leaves_the_gradients_of_a_quantised_model_as_they_were(base: Path) -> None:
    rows = learnable_rows(4)
    model = load_for_training(base, TuneSettings(method="qlora"))
    loss = Loss(model, pad_id=0)

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model.train()
        loss.of(rows, [(0,), (1,)]).backward()
        return [one.grad.clone() for one in trained_parameters(model).values() if one.grad is not None]

    before = gradients()
    model.eval()
    with torch.no_grad():
        loss.of(rows, [(2,), (3,)])
    after = gradients()
    assert len(before) == len(after) == 28
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_updates_too_small_for_bfloat16_add_up() -> None:
    weight = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    optimizer = MasterAdamW([weight], lr=1e-4, weight_decay=0.0)
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert weight.tolist() == pytest.approx([0.99] * 4, abs=0.004)  # 1 - 100 * 1e-4, as bfloat16 has it


def test_the_fused_lora_layers_compute_what_peft_computes(base: Path) -> None:
    rows = learnable_rows(6)
    found = []
    for fuse in (False, True):
        torch.manual_seed(3)
        model = load_for_training(base, TuneSettings())
        with torch.no_grad():
            for one in trained_parameters(model).values():
                one.normal_(std=0.1)
        model.float()
        if fuse:
            assert fuse_lora(model) == 14
        loss = Loss(model, pad_id=0).of(rows, [(n,) for n in range(6)])
        loss.backward()
        found.append([loss, *(one.grad for one in trained_parameters(model).values())])
    for plain, fused in zip(*found, strict=True):
        torch.testing.assert_close(plain, fused, rtol=1e-4, atol=1e-4)


def test_the_loss_is_that_of_the_whole_head(base: Path) -> None:
    rows = learnable_rows(5)
    model = load_for_training(base, TuneSettings(method="full")).float()
    summed = Loss(model, pad_id=0).of(rows, [(n,) for n in range(5)]).item()
    expected = 0.0
    for row in rows:
        logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1].float()
        targets = torch.tensor(row.labels[1:])
        expected += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
    assert summed == pytest.approx(expected, rel=1e-5)


def test_training_goes_on_from_an_adapter(base: Path, tmp_path: Path) -> None:
    rows = learnable_rows(32)
    settings = TuneSettings(max_steps=6, batch=16, evaluations=0, learning_rate=1e-2, schedule="constant")
    parent = tune(base, rows, [], settings, tmp_path / "parent", Hooks())
    child = tune(base, rows, [], settings, tmp_path / "child", Hooks(), start=parent.adapter)
    first, second = (
        [line["loss"] for line in read_log(tmp_path / name) if line["event"] == "step"]
        for name in ("parent", "child")
    )
    assert second[0] == pytest.approx(first[-1], abs=0.2)
    assert second[0] < first[0] - 0.3
    assert parent.adapter is not None
    assert child.adapter is not None
    files = [(one / "adapter_model.safetensors").read_bytes() for one in (parent.adapter, child.adapter)]
    assert files[0] != files[1]


@pytest.mark.parametrize(
    "wrong", [{"method": "magic"}, {"schedule": "up"}, {"batch": 0}, {"dropout": 1.0}, {"learning_rate": 0.0}]
)
def test_settings_that_make_no_run_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TuneSettings(**wrong)  # type: ignore[arg-type]


def test_a_setting_tells_where_it_comes_from() -> None:
    settings = settings_for("prompt").with_("flag", rank=4)
    assert settings.origin("rank") == "flag"
    assert settings.origin("learning_rate") == "default (of prompt tuning)"
    assert settings.as_json()["batch"]["origin"].startswith("default")
    assert "origins" not in settings.values()
