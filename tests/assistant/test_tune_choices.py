"""What hardware and wishes decide, and the folders of runs: nothing here loads a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import taught_library

from assistant.settings import resolve
from assistant.tuning.choices import (
    Device,
    Wish,
    budget_seconds,
    chosen_method,
    chosen_model,
    tune_settings,
)
from assistant.tuning.clock import Clock
from assistant.tuning.runs import RunPlan, Runs
from corpora.errors import Conflict, NothingToDo, UsageError
from corpora.store import Library

CPU, SMALL, LARGE = Device("cpu"), Device("cuda", 6 << 30), Device("cuda", 80 << 30)
M135, B7 = 135_000_000, 7_600_000_000


@pytest.mark.parametrize(
    ("device", "model", "parameters", "method", "budget"),
    [
        (CPU, "smollm2-135m", M135, "lora", 3600.0),
        (SMALL, "smollm2-135m", M135, "lora", None),
        (LARGE, "Qwen/Qwen2.5-7B-Instruct", B7, "qlora", None),
    ],
)
def test_hardware_decides_what_the_user_leaves_open(
    device: Device, model: str, parameters: int, method: str, budget: float | None
) -> None:
    chosen = chosen_model(resolve(None), device)
    assert chosen.value == model and chosen.origin.startswith("default (")
    found, origin = chosen_method(Wish(), device, parameters)
    assert found == method and origin.startswith("default (")
    assert budget_seconds(Wish(), device) == budget


def test_what_the_user_says_goes_first_and_keeps_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_MODEL", "some/model")
    assert chosen_model(resolve(None), LARGE).origin == "environment"
    assert chosen_model(resolve(None, {"model": "x/y"}), CPU).origin == "flag"
    wish = Wish(method="dora", budget=5, settings={"rank": 8, "learning_rate": 0.1})
    settings = tune_settings(wish, LARGE, B7)
    assert (settings.method, settings.rank, settings.alpha) == ("dora", 8, 16)
    assert settings.origin("rank") == settings.origin("method") == "flag"
    assert settings.origin("alpha") == "default (twice the rank)"
    assert settings.origin("schedule").startswith("default")
    assert budget_seconds(wish, LARGE) == 300


@pytest.mark.parametrize(
    "wrong",
    [
        {"use": True},
        {"gate": False, "questions": Path("q.jsonl")},
        {"stage": "pretrain", "data": Path("d.jsonl")},
        {"stage": "pretrain", "passages": 3},
        {"budget": 0.0},
        {"budget": float("nan")},
    ],
)
def test_wishes_that_contradict_each_other_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Wish(**wrong)  # type: ignore[arg-type]


def test_the_clock_keeps_a_reserve() -> None:
    clock = Clock(None)
    assert clock.left() == float("inf") and clock.deadline(10) is None
    clock.limit(100)
    assert 99 < clock.left() <= 100
    deadline = clock.deadline(30)
    assert deadline is not None and deadline == pytest.approx((clock.deadline(0) or 0) - 30)


# -- folders of runs -------------------------------------------------------------------------------------


PLAN = RunPlan(
    name="mine",
    created="2026-11-22T10:00:00+00:00",
    model="smollm2-135m",
    model_origin="default",
    stage="sft",
    data=None,
    start=None,
    passages=4,
    max_length=2048,
    share=0.5,
    rows=100,
    validation_rows=10,
    data_sha256="0" * 64,
    settings={},
    gate=True,
    use=False,
    questions=None,
    seconds=3600.0,
    left_out=("1 of 2 epochs",),
)


@pytest.fixture()
def library(tmp_path: Path) -> Library:
    return taught_library.make(tmp_path / "lib")


def test_a_run_is_found_again_as_it_was_begun(library: Library) -> None:
    runs = Runs(library)
    with pytest.raises(NothingToDo):
        runs.resumable(None)
    begun = runs.begin(PLAN)
    assert runs.resumable("mine") == runs.resumable(None) == begun
    assert begun.plan == PLAN and begun.seconds_spent() == 0
    with pytest.raises(NothingToDo):
        runs.resumable("other")
    begun.finish()
    with pytest.raises(NothingToDo):
        runs.resumable("mine")
    again = runs.begin(PLAN)  # its adapter was removed: the log of the first run stays
    assert again.folder.name == "mine-2" and begun.folder.is_dir()


def test_of_several_runs_the_newest_is_resumed(library: Library) -> None:
    runs = Runs(library)
    runs.begin(replace(PLAN, name="a", created="2026-11-22T10:00:00+00:00"))
    runs.begin(replace(PLAN, name="b", created="2026-11-22T12:00:00+00:00"))
    runs.begin(replace(PLAN, name="c", created="2026-11-22T11:00:00+00:00"))
    assert runs.resumable(None).plan.name == "b"


def test_names_that_are_taken_or_none_are_told(library: Library) -> None:
    runs = Runs(library)
    assert runs.free_name(None) == "tuned"
    runs.begin(replace(PLAN, name="tuned"))
    assert runs.free_name(None) == "tuned-2"
    with pytest.raises(Conflict) as caught:
        runs.free_name("tuned")
    assert "--resume --name tuned" in (caught.value.hint or "")
    with pytest.raises(Conflict) as caught:
        runs.free_name("grounding")  # it came with the program, and cannot be removed
    assert caught.value.hint == "another --name"
    for wrong in ("../x", "", "a b", "none", "base", "x" * 65, ".hidden"):
        with pytest.raises(UsageError):
            runs.free_name(wrong)


def test_a_damaged_run_hinders_no_other(library: Library) -> None:
    runs = Runs(library)
    begun = runs.begin(PLAN)
    (begun.folder / "plan.json").write_text("{")
    other = runs.begin(replace(PLAN, name="other"))
    assert runs.resumable("other") == other
    with pytest.raises(Conflict):
        runs.resumable("mine")


def test_what_can_be_resumed_has_a_checkpoint(library: Library) -> None:
    begun = Runs(library).begin(PLAN)
    assert not begun.resumable
    (begun.folder / "checkpoints" / "step-00000001").mkdir(parents=True)
    assert begun.resumable


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "name": "../../x"}'])
def test_a_damaged_plan_is_told_when_resuming_and_hinders_no_new_run(library: Library, text: str) -> None:
    runs = Runs(library)
    begun = runs.begin(PLAN)
    (begun.folder / "plan.json").write_text(text)
    assert runs.free_name("other") == "other"
    with pytest.raises(Conflict) as caught:
        runs.resumable(None)
    assert caught.value.code == "bad_run"
