"""`assistant eval FILE`: how well the library and the model answer questions whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.commands.options import (
    AdapterOption,
    BaseUrlOption,
    JsonOption,
    KOption,
    LibraryOption,
    ModelOption,
    NoRetrievalOption,
    OfflineOption,
)
from corpora.errors import NothingToDo, UsageError

if TYPE_CHECKING:
    from finetune.evaluation.questions import QuestionFile


def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.jsonl", help='{"id","question","answers":[…]} a line; - reads it from stdin.'
        ),
    ],
    k: KOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: BaseUrlOption = None,
    no_retrieval: NoRetrievalOption = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write each answer with its scores, as JSONL."),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Measure answers, refusals and citations on questions whose answers are known."""
    from assistant.evaluating import refuse_overwriting, report_bad_lines, run, show
    from assistant.runtime import opened
    from assistant.stopping import StopOnSignal

    if output is not None:
        refuse_overwriting(source, output)
    flags = {"k": k, "model": model, "adapter": adapter, "base_url": base_url, "offline": offline or None}
    with opened(library, flags) as runtime:
        file = _read(source)
        report_bad_lines(str(source), file)
        with StopOnSignal() as stop:
            done = run(runtime, file, retrieval=not no_retrieval, results=output, stop=stop.requested)
        show(done, as_json=json)
        if done.stopped:
            raise typer.Exit(stop.exit_code)
        if done.bad_lines or done.errors:
            raise typer.Exit(4)


def _read(source: Path) -> QuestionFile:
    """The questions of the file; NothingToDo where it has no line at all."""
    import sys

    from finetune.evaluation.questions import read_questions
    from finetune.formats.lines import read_lines

    if str(source) == "-":
        file = read_questions(read_lines(sys.stdin.buffer))
    else:
        try:
            with source.open("rb") as stream:
                file = read_questions(read_lines(stream))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise UsageError(
                f"{source}: {error.strerror}.", hint="name a JSONL file, or - for stdin"
            ) from error
    if not file.questions and not file.bad:
        raise NothingToDo(
            f"{source} holds no questions.",
            hint='one a line: {"id": "1", "question": "…", "answers": ["…"]}',
            code="no_input",
        )
    return file
