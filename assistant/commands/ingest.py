"""`assistant ingest`: read, chunk, embed and index files and folders; again: bring the library in step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption

if TYPE_CHECKING:
    from assistant.progress import StageBar
    from assistant.settings import Settings
    from assistant.stopping import StopOnSignal
    from corpora.store import Library
    from index.ingest import IngestReport
    from index.sync_options import Hooks, IngestOptions


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files and folders.")],
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Encoder of a new library (default: chosen from the text)."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove documents even if most of a folder is gone.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep in step until Ctrl-C.")] = False,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Read, chunk, embed and index files and folders; again: sync what has changed."""
    from assistant.paths import find_library, library_to_create
    from assistant.settings import resolve
    from assistant.stopping import StopOnSignal
    from corpora.store import Library
    from index.ingest import require_input

    folder = library_to_create(library)
    settings = resolve(folder, {"encoder": encoder, "offline": offline or None})
    if find_library(library) is None and not watch:
        require_input(paths, folder)
    with Library.create(folder, named=library is not None) as opened, StopOnSignal() as stop:
        session = _Session(opened, settings, paths, stop, json, required=encoder, prune=prune)
        code = session.watch() if watch else session.sync()
    raise typer.Exit(code)


@dataclass(frozen=True)
class _Session:
    """One `ingest` command on an open library."""

    library: Library
    settings: Settings
    paths: list[Path]
    stop: StopOnSignal
    json: bool
    required: str | None
    prune: bool

    def sync(self) -> int:
        """Bring the library in step once; returns the exit code."""
        from assistant.progress import StageBar
        from assistant.terminal import say
        from index.ingest import ingest as run

        with StageBar() as shown:
            try:
                report = run(self.library, self.paths, self._options(), self._hooks(shown))
            except KeyboardInterrupt:
                say(self._resume(shown.done, shown.total))
                return self.stop.exit_code
        _show(report, self.json)
        if report.stopped:
            say(self._resume(shown.done, report.planned))
            return self.stop.exit_code
        return 4 if report.failed else 0

    def watch(self) -> int:
        """Keep the library in step; returns the exit code of the signal that ends it."""
        from assistant.progress import StageBar
        from assistant.terminal import say
        from corpora.errors import AssistantError
        from index.ingest import ingest as run
        from index.sync_plan import resolve_roots
        from index.watch import changes

        roots = resolve_roots(self.paths)
        options = self._options()
        for count in changes(roots, self.library.folder, self.stop.requested):
            try:
                with StageBar() as shown:
                    report = run(self.library, roots, options, self._hooks(shown))
            except AssistantError as error:
                say(f"error: {error.message}" + (f" Try: {error.hint}" if error.hint else ""))
                continue
            except KeyboardInterrupt:
                break
            if count == 0 or report.added + report.updated + report.removed:
                _show(report, self.json, skipped=count == 0)
        return self.stop.exit_code

    def _options(self) -> IngestOptions:
        from index.encoders import choose_encoder
        from index.sync_options import IngestOptions

        # A setting names the encoder of new libraries; only the flag insists on one for this library.
        stored = self.library.manifest("encoder")
        return IngestOptions(
            choose=choose_encoder,
            load=EncoderLoader(self.settings),
            encoder=self.settings.encoder if stored is None else self.required,
            chunk_tokens=self.settings.chunk_tokens,
            chunk_overlap=self.settings.chunk_overlap,
            prune=self.prune,
        )

    def _hooks(self, shown: StageBar) -> Hooks:
        from assistant.terminal import say
        from index.sync_options import Hooks

        return Hooks(progress=shown, stop=self.stop.requested, say=say)

    def _resume(self, done: int, total: int) -> str:
        import shlex

        words = " ".join(shlex.quote(str(path)) for path in self.paths)
        saved = f"Saved: {done} of {total} documents." if total else "Stopped before any document was read."
        return f"{saved} Resume: assistant ingest {words}"


class EncoderLoader:
    """Loads encoders by name, each once. A hub id that only the library names is taken from the cache."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        from assistant.progress import StageBar
        from index.encoders import load_encoder

        if name not in self._loaded:
            named = self._settings.encoder == name and self._settings.chosen_by_user("encoder")
            offline = self._settings.offline or not ("/" not in name or named)
            with StageBar() as bar:
                self._loaded[name] = load_encoder(name, offline=offline, progress=bar.report)
        return self._loaded[name]


def _show(report: IngestReport, as_json: bool, *, skipped: bool = True) -> None:
    from assistant.output import emit_json, emit_text
    from assistant.skipped import say_skipped

    if as_json:
        emit_json(
            {
                "added": report.added,
                "updated": report.updated,
                "unchanged": report.unchanged,
                "removed": report.removed,
                "renamed": report.renamed,
                "skipped": [{"path": s.path, "code": s.code, "reason": s.reason} for s in report.skipped],
                "documents": report.documents,
                "passages": report.passages,
                "seconds": round(report.seconds, 3),
            }
        )
        return
    if skipped:
        say_skipped(report.skipped)
    emit_text(
        f"added {report.added}, updated {report.updated}, removed {report.removed},"
        f" unchanged {report.unchanged}, skipped {len(report.skipped)};"
        f" {report.documents} documents, {report.passages} passages ({report.seconds:.1f} s)"
    )
