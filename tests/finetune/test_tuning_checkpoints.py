"""Checkpoints: every damage is seen, and the last good one is used."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import torch

from corpora.errors import Conflict
from finetune.tuning.checkpoints import Checkpoints, Snapshot, read_checkpoint

RUN = "a" * 64


def snapshot(step: int) -> Snapshot:
    tensors = {
        "weights": {"a": torch.full((4, 4), float(step)), "b": torch.ones(3, dtype=torch.bfloat16)},
        "optimizer": {"0.step": torch.tensor(float(step))},
    }
    return Snapshot(step, tensors, {"global_step": step, "log_history": []}, {"micro_tokens": 64})


def store(folder: Path, *, keep: int = 3) -> tuple[Checkpoints, list[str]]:
    said: list[str] = []
    return Checkpoints(folder, RUN, keep=keep, say=said.append), said


def test_what_is_saved_is_what_is_read(tmp_path: Path) -> None:
    checkpoints, said = store(tmp_path)
    checkpoints.save(snapshot(7))
    found = checkpoints.newest()
    assert found is not None
    assert (found.step, found.facts, found.trainer_state) == (
        7,
        {"micro_tokens": 64},
        snapshot(7).trainer_state,
    )
    assert torch.equal(found.tensors["weights"]["a"], snapshot(7).tensors["weights"]["a"])
    assert found.tensors["weights"]["b"].dtype == torch.bfloat16
    assert said == []


def test_only_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    checkpoints, _ = store(tmp_path, keep=2)
    for step in range(1, 7):
        checkpoints.save(snapshot(step), also_keep=[2])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{n:08d}" for n in (2, 5, 6)]


def test_after_going_back_past_damaged_ones_new_checkpoints_are_kept(tmp_path: Path) -> None:
    checkpoints, _ = store(tmp_path, keep=2)
    for step in (50, 100, 120):
        checkpoints.save(snapshot(step), also_keep=[50])
    for step in (100, 120):
        (checkpoints.path(step) / "manifest.json").write_text("{")
    for step in (60, 70, 80):
        checkpoints.save(snapshot(step))
    newest = checkpoints.newest()
    assert newest is not None and newest.step == 80
    assert {path.name for path in tmp_path.glob("step-*")} == {"step-00000070", "step-00000080"}


def test_the_same_step_can_be_saved_again(tmp_path: Path) -> None:
    checkpoints, _ = store(tmp_path)
    checkpoints.save(snapshot(3))
    checkpoints.save(snapshot(3))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]
    assert checkpoints.read(3).step == 3


def test_what_a_killed_save_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".tmp-1-step-00000004").mkdir()
    checkpoints, _ = store(tmp_path)
    assert checkpoints.newest() is None
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    checkpoints, _ = store(tmp_path)
    path = checkpoints.save(snapshot(1))
    with pytest.raises(Conflict, match="another run"):
        read_checkpoint(path, "b" * 64)


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "manifest.json", "trainer_state.json"])
def test_a_missing_file_is_seen(name: str, tmp_path: Path) -> None:
    checkpoints, said = store(tmp_path)
    checkpoints.save(snapshot(1))
    path = checkpoints.save(snapshot(2))
    (path / name).unlink()
    found = checkpoints.newest()
    assert found is not None
    assert found.step == 1
    assert "step-00000002 is damaged" in said[0]


def test_a_hundred_damaged_checkpoints_are_all_seen_and_the_one_before_is_used(tmp_path: Path) -> None:
    checkpoints, _ = store(tmp_path / "good")
    checkpoints.save(snapshot(3))
    names = sorted(path.name for path in checkpoints.save(snapshot(5)).iterdir())
    rng = random.Random(20)
    for number in range(100):
        folder = tmp_path / f"bad{number}"
        shutil.copytree(tmp_path / "good", folder)
        target = folder / "step-00000005" / rng.choice(names)
        data = bytearray(target.read_bytes())
        place = rng.randrange(len(data))
        kind = rng.choice(["flip", "cut", "swap", "grow"])
        if kind == "flip":
            data[place] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[place:]
        elif kind == "swap":
            data[place : place + 16] = rng.randbytes(16)
        else:
            data += rng.randbytes(8)
        target.write_bytes(data)
        damaged, said = store(folder)
        with pytest.raises(Conflict):
            damaged.read(5)
        found = damaged.newest()
        assert found is not None
        assert found.step == 3
        assert ["step-00000005" in line for line in said] == [True]


def test_when_all_are_damaged_there_is_none(tmp_path: Path) -> None:
    checkpoints, said = store(tmp_path)
    for step in (1, 2):
        path = checkpoints.save(snapshot(step))
        (path / "weights.safetensors").write_bytes(b"")
    assert checkpoints.newest() is None
    assert len(said) == 2
