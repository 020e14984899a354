"""Ingest: bring a library in step with folders and files.

    with Library.create(folder) as library:
        report = ingest(library, [Path("docs")], IngestOptions(choose=choose_encoder, load=load_encoder))

Plan (`index.sync_plan`), apply what needs no reading, read and encode (`index.sync_run`), then bring the
derived caches up to date. Every commit leaves a whole library; a run that is killed is simply run again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from corpora.errors import Busy, NothingToDo
from corpora.readers.detect import is_source_code
from corpora.records import SkipCode
from corpora.store import Library, SkippedFile
from corpora.walk import walk
from index.sync_options import Hooks, IngestOptions
from index.sync_plan import Plan, make_plan, resolve_roots
from index.sync_run import Run, wrong_encoder

# No file of a supported type has failed: these are no such files.
_HARMLESS: frozenset[SkipCode] = frozenset({"unsupported", "not_a_file", "outside_root"})


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did. `documents` and `passages` are library totals; `updated` includes `renamed`.

    `skipped` lists every file under the given paths that gives no text, those of earlier runs too;
    `failed` says whether one of a supported type is among them. `planned` counts the files that were to be
    read and `stopped` says whether that was broken off. `stages` are seconds of plan, wait (for readers),
    load, encode, commit and refresh.
    """

    added: int
    updated: int
    unchanged: int
    removed: int
    renamed: int
    skipped: tuple[SkippedFile, ...]
    failed: bool
    planned: int
    stopped: bool
    documents: int
    passages: int
    encoder: str | None
    seconds: float
    stages: dict[str, float]


def require_input(roots: Sequence[Path], folder: Path) -> None:
    """Raise NothingToDo unless there is at least one file: before a library is made for nothing."""
    if next(walk(resolve_roots(roots), folder), None) is None:
        raise no_input(roots)


def no_input(roots: Sequence[Path]) -> NothingToDo:
    """The error for folders without a single file."""
    from corpora.readers import READERS

    names = ", ".join(str(root) for root in roots)
    kinds = " ".join(kind for kind in READERS if kind != "code")
    return NothingToDo(
        f"No files in {names} (looked for {kinds} and source code).",
        hint="assistant ingest FOLDER",
        code="no_input",
    )


def ingest(
    library: Library, roots: Sequence[Path], options: IngestOptions, hooks: Hooks | None = None
) -> IngestReport:
    """Sync the documents under `roots`; the caller holds no lock, this one takes the library's guard.

    Raises NothingToDo (no input), Conflict (another encoder, too many removals), Busy, StorageError.
    """
    hooks = hooks or Hooks()
    began = time.perf_counter()
    stored = library.manifest("encoder")
    if stored is not None and options.encoder not in (None, stored):
        raise wrong_encoder(stored, str(options.encoder), str(options.encoder))
    resolved = resolve_roots(roots)
    reader = _reader_version()
    with library.guard(on_wait=hooks.say):
        before = library.generation
        plan = make_plan(library, resolved, prune=options.prune, reader=reader)
        if not (plan.files or plan.removals or plan.to_forget or plan.unchanged):
            raise no_input(roots)
        if plan.edits:
            _apply(library, plan)
        planned = time.perf_counter()
        outcome = Run(library, options, hooks, reader).run(plan.reads)
        run = time.perf_counter()
        if library.generation != before and not outcome.stopped:
            _refresh_caches(library)
    documents, passages = library.counts()
    skipped = sorted(plan.skipped + outcome.skipped, key=lambda skip: skip.path)
    failed = any(is_failure(skip) and skip.code != "vanished" for skip in plan.skipped)
    ended = time.perf_counter()
    return IngestReport(
        added=outcome.added,
        updated=outcome.updated + len(plan.renames),
        unchanged=plan.unchanged,
        removed=len(plan.removals),
        renamed=len(plan.renames),
        skipped=tuple(skipped),
        failed=failed or any(map(is_failure, outcome.skipped)),
        planned=len(plan.reads),
        stopped=outcome.stopped,
        documents=documents,
        passages=passages,
        encoder=library.manifest("encoder"),
        seconds=ended - began,
        stages={"plan": planned - began, **outcome.seconds, "refresh": ended - run},
    )


def is_failure(skip: SkippedFile) -> bool:
    """Whether a file of a supported type gave no text. Source code may be empty: `__init__.py` often is."""
    if skip.code == "empty":
        return skip.stat.size > 0 or not is_source_code(skip.path)
    return skip.code not in _HARMLESS


def _refresh_caches(library: Library) -> None:
    from index.cache import refresh  # faiss and tantivy, not needed where nothing changed

    with suppress(Busy):  # another process is at it; a search makes up for what is still missing
        refresh(library)


def _apply(library: Library, plan: Plan) -> None:
    """Everything that needs no reading, in one transaction."""
    with library.write() as writer:
        for known in plan.removals:
            writer.remove_document(known.id)
        for known, candidate in plan.renames:
            writer.rename(known.id, candidate.path, candidate.stat)
        for known, stat in plan.restats:
            writer.set_stat(known.id, stat)
        for known in plan.revived:
            writer.mark_stale(known.id, None)
        for known, reason in plan.stale:
            writer.mark_stale(known.id, reason)
        for path in plan.to_forget:
            writer.forget_skip(path)
        for skip in plan.to_remember:
            writer.remember_skip(skip)
        for root in plan.new_roots:
            writer.add_root(root)


def _reader_version() -> str:
    """Skipped files are tried again by another version of the program: it may read more."""
    try:
        return metadata.version("grounded-assistant")
    except metadata.PackageNotFoundError:
        return "source"
