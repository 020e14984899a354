"""`assistant tune`: an adapter from the library's examples, which has to prove itself before it answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from assistant.commands import tune_options as options
from assistant.commands.options import JsonOption, LibraryOption, OfflineOption
from corpora.errors import Missing, UsageError

if TYPE_CHECKING:
    from assistant.tuning.choices import Wish

# Options that are settings of training, by the names that these have there.
_SETTINGS = (
    "epochs",
    "learning_rate",
    "rank",
    "batch",
    "schedule",
    "warmup",
    "packing",
    "neftune",
    "compile",
    "seed",
    "track",
)


def tune(
    context: typer.Context,
    data: options.Data = None,
    model: options.Model = None,
    name: options.Name = None,
    method: options.Method = None,
    stage: options.Stage = options.StageName.SFT,
    start: options.Start = None,
    budget: options.Budget = None,
    resume: options.Resume = False,
    inspect: options.Inspect = False,
    no_gate: options.NoGate = False,
    use: options.Use = False,
    questions: options.Questions = None,
    k: options.Passages = None,
    max_length: options.MaxLength = None,
    epochs: options.Epochs = None,
    learning_rate: options.LearningRate = None,
    rank: options.Rank = None,
    batch: options.Batch = None,
    schedule: options.Schedule = None,
    warmup: options.Warmup = None,
    packing: options.Packing = False,
    neftune: options.Neftune = None,
    compile: options.Compile = False,
    seed: options.Seed = None,
    track: options.Track = options.TrackerName.NONE,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Tune a model on the library's examples; it answers only when it has proved to be better."""
    wish = _wish(context.params)
    flags = {"model": model, "offline": offline or None}
    if inspect:
        _inspect(wish, flags, library, json)
        return
    if resume:
        _check_resume(wish)
    _run(wish, flags, library, resume=resume, as_json=json)


def _wish(given: Mapping[str, Any]) -> Wish:
    """What the options say, by their names. Raises UsageError, Missing for a tracker that is not here."""
    from assistant.tuning.choices import Wish

    plain = {key: value.value if isinstance(value, Enum) else value for key, value in given.items()}
    _check_tracker(plain["track"])
    return Wish(
        data=plain["data"],
        model=plain["model"],
        name=plain["name"],
        method="int8" if plain["method"] == "8bit" else plain["method"],
        stage=plain["stage"],
        start=plain["start"],
        budget=plain["budget"],
        questions=plain["questions"],
        gate=not plain["no_gate"],
        use=plain["use"],
        passages=plain["k"],
        max_length=plain["max_length"],
        settings={
            key: plain[key]
            for key in _SETTINGS
            if plain[key] is not None and plain[key] is not False and plain[key] != "none"
        },
    )


def _run(wish: Wish, flags: dict[str, Any], library: Path | None, *, resume: bool, as_json: bool) -> None:
    from assistant.environment import quiet_third_parties
    from assistant.paths import require_library
    from assistant.runtime import Runtime
    from assistant.settings import resolve
    from assistant.stopping import StopOnSignal
    from assistant.terminal import say
    from assistant.tuning.clock import Clock
    from assistant.tuning.progress import TuneBar
    from corpora.store import Library
    from index.sync_options import Hooks

    clock = Clock(None)
    folder = require_library(library)
    settings = resolve(folder, flags)
    quiet_third_parties()
    from assistant.tuning.flow import LOCK, Tuning
    from assistant.tuning.show import show, stopped_line

    with (
        Library.open(folder, writable=True, named=library is not None) as opened,
        opened.guard(lock=LOCK, on_wait=say),
        StopOnSignal() as stop,
    ):
        tuning = Tuning(Runtime(opened, settings), wish, Hooks(bar := TuneBar(), stop.requested, say), clock)
        try:
            with bar:
                done = tuning.resume() if resume else tuning.begin()
        except KeyboardInterrupt:
            say(stopped_line(tuning.run))
            raise typer.Exit(stop.exit_code) from None
    if done.stopped:
        say(stopped_line(done.run))
        raise typer.Exit(stop.exit_code)
    show(done, as_json=as_json)


def _inspect(wish: Wish, flags: dict[str, Any], library: Path | None, as_json: bool) -> None:
    from assistant.environment import quiet_third_parties
    from assistant.paths import require_library
    from assistant.runtime import Runtime
    from assistant.settings import resolve
    from corpora.store import Library

    folder = require_library(library)
    settings = resolve(folder, flags)
    quiet_third_parties()
    from assistant.tuning.inspecting import inspect

    with Library.open(folder, writable=wish.stage == "pretrain", named=library is not None) as opened:
        inspect(Runtime(opened, settings), wish, as_json=as_json)


def _check_resume(wish: Wish) -> None:
    """Raises UsageError for a flag that a run which has begun cannot take any more."""
    from assistant.tuning.choices import Wish

    if wish != Wish(name=wish.name, budget=wish.budget):
        raise UsageError(
            "--resume goes on with what the run was begun with.",
            hint="only --name and --budget may be given with it",
        )


def _check_tracker(name: str) -> None:
    from importlib.util import find_spec

    if name != "none" and find_spec(name) is None:
        raise Missing(f"--track {name} needs its package.", hint=f"pip install {name}")
