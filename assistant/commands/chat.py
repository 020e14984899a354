"""`assistant chat`: a conversation with the documents, in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from assistant.commands.options import (
    AdapterOption,
    BaseUrlOption,
    KOption,
    LibraryOption,
    ModelOption,
    NoRetrievalOption,
    OfflineOption,
    WithinOption,
)
from corpora.errors import UsageError


def chat(
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last conversation.")] = False,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Go on with this conversation.")
    ] = None,
    k: KOption = None,
    within: WithinOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: BaseUrlOption = None,
    no_retrieval: NoRetrievalOption = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="A line at a time: for screen readers, pipes, dumb terminals.")
    ] = False,
    library: LibraryOption = None,
    offline: OfflineOption = False,
) -> None:
    """Talk with your documents: follow-up questions, sources a key away, every conversation saved."""
    import os
    import sys

    flags = {"k": k, "model": model, "adapter": adapter, "base_url": base_url, "offline": offline or None}
    if resume and session is not None:
        raise UsageError("--resume and --session exclude each other.")
    if session is not None and not session.strip():
        raise UsageError("--session needs the id of a conversation.", hint="assistant sessions list")
    resumed = session if session is not None else "" if resume else None
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if plain or not terminal:
        from assistant.chat.plain import run_plain
        from assistant.chat.records import ChatOptions

        raise typer.Exit(run_plain(library, flags, ChatOptions(k, within, not no_retrieval), resumed))
    from assistant.paths import find_library, require_library
    from assistant.settings import resolve
    from assistant.tui.app import ChatApp, Setup
    from assistant.tui.keys import bindings
    from assistant.tui.preferences import read_preferences
    from assistant.tui.requests import Chosen

    folder = require_library(library) if resumed is not None else find_library(library)
    settings = resolve(folder, flags)
    preferred = read_preferences(frozenset(binding.id or "" for binding in bindings()))
    chosen = Chosen(k=k, within=within, retrieval=not no_retrieval)
    app = ChatApp(Setup(library, flags, settings.model, chosen, resumed), preferred)
    app.run()
    if app.return_code:
        raise typer.Exit(app.return_code)
