"""`assistant documents list|show|remove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption
from assistant.paths import open_library

if TYPE_CHECKING:
    from corpora.records import Document
    from corpora.store import Library

app = typer.Typer(help="The documents in the library.", no_args_is_help=True)

_PATH = Annotated[
    str, typer.Argument(metavar="PATH", help="As `documents list` shows it, or the file itself.")
]


@app.command("list")
def list_documents(
    library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """All documents, by path."""
    import dataclasses

    from assistant.output import emit_json, emit_text
    from assistant.terminal import clean_line

    with open_library(library) as opened:
        for document in opened.documents():
            if json:
                emit_json(dataclasses.asdict(document))
            else:
                stale = f"  stale: {clean_line(document.stale)}" if document.stale else ""
                size = f"{document.kind:5} {document.passages:6} passages"
                emit_text(f"{size}  {clean_line(document.path)}{stale}")


@app.command("show")
def show_document(
    path: _PATH,
    text: Annotated[bool, typer.Option("--text", help="Print the extracted text.")] = False,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """What is known of one document, or with --text its extracted text."""
    import dataclasses

    from assistant.output import emit_json, emit_text

    with open_library(library) as opened:
        document = _found(opened, path)
        extracted = opened.text(document.id) if text else None
    if json:
        emit_json({**dataclasses.asdict(document), "text": extracted})
    elif extracted is not None:
        emit_text(extracted.removesuffix("\n"))
    else:
        for name, value in dataclasses.asdict(document).items():
            shown = "; ".join(value) if isinstance(value, tuple) else value
            emit_text(f"{name:15} {'-' if shown in (None, '') else shown}")


@app.command("remove")
def remove_document(
    path: _PATH,
    purge: Annotated[
        bool, typer.Option("--purge", help="Erase it for good: no byte of its text stays on the disk.")
    ] = False,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Take a document out of the library. The file stays, and ingesting its folder adds it again."""
    from assistant.output import emit_json, emit_text
    from assistant.terminal import clean_line, say
    from corpora.store.purge import purge as erase

    with open_library(library, writable=True) as opened:
        document = _found(opened, path)
        if purge:
            erase(opened, document.id)
        else:
            with opened.guard(on_wait=say), opened.write() as writer:
                writer.remove_document(document.id)
    if json:
        emit_json({"removed": document.path, "passages": document.passages, "purged": purge})
    else:
        emit_text(f"removed {clean_line(document.path)} ({document.passages} passages)")


def _found(library: Library, path: str) -> Document:
    """The document that `path` means: its name in the library, else a file."""
    import os

    from corpora.errors import UsageError
    from index.sync_plan import document_path

    real = Path(os.path.realpath(path))
    document = library.document(path) or library.document(document_path(real, library.root))
    if document is None:
        raise UsageError(f"No document {path} in the library.", hint="assistant documents list")
    return document
