"""`assistant data list|show|drop|stats|export|import`: the examples in the library."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption
from assistant.paths import open_library
from corpora.errors import NothingToDo, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assistant.runtime import Runtime
    from corpora.examples import Example, Status
    from corpora.store import ExampleStore, Library
    from finetune.formats.lines import Line

app = typer.Typer(help="The examples that models are taught with.", no_args_is_help=True)

_BAD_LINES_SHOWN = 20


class StatusName(StrEnum):
    """What `--status` takes."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETIRED = "retired"
    DROPPED = "dropped"
    ALL = "all"


class SplitName(StrEnum):
    """What `--split` takes."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class MethodName(StrEnum):
    """What `--method` takes."""

    SELF_QA = "self-qa"
    SELF_INSTRUCT = "self-instruct"
    SELF_KG = "self-kg"
    IMPORT = "import"
    REVIEW = "review"


class FormatName(StrEnum):
    """What `--format` takes."""

    PROMPT_COMPLETION = "prompt-completion"
    MESSAGES = "messages"
    ALPACA = "alpaca"
    SHAREGPT = "sharegpt"
    DATASETS = "datasets"


_SplitOption = Annotated[SplitName | None, typer.Option("--split", help="Only examples of this split.")]
_ID = typer.Argument(metavar="ID", help="As `data list` shows it, or the beginning of one.")


@app.command("list")
def list_examples(
    status: Annotated[
        StatusName, typer.Option("--status", help="What became of them.")
    ] = StatusName.ACCEPTED,
    split: _SplitOption = None,
    method: Annotated[
        MethodName | None, typer.Option("--method", help="Only examples made by this method.")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", metavar="P", help="Only examples from this document.")
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Accepted examples, oldest first; --status shows the others."""
    from assistant.examples.rows import example_line, example_row
    from assistant.output import emit_json, emit_text
    from assistant.terminal import say
    from corpora.store import ExampleStore

    with open_library(library) as opened:
        store = ExampleStore(opened)
        found = store.find(
            None if status is StatusName.ALL else cast("Status", status.value),
            split.value if split else None,
            method.value if method else None,
            None if path is None else _document_path(opened, path),
        )
        for example in found:
            if json:
                emit_json(example_row(example))
            else:
                emit_text(example_line(example))
        if not found and not json:
            say("No such examples; assistant data stats shows what there is.")


@app.command("show")
def show_example(
    name: Annotated[str, _ID],
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """All that is known of one example."""
    from assistant.examples.rows import example_page, example_row
    from assistant.output import emit_json, emit_text
    from corpora.store import ExampleStore

    with open_library(library) as opened:
        example = _found(ExampleStore(opened), name)
    if json:
        emit_json(example_row(example))
    else:
        for line in example_page(example):
            emit_text(line)


@app.command("drop")
def drop_examples(
    names: Annotated[list[str], _ID],
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Take examples out of the training data; they stay in the library as dropped."""
    from assistant.output import emit_json, emit_text
    from corpora.store import ExampleStore

    with open_library(library, writable=True) as opened:
        store = ExampleStore(opened)
        ids = list(dict.fromkeys(_found(store, name).id for name in names))
        with opened.write() as writer:
            store.set_status(writer, ids, "dropped", None)
    if json:
        emit_json({"dropped": ids})
    else:
        emit_text(f"dropped {len(ids)}")


@app.command("stats")
def show_stats(
    library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """How many examples there are, why others were rejected, and which parts of each document are taught."""
    from assistant.examples.stats import show, stats
    from assistant.output import emit_json

    with open_library(library) as opened:
        found = stats(opened)
    if json:
        emit_json(found.row())
    else:
        show(found)


@app.command("export")
def export_rows(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="F", help="File, or folder for datasets; - is stdout.")
    ],
    form: Annotated[
        FormatName, typer.Option("--format", help="What the rows look like.")
    ] = FormatName.PROMPT_COMPLETION,
    split: _SplitOption = None,
    replay: Annotated[
        float,
        typer.Option(
            "--replay", min=0, max=0.9, metavar="SHARE", help="Least share of general tasks among the rows."
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Same seed, same rows.")] = 0,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Write training rows of the accepted examples: prompts as `ask` makes them, with what to answer."""
    from assistant.examples.export import export, show
    from assistant.runtime import opened

    to_stdout = str(output) == "-"
    if to_stdout and form is FormatName.DATASETS:
        raise UsageError("A datasets folder cannot go to standard output.", hint="-o FOLDER")
    with opened(library, {"offline": offline or None}) as runtime:
        examples = _accepted(runtime, split)
        summary = export(
            runtime, examples, None if to_stdout else output, form.value, replay=replay, seed=seed
        )
    show(summary, None if to_stdout else output, as_json=json)


@app.command("import")
def import_rows(
    source: Annotated[Path, typer.Argument(metavar="F", help="JSONL file or datasets folder; - is stdin.")],
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Take in examples from prompt-completion, messages, Alpaca or ShareGPT rows."""
    from assistant.output import emit_json, emit_text
    from assistant.progress import progress
    from assistant.terminal import say
    from finetune.formats.importing import Importer

    shown: list[str] = []

    def on_bad(place: str, reason: str) -> None:
        if len(shown) < _BAD_LINES_SHOWN:
            shown.append(place)
            say(f"{source}:{place}: {reason}")

    with open_library(library, writable=True) as opened, progress("Importing") as bar:
        report = Importer(opened, on_bad).run(_lines(source), bar.advance)
    if report.bad > len(shown):
        say(f"… and {report.bad - len(shown)} more bad lines")
    if json:
        emit_json(report.row())
    else:
        rejected = "".join(f", rejected {n} ({reason})" for reason, n in sorted(report.rejected.items()))
        emit_text(f"added {report.added}, already there {report.present}{rejected}, bad lines {report.bad}")
    if report.bad:
        raise typer.Exit(4)


def _lines(source: Path) -> Iterator[Line]:
    import sys

    from finetune.formats.lines import read_lines

    if str(source) == "-":
        yield from read_lines(sys.stdin.buffer)
    elif source.is_dir():
        from finetune.formats.folder import read_folder

        yield from read_folder(source)
    else:
        try:
            with source.open("rb") as stream:
                yield from read_lines(stream)
        except FileNotFoundError as error:
            raise UsageError(f"{source}: {error.strerror}.", hint="name a JSONL file or a folder") from error


def _found(store: ExampleStore, name: str) -> Example:
    example = store.get(name)
    if example is None:
        raise UsageError(f"No example {name} in the library.", hint="assistant data list")
    return example


def _document_path(library: Library, path: str) -> str:
    """The name in the library that `path` means: itself, else that of the file."""
    import os

    from index.sync_plan import document_path

    if library.document(path) is not None:
        return path
    named = document_path(Path(os.path.realpath(path)), library.root)
    return path if library.document(named) is None else named


def _accepted(runtime: Runtime, split: SplitName | None) -> list[Example]:
    from assistant.terminal import say
    from corpora.store import ExampleStore

    store = ExampleStore(runtime.library)
    examples = store.find("accepted", split.value if split else None)
    if not examples:
        if not store.find("accepted", limit=1):
            raise NothingToDo(
                "The library holds no accepted examples.", hint="assistant generate", code="no_input"
            )
        say(f"No accepted examples in {split.value if split else 'any split'}.")
    return examples
