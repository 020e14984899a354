"""`assistant sessions list|show|export|delete|search`: the conversations in the library."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption
from assistant.paths import open_library
from corpora.errors import UsageError

app = typer.Typer(help="The conversations that were held with `chat`.", no_args_is_help=True)

_ID = typer.Argument(metavar="ID", help="As `sessions list` shows it, or the beginning of one.")


class FormatName(StrEnum):
    """What `--format` takes."""

    MARKDOWN = "markdown"
    JSON = "json"


@app.command("list")
def list_sessions(
    library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """All conversations, the latest first."""
    from assistant.chat.export import session_line, session_row
    from assistant.chat.sessions import Sessions
    from assistant.output import emit_json, emit_text
    from assistant.terminal import say

    with open_library(library) as opened:
        found = Sessions(opened).list()
    for session in found:
        if json:
            emit_json(session_row(session))
        else:
            emit_text(session_line(session))
    if not found and not json:
        say("No conversations yet; assistant chat begins one.")


@app.command("show")
def show_session(
    name: Annotated[str, _ID],
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """A whole conversation with its sources."""
    from assistant.chat.export import session_lines, session_object
    from assistant.chat.sessions import Sessions
    from assistant.output import emit_json, emit_text

    with open_library(library) as opened:
        sessions = Sessions(opened)
        session = sessions.open(name)
        turns = sessions.turns(session.id)
    if json:
        emit_json(session_object(session, turns))
    else:
        for line in session_lines(session, turns):
            emit_text(line)


@app.command("export")
def export_session(
    name: Annotated[str, _ID],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="F", help="The file; - is stdout.")
    ] = Path("-"),
    form: Annotated[
        FormatName | None,
        typer.Option("--format", help="Default: what the name of the file says, else markdown."),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Write a conversation as a Markdown page or as one JSON object."""
    import sys

    from assistant.chat.exporting import export_format, write_export
    from assistant.chat.sessions import Sessions
    from assistant.output import emit_json, emit_text

    to_stdout = str(output) == "-"
    if form is None:
        form = FormatName.JSON if to_stdout and json else FormatName(export_format(output))
    with open_library(library) as opened:
        sessions = Sessions(opened)
        session = sessions.open(name)
        if to_stdout:
            sys.stdout.buffer.write(sessions.export(session, form.value).encode("utf-8"))
            sys.stdout.buffer.flush()
            return
        write_export(sessions, session, output, form.value, over=True)
    if json:
        emit_json({"id": session.id, "path": str(output), "format": form.value, "turns": session.turns})
    else:
        emit_text(f"wrote {session.turns} turns to {output}")


@app.command("delete")
def delete_sessions(
    names: Annotated[list[str], _ID],
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Take conversations out of the library for good. Reviewed examples from them stay."""
    from assistant.chat.sessions import Sessions
    from assistant.output import emit_json, emit_text

    with open_library(library, writable=True) as opened:
        sessions = Sessions(opened)
        found = {session.id: session for session in [sessions.open(name) for name in names]}
        for session in found.values():
            sessions.delete(session)
    if json:
        emit_json({"deleted": list(found)})
    else:
        emit_text(f"deleted {len(found)}")


@app.command("search")
def search_sessions(
    query: Annotated[
        str, typer.Argument(metavar="WORDS", help="All of them must be in one turn, or the name.")
    ],
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Conversations that hold the words, the latest first."""
    from assistant.chat.export import session_line, session_row, turn_row
    from assistant.chat.sessions import Sessions
    from assistant.output import emit_json, emit_text
    from assistant.terminal import clean_line

    if not query.strip():
        raise UsageError("Nothing to search for.", hint='assistant sessions search "a few words"')
    with open_library(library) as opened:
        found = Sessions(opened).search(query)
    for session, turn in found:
        if json:
            emit_json({**session_row(session), "turn": turn_row(turn) if turn else None})
        else:
            emit_text(session_line(session))
            if turn is not None:
                emit_text(f"          {clean_line(turn.question)}")
