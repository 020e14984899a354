"""What is wrong here, and the command that mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corpora.errors import AssistantError

if TYPE_CHECKING:
    from assistant.settings import Settings
    from corpora.store import Library

Level = Literal["ok", "warn", "fail"]
LOW_DISK = 1 << 30  # bytes; an embedded model and its conversion need about half of it


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` is a command, or a step, that mends it (None when all is well)."""

    check: str
    level: Level
    message: str
    fix: str | None = None


def examine(folder: Path | None, settings: Settings, *, named: bool, deep: bool) -> list[Finding]:
    """All findings, in the order in which one would mend them. Never raises for what it finds."""
    found = [*_environment(), *_disk(folder), *_language_model(settings, deep)]
    if folder is None:
        return [*found, Finding("library", "fail", "There is no library here.", "assistant ingest FOLDER")]
    try:
        from corpora.store import Library

        with Library.open(folder, named=named) as library:
            for check in (_mode, _database, _encoder, _caches, _documents, _scripts, _adapters(settings)):
                found += _guarded(check, library, deep)
    except AssistantError as error:
        found.append(Finding("library", "fail", error.message, error.hint))
    return found


def _guarded(
    check: Callable[[Library, bool], Iterator[Finding]], library: Library, deep: bool
) -> list[Finding]:
    try:
        return list(check(library, deep))
    except (AssistantError, OSError) as error:
        hint = error.hint if isinstance(error, AssistantError) else None
        return [Finding(check.__name__.strip("_"), "fail", str(error), hint)]


def _environment() -> Iterator[Finding]:
    from assistant.settings import unknown_variables

    unknown = unknown_variables()
    for name in unknown:
        yield Finding("environment", "warn", f"{name} is not a setting.", f"unset {name}")
    if not unknown:
        yield Finding("environment", "ok", "No unknown ASSISTANT_ variables.")


def _disk(folder: Path | None) -> Iterator[Finding]:
    place = folder or Path.cwd()
    free = shutil.disk_usage(place).free
    if free < LOW_DISK:
        yield Finding("disk", "warn", f"Only {free / 1e6:.0f} MB are free for {place}.", "free some space")
    else:
        yield Finding("disk", "ok", f"{free / 1e9:.0f} GB free.")


def _language_model(settings: Settings, deep: bool) -> Iterator[Finding]:
    yield from _embedded_model(settings.model, "language model", deep)


def _embedded_model(name: str, role: str, deep: bool) -> Iterator[Finding]:
    from index.weights import CATALOGUE
    from index.weights.cache import is_present, verify

    model = CATALOGUE.get(name)
    if model is None:
        yield Finding("model", "ok", f"The {role} {name} is not an embedded one.")
    elif not is_present(model):
        yield Finding(
            "model", "warn", f"The {role} {name} is not fetched yet.", f"assistant models pull {name}"
        )
    elif deep and (wrong := verify(model)):
        yield Finding(
            "model", "fail", f"{name}: changed on disk: {', '.join(wrong)}.", f"assistant models pull {name}"
        )
    else:
        yield Finding("model", "ok", f"The {role} {name} is here.")


def _mode(library: Library, deep: bool) -> Iterator[Finding]:
    mode = library.folder.stat().st_mode & 0o777
    if mode & 0o077:
        fix = f"chmod 700 {library.folder}"
        yield Finding("privacy", "warn", f"Others may read the library (mode {mode:04o}).", fix)
    else:
        yield Finding("privacy", "ok", "Only you can read the library.")


def _database(library: Library, deep: bool) -> Iterator[Finding]:
    from corpora.store import problems

    if not deep:
        return
    wrong = problems(library)
    for line in wrong:
        yield Finding(
            "database", "fail", f"library.db: {line}.", "restore a copy, or ingest into a new library"
        )
    if not wrong:
        yield Finding("database", "ok", "library.db is whole: every passage is the span that it names.")


def _encoder(library: Library, deep: bool) -> Iterator[Finding]:
    name = library.manifest("encoder")
    if name is None:
        yield Finding("encoder", "warn", "The library is empty.", "assistant ingest FOLDER")
    else:
        yield from _embedded_model(name, "encoder", deep)


def _caches(library: Library, deep: bool) -> Iterator[Finding]:
    from index.cache import verify

    wrong = verify(library, deep=deep)
    for line in wrong:
        yield Finding("index", "warn", line, "assistant search anything (it rebuilds the index)")
    if not wrong:
        yield Finding("index", "ok", "The vector and word indexes fit the library.")


def _documents(library: Library, deep: bool) -> Iterator[Finding]:
    documents = library.documents()
    empty = [document for document in documents if document.passages == 0]
    stale = [document for document in documents if document.stale]
    failed = [skip for skip in library.skipped() if skip.code != "unsupported"]
    for document in empty:
        yield Finding(
            "documents", "fail", f"{document.path} has no passages.", f"assistant ingest {document.path}"
        )
    for document in stale:
        yield Finding(
            "documents", "warn", f"{document.path} is stale: {document.stale}.", "assistant ingest its folder"
        )
    if failed:
        message = f"{len(failed)} files of supported types could not be read."
        yield Finding("documents", "warn", message, "assistant status (lists them with reasons)")
    if not (empty or stale or failed):
        yield Finding("documents", "ok", f"{len(documents)} documents, all with passages and up to date.")


def _scripts(library: Library, deep: bool) -> Iterator[Finding]:
    from index.words import unseen_scripts

    sample = "\n".join(text for _, text in library.rows(0, 2000))
    unseen = unseen_scripts(sample)
    for script, letters in unseen.items():
        message = f"The word index cannot see {script} text ({letters} letters in a sample)."
        yield Finding("scripts", "warn", message, "search it with --mode dense")
    if sample and not unseen:
        yield Finding("scripts", "ok", "The word index sees every script of the documents.")


def _adapters(settings: Settings) -> Callable[[Library, bool], Iterator[Finding]]:
    """What is wrong with the adapter that answers, and with the others of the library."""

    def adapters(library: Library, deep: bool) -> Iterator[Finding]:
        from assistant.adapters import answering, listed
        from assistant.chat_models import is_remote

        remote = is_remote(settings.model, settings.base_url)
        used = None if remote else answering(settings.model, settings.adapter, library, deep=deep)
        others = [one for one in listed(library, deep=deep) if used is None or one.name != used.name]
        broken = [one for one in others if not one.state.usable]
        for one in broken:
            message = f"The adapter {one.name} is {one.state.standing}: {one.state.problem}"
            mend = f"assistant adapters remove {one.name}"
            shipped = one.state.adapter.shipped
            yield Finding("adapters", "warn", message, "install the program again" if shipped else mend)
        if used is not None and used.problem:
            message = f"In use is {used.name}: {used.problem}"
            if used.standing == "stale":
                yield Finding("adapters", "warn", message, "assistant generate, then assistant tune")
            else:
                yield Finding("adapters", "fail", message, "assistant adapters use --previous (or use none)")
        elif not broken:
            named = f"{settings.model} answers with {used.name}." if used and used.name else "None is in use."
            yield Finding("adapters", "ok", named)

    return adapters
