"""Training goes on where it was, bit for bit; survives little memory; stops when asked; knows when to end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tuning_driver import PADDED, SETTINGS
from tuning_driver import train as train_kind
from tuning_models import learnable_rows, write_llama

from corpora.errors import Conflict, Missing, UsageError
from finetune.tuning.log import read_log
from finetune.tuning.run import TuneResult, tune
from finetune.tuning.settings import TuneSettings
from index.sync_options import Hooks, NoProgress

# A checkpoint is 7 calls of fsync and a rename; run.json comes before the first.
KILLS = [
    *(f"step:{n}" for n in (1, 2, 3, 5, 6, 7, 8, 10, 11, 12)),
    "rename:2",
    "rename:3",
    "fsync:4",
    "fsync:9",
    "fsync:25",
]
DRIVER = Path(__file__).with_name("tuning_driver.py")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("llama"), dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The runs of the driver, without any trouble."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in SETTINGS}
    for kind, folder in folders.items():
        train_kind(base, folder, kind, Hooks())
    return folders


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def train(
    base: Path, folder: Path, settings: TuneSettings = PADDED, hooks: Hooks | None = None
) -> TuneResult:
    return tune(base, learnable_rows(40), learnable_rows(8, seed=1), settings, folder, hooks or Hooks())


def losses(folder: Path) -> list[tuple[str, int, float]]:
    return [(line["event"], line["step"], line["loss"]) for line in read_log(folder) if "loss" in line]


def assert_equal_runs(one: Path, two: Path) -> None:
    assert losses(one) == losses(two)
    weights = [load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("kind", SETTINGS)
def test_two_runs_of_the_same_are_equal(kind: str, base: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    train_kind(base, tmp_path, kind, Hooks())
    assert_equal_runs(tmp_path, runs[kind])
    steps = [line for line in read_log(tmp_path) if line["event"] == "step"]
    assert len(steps) == 12
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    if kind == "shared":
        computed, tokens = (sum(line[name] for line in steps) for name in ("computed_tokens", "tokens"))
        assert computed < 0.9 * tokens
        assert max(line["micro_batches"] for line in steps) > 2


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_how_many_passes_run_side_by_side_changes_the_sum_by_its_rounding_only(
    threads: int, base: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning_driver.torch.set_num_threads", lambda _: None)
    torch.set_num_threads(threads)
    train_kind(base, tmp_path, "shared", Hooks())
    pairs = zip(losses(tmp_path), losses(runs["shared"]), strict=True)
    assert all(one[2] == pytest.approx(two[2], abs=0.05) for one, two in pairs)


class StopAt(NoProgress):
    """Asks to stop `after` questions after step `step`: in the middle of the next, or of an evaluation."""

    def __init__(self, step: int, after: int) -> None:
        self._step, self._after, self._done = step, after, 0

    def advance(self, documents: int, note: str) -> None:
        self._done += documents

    def asked(self) -> bool:
        if self._done >= self._step:
            self._after -= 1
        return self._after < 0


def places(usual: list[Any], others: list[Any]) -> list[Any]:
    return [
        *usual,
        *(
            pytest.param(*(place if isinstance(place, tuple) else (place,)), marks=pytest.mark.slow)
            for place in others
        ),
    ]


STOPS = [
    (kind, step, after) for kind in SETTINGS for step, after in ((0, 3), (1, 1), (4, 0), (7, 2), (11, 2))
]


@pytest.mark.parametrize(("kind", "step", "after"), places([("padded", 0, 0), ("shared", 4, 1)], STOPS))
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    kind: str, step: int, after: int, base: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    stop = StopAt(step, after)
    stopped = train_kind(base, tmp_path, kind, Hooks(progress=stop, stop=stop.asked))
    assert stopped.stopped
    assert stopped.adapter is None
    assert stopped.steps <= step + 1
    resumed = train_kind(base, tmp_path, kind, Hooks())
    assert not resumed.stopped
    assert_equal_runs(tmp_path, runs[kind])


@pytest.mark.parametrize(
    ("kind", "die_at"),
    places([("shared", "fsync:12")], [(kind, die_at) for kind in SETTINGS for die_at in KILLS]),
)
def test_a_run_that_was_killed_goes_on_bit_for_bit(
    kind: str, die_at: str, base: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    command = [sys.executable, DRIVER, base, tmp_path, kind]
    killed = subprocess.run([*command, "--die-at", die_at], capture_output=True)
    assert killed.returncode == -9, killed.stderr
    train_kind(base, tmp_path, kind, Hooks())
    assert_equal_runs(tmp_path, runs[kind])


def test_a_finished_run_is_not_trained_again(base: Path, runs: dict[str, Path]) -> None:
    before = losses(runs["shared"])
    again = train_kind(base, runs["shared"], "shared", Hooks())
    assert again.resumed_from == 12
    assert losses(runs["shared"]) == before


def test_a_damaged_checkpoint_is_passed_over(base: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    stop = StopAt(9, 0)
    train_kind(base, tmp_path, "shared", Hooks(progress=stop, stop=stop.asked))
    newest = max((tmp_path / "checkpoints").glob("step-*"))
    data = bytearray((newest / "optimizer.safetensors").read_bytes())
    data[-1] ^= 1
    (newest / "optimizer.safetensors").write_bytes(data)
    said: list[str] = []
    resumed = train_kind(base, tmp_path, "shared", Hooks(say=said.append))
    assert resumed.resumed_from == 8
    assert any("damaged" in line for line in said)
    assert_equal_runs(tmp_path, runs["shared"])


def test_a_folder_of_another_run_is_refused(base: Path, runs: dict[str, Path]) -> None:
    with pytest.raises(Conflict) as caught:
        train(base, runs["padded"], replace(PADDED, rank=8))
    assert caught.value.code == "other_run"


@pytest.fixture()
def small_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A model that runs out of memory above 100 tokens a pass; lists the tokens of passes that were tried."""
    from transformers import LlamaModel

    tried: list[int] = []
    forward = LlamaModel.forward

    def limited(self: Any, input_ids: Any = None, **kwargs: Any) -> Any:
        tried.append(input_ids.numel())
        if input_ids.numel() > 100 and self.training:
            raise torch.OutOfMemoryError("out of memory (injected)")
        return forward(self, input_ids=input_ids, **kwargs)

    monkeypatch.setattr(LlamaModel, "forward", limited)
    yield tried


def test_out_of_memory_halves_what_goes_through_and_keeps_the_batch(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    plain = write_llama(tmp_path / "float32")
    monkeypatch.setattr("finetune.tuning.methods.compute_dtype", lambda: torch.float32)
    monkeypatch.setattr("finetune.tuning.probe._SIZES", (1, 2))
    settings = TuneSettings(max_steps=4, batch=16, evaluations=0, learning_rate=1e-3)
    roomy = train(plain, tmp_path / "roomy", settings)
    request.getfixturevalue("small_memory")
    said: list[str] = []
    tight = train(plain, tmp_path / "tight", settings, Hooks(say=said.append))
    assert any("Out of memory" in line for line in said)
    assert roomy.tokens == tight.tokens
    for one, two in zip(losses(tmp_path / "roomy"), losses(tmp_path / "tight"), strict=True):
        assert one[2] == pytest.approx(two[2], abs=1e-5)
    lines = read_log(tmp_path / "tight")
    shrunk = [line["micro_tokens"] for line in lines if line["event"] == "out_of_memory"]
    assert all(two <= one // 2 for one, two in pairwise(shrunk))
    assert shrunk[-1] <= 100
    steps = [line for line in lines if line["event"] == "step"]
    assert all(line["micro_batches"] >= 2 for line in steps)


def test_out_of_memory_while_validating_halves_too(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.tuning.passes import Passes

    widest: list[int] = []
    evaluate = Passes.evaluate

    def limited(self: Any, micro: Any) -> float:
        widest.append(max(sum(map(len, lines)) for lines in micro))
        if widest[-1] > 2:
            raise torch.OutOfMemoryError("out of memory (injected)")
        return evaluate(self, micro)

    settings = TuneSettings(max_steps=2, batch=8, evaluations=1)
    train(base, tmp_path / "roomy", settings)
    monkeypatch.setattr(Passes, "evaluate", limited)
    train(base, tmp_path / "tight", settings)
    assert widest[0] > 2 and widest[-1] <= 2
    seen = [
        [line["loss"] for line in read_log(tmp_path / name) if line["event"] == "evaluation"]
        for name in ("roomy", "tight")
    ]
    assert seen[0] and seen[1] == pytest.approx(seen[0], rel=0.02)


def test_a_row_that_never_fits_is_an_error_and_no_loop(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.tuning.trainer import Tuner

    def never(self: Any, step: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(Tuner, "_accumulate", never)
    with pytest.raises(Missing) as caught:
        train(base, tmp_path)
    assert caught.value.code == "device_missing"


def test_gradient_checkpointing_changes_nothing_but_memory(base: Path, tmp_path: Path) -> None:
    settings = TuneSettings(max_steps=3, batch=8, evaluations=0)
    train(base, tmp_path / "kept", settings)
    train(base, tmp_path / "anew", replace(settings, gradient_checkpointing=True))
    assert losses(tmp_path / "kept") == losses(tmp_path / "anew")


def test_packed_rows_train_as_rows_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = write_llama(tmp_path / "float32")
    monkeypatch.setattr("finetune.tuning.methods.compute_dtype", lambda: torch.float32)
    rows = learnable_rows(8)
    settings = TuneSettings(max_steps=1, batch=8, evaluations=0, micro_tokens=128)
    tune(plain, rows, [], settings, tmp_path / "rows", Hooks())
    tune(plain, rows, [], replace(settings, packing=True), tmp_path / "packed", Hooks())
    one, two = losses(tmp_path / "rows")[0][2], losses(tmp_path / "packed")[0][2]
    assert one == pytest.approx(two, abs=1e-5)


def test_virtual_tokens_and_packing_do_not_go_together(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        train(base, tmp_path, TuneSettings(method="prompt", packing=True))


def test_training_ends_early_when_validation_gets_worse_and_the_best_is_kept(
    base: Path, tmp_path: Path
) -> None:
    rows, held = learnable_rows(16), learnable_rows(16, seed=9)
    settings = TuneSettings(
        batch=16,
        max_steps=40,
        evaluations=40,
        patience=2,
        learning_rate=0.1,
        schedule="constant",
        max_grad_norm=1.0,
    )
    result = tune(base, rows, held, settings, tmp_path, Hooks())
    held_losses = {line["step"]: line["loss"] for line in read_log(tmp_path) if line["event"] == "evaluation"}
    assert result.steps < 40
    assert result.best_step is not None
    assert result.best_step <= result.steps - 2
    assert result.validation_loss == held_losses[result.best_step] == min(held_losses.values())
    again = tune(base, rows, held, settings, tmp_path, Hooks())
    assert again.steps == result.steps
    adapter = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    best = load_file(tmp_path / "checkpoints" / f"step-{result.best_step:08d}" / "weights.safetensors")
    name = next(iter(adapter))
    assert torch.equal(adapter[name], best[name.replace(".weight", ".default.weight")])


def test_a_loss_that_is_no_number_ends_the_run(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.tuning.trainer import Tuner

    monkeypatch.setattr(Tuner, "_accumulate", lambda self, step: torch.tensor(float("nan")))
    with pytest.raises(Conflict) as caught:
        train(base, tmp_path)
    assert caught.value.code == "diverged"


def test_without_a_compiler_one_word_and_the_plain_way(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.tuning.compiling.shutil.which", lambda name: None)
    said: list[str] = []
    settings = TuneSettings(max_steps=2, batch=8, evaluations=0)
    train(base, tmp_path / "asked", replace(settings, compile=True), Hooks(say=said.append))
    train(base, tmp_path / "plain", settings)
    assert sum("no compiler" in line for line in said) == 1
    assert losses(tmp_path / "asked") == losses(tmp_path / "plain")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="no compiler")
def test_compiled_layers_learn_the_same(base: Path, tmp_path: Path) -> None:
    settings = TuneSettings(max_steps=2, batch=40, evaluations=0)  # all rows in each step
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler, about itself
        train(base, tmp_path / "compiled", replace(settings, compile=True))
    train(base, tmp_path / "plain", settings)
    pairs = zip(losses(tmp_path / "compiled"), losses(tmp_path / "plain"), strict=True)
    assert all(one[2] == pytest.approx(two[2], abs=0.02) for one, two in pairs)
