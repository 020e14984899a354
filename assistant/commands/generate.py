"""`assistant generate`: instruction data from the documents, every row traced and checked."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption
from corpora.errors import UsageError

if TYPE_CHECKING:
    from assistant.teaching import Taught
    from corpora.examples import Method


class MethodName(StrEnum):
    """What `--method` takes."""

    SELF_QA = "self-qa"
    SELF_INSTRUCT = "self-instruct"
    SELF_KG = "self-kg"


def generate(
    method: Annotated[
        list[MethodName] | None, typer.Option("--method", help="How to write examples; may be repeated.")
    ] = None,
    per_passage: Annotated[
        int, typer.Option("--per-passage", min=1, metavar="N", help="Most examples from one passage.")
    ] = 3,
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", metavar="M", help="Model that writes; named as in ask."),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="OpenAI-compatible server that has the teacher."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Stop after N accepted examples.")
    ] = None,
    seeds: Annotated[
        Path | None, typer.Option("--seeds", metavar="FILE", help="Your own seed tasks for self-instruct.")
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option("--graph", metavar="PATH", help="Your own graph for self-kg (CSV, TSV, JSON)."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Same seed, same examples.")] = 0,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Write instruction data from the documents; may be interrupted and run again."""
    from assistant.paths import require_library
    from assistant.progress import StageBar
    from assistant.runtime import Runtime
    from assistant.settings import resolve
    from assistant.stopping import StopOnSignal
    from assistant.teaching import Lesson, Teaching
    from assistant.terminal import say
    from corpora.store import Library
    from index.sync_options import Hooks

    methods = _methods(method, seeds, graph)
    folder = require_library(library)
    settings = resolve(folder, {"model": teacher, "base_url": base_url, "offline": offline or None})
    lesson = Lesson(methods, per_passage, limit, seeds, graph, seed)
    with Library.open(folder, writable=True, named=library is not None) as opened, StopOnSignal() as stop:
        with StageBar() as bar:
            hooks = Hooks(progress=bar, stop=stop.requested, say=say)
            try:
                taught = Teaching(Runtime(opened, settings), lesson, hooks).run()
            except KeyboardInterrupt:
                say("Stopped; what was finished is saved. Resume: run the same command again")
                raise typer.Exit(stop.exit_code) from None
        _show(taught, json)
    if taught.report.stopped:
        raise typer.Exit(stop.exit_code)


def _methods(chosen: list[MethodName] | None, seeds: Path | None, graph: Path | None) -> tuple[Method, ...]:
    """The methods that were asked for, each once; UsageError for a file that none of them takes."""
    wanted = dict.fromkeys(one.value for one in chosen or [MethodName.SELF_QA])
    if seeds is not None and "self-instruct" not in wanted:
        raise UsageError("--seeds is for self-instruct.", hint="add --method self-instruct")
    if graph is not None and "self-kg" not in wanted:
        raise UsageError("--graph is for self-kg.", hint="add --method self-kg")
    return cast("tuple[Method, ...]", tuple(wanted))


def _show(taught: Taught, as_json: bool) -> None:
    from assistant.output import emit_json, emit_text
    from assistant.terminal import say

    report, totals = taught.report, taught.totals
    if report.stopped:
        say(f"Saved: {report.accepted} accepted examples. Resume: run the same command again")
    if as_json:
        emit_json(
            {
                "accepted": report.accepted,
                "rejected": dict(report.rejected),
                "passages": report.passages,
                "seconds": round(report.seconds, 3),
                "calls": totals.calls,
                "cached_calls": totals.cached,
                "stopped": report.stopped,
            }
        )
        return
    rejected = sum(report.rejected.values())
    emit_text(
        f"accepted {report.accepted}, rejected {rejected}; {report.passages} passages,"
        f" {totals.calls} calls of the teacher ({report.seconds:.1f} s)"
    )
