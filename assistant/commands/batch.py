"""`assistant batch IN -o OUT`: the questions of a file, answered into a file that can be gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.commands.options import (
    AdapterOption,
    BaseUrlOption,
    ExtractiveOption,
    JsonOption,
    KOption,
    LibraryOption,
    ModelOption,
    NoRetrievalOption,
    OfflineOption,
    TypeOption,
    WithinOption,
)
from corpora.errors import NothingToDo, UsageError

if TYPE_CHECKING:
    from assistant.batch.questions import Question
    from assistant.batch.run import Summary
    from assistant.batch.windows import Options

_NAMED = 8  # of the keys that are ignored


def batch(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="JSONL or CSV with id and question; - reads it from stdin."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="A JSON line for each row; a table if *.csv."),
    ],
    k: KOption = None,
    within: WithinOption = None,
    type_: TypeOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: BaseUrlOption = None,
    no_retrieval: NoRetrievalOption = False,
    extractive: ExtractiveOption = False,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Ask rows again that failed in an earlier run.")
    ] = False,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Answer the questions of a file; run again, it goes on where it was."""
    from assistant.batch.windows import Options
    from assistant.evaluating import refuse_overwriting

    if no_retrieval and extractive:
        raise UsageError("--no-retrieval and --extractive exclude each other.")
    if str(output) == "-":
        raise UsageError(
            "The results go to a file, from which a run can go on.", hint="name one: -o answers.jsonl"
        )
    refuse_overwriting(source, output)
    flags = {"k": k, "model": model, "adapter": adapter, "base_url": base_url, "offline": offline or None}
    options = Options(within, type_, retrieval=not no_retrieval, extractive=extractive)
    code = _answer(source, output, library, flags, options, retry_errors=retry_errors, as_json=json)
    if code:
        raise typer.Exit(code)


def _answer(
    source: Path,
    output: Path,
    library: Path | None,
    flags: Mapping[str, Any],
    options: Options,
    *,
    retry_errors: bool,
    as_json: bool,
) -> int:
    """The exit code."""
    from assistant.batch.run import run
    from assistant.output import emit_json
    from assistant.runtime import opened
    from assistant.stopping import StopOnSignal
    from assistant.terminal import clean_line, say

    with opened(library, flags) as runtime:
        questions = _read(source)
        for question in questions:
            if question.problem is not None:
                say(f"{source}:{question.place}: {clean_line(question.problem)}")
        with StopOnSignal() as stop:
            done = run(runtime, questions, output, options, retry_errors=retry_errors, stop=stop.requested)
    if as_json:
        emit_json(done.row())
    else:
        _show(done)
    if done.stopped:
        say(f"{done.rows - done.missing} of {done.rows} rows are in {output}; the same command goes on.")
        return stop.exit_code
    return 4 if done.errors else 0


def _read(source: Path) -> list[Question]:
    """The rows of the file; NothingToDo where it has none."""
    import sys

    from assistant.batch.questions import KEYS, read_questions
    from assistant.terminal import clean_line, say

    try:
        data = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(
            f"{source}: {error.strerror}.", hint="name a JSONL or CSV file, or - for stdin"
        ) from error
    questions = read_questions(data, source.name)
    if not questions:
        raise NothingToDo(
            f"{source} holds no questions.", hint='one a line: {"id": "1", "question": "…"}', code="no_input"
        )
    ignored = list(dict.fromkeys(key for question in questions for key in question.ignored))
    if ignored:
        more = f" and {len(ignored) - _NAMED} more" if len(ignored) > _NAMED else ""
        shown = ", ".join(clean_line(key)[:40] for key in ignored[:_NAMED])
        say(f"Ignored: {shown}{more}. What counts: {', '.join(KEYS)}.")
    return questions


def _show(done: Summary) -> None:
    from assistant.output import emit_text

    here = f", {done.kept} of them before" if done.kept else ""
    emit_text(
        f"{done.rows} rows: {done.answered} answered, {done.refused} refused, {done.errors} failed{here}"
    )
    if done.scored:
        emit_text(f"  exact match {done.em:.3f}, F1 {done.f1:.3f} over {done.scored} expected answers")
    rates = [
        f"{what} {rate:.0f} tokens/s"
        for what, rate in (
            ("prompts", done.prefill_tokens_per_second),
            ("answers", done.decode_tokens_per_second),
        )
        if rate is not None
    ]
    emit_text("; ".join([f"  {done.seconds:.1f} s", *rates]))
