"""The folders of runs, `runs/ID`: what a run was begun with, and how far it has come.

`plan.json` holds what `--resume` needs; it is written before the first step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict, NothingToDo, UsageError
from finetune.adapters.store import in_library, shipped
from finetune.card import is_adapter_name
from finetune.strict_json import decode, read_json
from index.cache_files import make_durable

if TYPE_CHECKING:
    from corpora.store import Library
    from finetune.tuning.settings import TuneSettings

_FORMAT = 1
_PLAN = "plan.json"
_DONE = "done"  # an empty file: nothing is left to resume
_LARGEST = 1 << 20
_DEFAULT_NAME = "tuned"
_PLAIN_BASE = "base"  # what --from calls the plain model


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run was begun with. `settings` are those of `TuneSettings` with their origins. Rows are made of
    a `share` of the examples, and `rows` and `validation_rows` taken of them.

    `start` names the adapter that it begins from. `seconds` is the budget of tuning and gate, `gate_seconds`
    what of it is kept for the gate (None: no budget). `data_sha256` is of the rows.
    """

    name: str
    created: str
    model: str
    model_origin: str
    stage: str
    data: str | None
    start: str | None
    passages: int
    max_length: int
    share: float
    rows: int
    validation_rows: int
    data_sha256: str
    settings: Mapping[str, Any]
    gate: bool
    use: bool
    questions: str | None
    closed_book: int = 0
    seconds: float | None = None
    budget_origin: str = "default"
    gate_seconds: float = 0.0
    left_out: tuple[str, ...] = ()
    format: int = field(default=_FORMAT)

    def tune_settings(self) -> TuneSettings:
        """The settings as they were."""
        from finetune.tuning.settings import TuneSettings

        values = {name: one["value"] for name, one in self.settings.items()}
        return TuneSettings(**values, origins={name: one["origin"] for name, one in self.settings.items()})


@dataclass(frozen=True, slots=True)
class Run:
    """A run in its folder."""

    folder: Path
    plan: RunPlan

    def finish(self) -> None:
        """Note that nothing is left to do, and remove what only resuming needs."""
        import shutil

        (self.folder / _DONE).touch()
        for name in ("checkpoints", "adapter"):  # the adapter is in adapters/NAME now
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @property
    def resumable(self) -> bool:
        """Whether there is anything to go on from."""
        return any((self.folder / "checkpoints").glob("*"))

    def seconds_spent(self) -> float:
        """Of training so far, as its log has it."""
        from finetune.tuning.log import read_log

        lines = read_log(self.folder)
        return float(
            sum(line.get("seconds", 0.0) for line in lines if line["event"] in ("step", "evaluation"))
        )


class Runs:
    """All runs of a library."""

    def __init__(self, library: Library) -> None:
        self._folder = library.folder / "runs"
        self._library = library

    def free_name(self, wanted: str | None) -> str:
        """A name for a new adapter. Raises UsageError for what is no name, Conflict where it is taken."""
        if wanted is None:
            number = 1
            while self._taken(name := _DEFAULT_NAME if number == 1 else f"{_DEFAULT_NAME}-{number}"):
                number += 1
            return name
        if not is_adapter_name(wanted) or wanted == _PLAIN_BASE:
            raise UsageError(
                f"{wanted!r} is no name for an adapter.",
                hint="letters, digits, '.', '_' and '-', at most 64",
            )
        begun = self._unfinished(wanted)
        if begun is not None:
            raise Conflict(
                f"A run called {wanted} was begun and not ended.",
                hint=f"assistant tune --resume --name {wanted}, or another --name",
                code="name_taken",
            )
        if self._taken(wanted):
            own = wanted in {one.name for one in in_library(self._library)}
            raise Conflict(
                f"There is an adapter called {wanted} already.",
                hint="another --name" + (f", or: assistant adapters remove {wanted}" if own else ""),
                code="name_taken",
            )
        return wanted

    def begin(self, plan: RunPlan) -> Run:
        """Make the folder of a new run."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        number = 1
        while (folder := self._folder / (plan.name if number == 1 else f"{plan.name}-{number}")).exists():
            number += 1  # the run of an adapter that was removed since keeps its log
        folder.mkdir(mode=0o700)
        _write_plan(folder, plan)
        return Run(folder, plan)

    def resumable(self, name: str | None) -> Run:
        """The run called `name`, or the newest, that has not ended. Raises NothingToDo, Conflict."""
        begun = [run for run in self._begun(name, strict=True) if name in (None, run.plan.name)]
        if begun:
            return max(begun, key=lambda run: run.plan.created)
        which = f" called {name}" if name else ""
        raise NothingToDo(
            f"There is no run{which} to resume.", hint="assistant tune", code="nothing_to_resume"
        )

    def _unfinished(self, name: str) -> Run | None:
        return next((run for run in self.begun() if run.plan.name == name), None)

    def begun(self) -> list[Run]:
        """Those that have not ended, as far as they can be read."""
        return self._begun(None, strict=False)

    def _begun(self, name: str | None, *, strict: bool) -> list[Run]:
        """Raises Conflict, if `strict`, for one that cannot be read and may be the one called `name`."""
        folders = sorted(self._folder.glob("*")) if self._folder.is_dir() else []
        found = []
        for folder in folders:
            if (folder / _PLAN).is_file() and not (folder / _DONE).exists():
                try:
                    found.append(Run(folder, _read_plan(folder)))
                except Conflict:
                    if strict and (name is None or folder.name == name or folder.name.startswith(f"{name}-")):
                        raise
        return found

    def _taken(self, name: str) -> bool:
        adapters = {one.name for one in (*in_library(self._library), *shipped())}
        return name in adapters or self._unfinished(name) is not None


def _write_plan(folder: Path, plan: RunPlan) -> None:
    building = folder / f".tmp-{os.getpid()}-{_PLAN}"
    building.write_text(json.dumps(asdict(plan), indent=1), encoding="utf-8")
    make_durable([building])
    building.replace(folder / _PLAN)
    make_durable([folder])


def _read_plan(folder: Path) -> RunPlan:
    try:
        plan = decode(RunPlan, read_json(folder / _PLAN, limit=_LARGEST))
        if plan.format != _FORMAT or not is_adapter_name(plan.name):
            raise ValueError("it is of another version")
    except (OSError, ValueError) as error:
        raise Conflict(
            f"The run in {folder} cannot be read: {error}.",
            hint=f"remove {folder}",
            code="bad_run",
        ) from error
    return plan
