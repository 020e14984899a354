"""Checkpoints: written whole or not at all, verified when read, damaged ones passed over; no pickle.

A checkpoint is a folder `step-00000120` of safetensors and JSON files with a manifest of their hashes. It
is built under a temporary name and renamed when every byte of it is on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict, StorageError
from index.cache_files import make_durable, sha256_of, sweep

if TYPE_CHECKING:
    import torch

_FORMAT = 1
_MANIFEST = "manifest.json"
_STATE = "state.json"
TRAINER_STATE = "trainer_state.json"  # the name that transformers reads when it resumes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a run needs to go on: tensors by group ("weights", "optimizer", "random"), the trainer's own
    state, and facts of ours (both such as JSON can hold)."""

    step: int
    tensors: Mapping[str, Mapping[str, torch.Tensor]]
    trainer_state: Mapping[str, Any]
    facts: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one run; `run` names it, and those of another run are refused."""

    def __init__(self, folder: Path, run: str, *, keep: int, say: Callable[[str], None]) -> None:
        self.folder, self._run, self._keep, self._say = folder, run, keep, say
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, [], "no-file-of-ours")  # what a killed save left behind

    def path(self, step: int) -> Path:
        """Where the checkpoint of `step` is, or would be."""
        return self.folder / f"step-{step:08d}"

    def save(self, snapshot: Snapshot, *, also_keep: Collection[int] = ()) -> Path:
        """Store `snapshot`, then remove all but the newest ones and `also_keep`. Raises StorageError."""
        final = self.path(snapshot.step)
        building = self.folder / f".tmp-{os.getpid()}-{final.name}"
        try:
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            _write_files(building, snapshot, self._run)
            make_durable([*building.iterdir(), building])
            if final.exists():  # the same step again, after a stop: both are good, or the old one is damaged
                final.rename(self.folder / f".tmp-{os.getpid()}-old-{final.name}")
            building.rename(final)
            make_durable([self.folder])
        except OSError as error:
            shutil.rmtree(building, ignore_errors=True)
            raise StorageError(f"The checkpoint could not be written: {error}.") from error
        self._prune(final, also_keep)
        return final

    def newest(self) -> Snapshot | None:
        """The newest checkpoint that is whole; those that are not are named to the user and left alone."""
        for path in reversed(self._paths()):
            try:
                return read_checkpoint(path, self._run)
            except Conflict as error:
                self._say(f"{error.message} Going back to the one before.")
        return None

    def read(self, step: int) -> Snapshot:
        """The checkpoint of `step`. Raises Conflict where it is damaged."""
        return read_checkpoint(self.path(step), self._run)

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("step-*") if path.is_dir())

    def _prune(self, newest: Path, also_keep: Collection[int]) -> None:
        """Later steps than the newest one are of a run that was gone back from: they take up no place."""
        kept = [path.name for path in self._paths() if path.name <= newest.name][-self._keep :]
        sweep(self.folder, [*kept, *(self.path(step).name for step in also_keep)], "step-*")


def read_checkpoint(folder: Path, run: str) -> Snapshot:
    """The checkpoint in `folder`, every byte of it verified.

    Raises Conflict for one that is incomplete, changed in any byte, or of another run.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        manifest = _manifest(folder)
        if manifest["run"] != run:
            raise ValueError("it belongs to another run")
        present = {path.name for path in folder.iterdir()} - {_MANIFEST}
        if present != set(manifest["files"]):
            raise ValueError("files are missing or too many")
        for name, sha256 in manifest["files"].items():
            if sha256_of(folder / name) != sha256:
                raise ValueError(f"{name} has changed")
        names = [name.removesuffix(".safetensors") for name in present if name.endswith(".safetensors")]
        return Snapshot(
            manifest["step"],
            {name: load_file(folder / f"{name}.safetensors") for name in names},
            json.loads((folder / TRAINER_STATE).read_bytes()),
            json.loads((folder / _STATE).read_bytes()),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise Conflict(f"The checkpoint {folder.name} is damaged: {error}.", code="bad_checkpoint") from error


def _write_files(folder: Path, snapshot: Snapshot, run: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        for name, tensors in snapshot.tensors.items():
            save_file(
                {key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors"
            )
    except SafetensorError as error:
        raise OSError(str(error)) from error
    for name, value in ((TRAINER_STATE, snapshot.trainer_state), (_STATE, snapshot.facts)):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    files = dict(_hashes(folder))
    body = {"format": _FORMAT, "run": run, "step": snapshot.step, "files": files}
    (folder / _MANIFEST).write_bytes(_sealed(body))


def _hashes(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.iterdir()):
        yield path.name, sha256_of(path)


def _sealed(body: Mapping[str, Any]) -> bytes:
    """The manifest's bytes: one spelling only, with its own hash, so that no byte of it can change unseen."""
    seal = hashlib.sha256(_spelled(body)).hexdigest()
    return _spelled({**body, "seal": seal})


def _spelled(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _manifest(folder: Path) -> dict[str, Any]:
    data = (folder / _MANIFEST).read_bytes()
    manifest = json.loads(data)
    body = {key: value for key, value in manifest.items() if key != "seal"}
    if data != _sealed(body) or body["format"] != _FORMAT:
        raise ValueError("its manifest has changed")
    return body
