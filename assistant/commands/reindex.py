"""`assistant reindex`: encode the library anew, with another encoder or other chunk sizes."""

from __future__ import annotations

from typing import Annotated

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption


def reindex(
    encoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="The new encoder (default: the same again).")
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Embed all documents anew; may be interrupted and run again, the old index answers until it is done."""
    from assistant.commands.ingest import EncoderLoader
    from assistant.output import emit_json, emit_text
    from assistant.paths import require_library
    from assistant.progress import StageBar
    from assistant.settings import resolve
    from assistant.stopping import StopOnSignal
    from assistant.terminal import say
    from corpora.store import Library
    from index.encoders import choose_encoder
    from index.reindex import reindex as run
    from index.sync_options import Hooks, IngestOptions

    folder = require_library(library)
    settings = resolve(folder, {"encoder": encoder, "offline": offline or None})
    options = IngestOptions(
        choose=choose_encoder,
        load=EncoderLoader(settings),
        encoder=encoder,
        chunk_tokens=settings.chunk_tokens,
        chunk_overlap=settings.chunk_overlap,
    )
    with Library.open(folder, writable=True, named=library is not None) as opened, StopOnSignal() as stop:
        with StageBar() as bar:
            report = run(opened, options, Hooks(progress=bar, stop=stop.requested, say=say))
        if report.stopped:
            say(f"Saved: {bar.done} of {bar.total} documents. Resume: assistant reindex")
            raise typer.Exit(stop.exit_code)
    if json:
        emit_json(
            {
                "encoder": report.encoder,
                "changed": report.changed,
                "documents": report.documents,
                "passages": report.passages,
                "seconds": round(report.seconds, 3),
            }
        )
    elif report.changed:
        emit_text(
            f"encoded {report.documents} documents, {report.passages} passages with {report.encoder}"
            f" ({report.seconds:.1f} s)"
        )
    else:
        emit_text(f"nothing to do: the library is encoded with {report.encoder}")
