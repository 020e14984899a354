"""The command line: the names of the commands; each body lives in `assistant/commands/`."""

from __future__ import annotations

from typing import Annotated

import typer

from assistant import __version__
from assistant.commands import (
    adapters,
    ask,
    batch,
    chat,
    config,
    data,
    doctor,
    documents,
    eval,
    export,
    generate,
    ingest,
    models,
    reindex,
    search,
    sessions,
    status,
    tune,
)

app = typer.Typer(
    name="assistant",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: 60 ms less than rich panels on every call
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"assistant {__version__}")
        raise typer.Exit


@app.callback()
def assistant(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Ask your documents: short answers with checked citations, offline."""


app.command()(ingest.ingest)
app.command()(ask.ask)
app.command()(batch.batch)
app.command()(chat.chat)
app.command()(search.search)
app.add_typer(documents.app, name="documents")
app.command()(generate.generate)
app.command()(tune.tune)
app.command("eval")(eval.evaluate)
app.command()(reindex.reindex)
app.command()(status.status)
app.command()(doctor.doctor)
app.add_typer(data.app, name="data")
app.add_typer(adapters.app, name="adapters")
app.command()(export.export)
app.add_typer(models.app, name="models")
app.add_typer(sessions.app, name="sessions")
app.add_typer(config.app, name="config")
