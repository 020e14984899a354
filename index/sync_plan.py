"""What a sync has to do: the files under the given paths compared with the library, nothing changed yet.

Identity is the path, version the sha256. A file whose stat proves that it is unchanged is not opened. A
document goes only if its file is proved absent while the path given is a readable folder; the same bytes
at a new path with the old one gone are a rename.
"""

from __future__ import annotations

import hashlib
import os
import stat as stat_module
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpora.errors import Conflict, NothingToDo
from corpora.records import Skipped
from corpora.store import KnownDocument, Library, SkippedFile, Stat
from corpora.walk import FoundFile, check_root, walk

# Codes whose cause lies outside of the file's bytes: tried again each time.
TRANSIENT = frozenset({"unreadable", "vanished"})

_MANY = 20  # removals up to this number need no second thought


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to be read: new (`known` is None), or changed since it was."""

    file: FoundFile
    path: str
    stat: Stat
    known: KnownDocument | None


@dataclass(slots=True)
class Plan:
    """The work, in the order in which it is applied. `files` counts what the walk saw."""

    files: int = 0
    unchanged: int = 0
    reads: list[Candidate] = field(default_factory=list)
    restats: list[tuple[KnownDocument, Stat]] = field(default_factory=list)
    revived: list[KnownDocument] = field(default_factory=list)
    renames: list[tuple[KnownDocument, Candidate]] = field(default_factory=list)
    removals: list[KnownDocument] = field(default_factory=list)
    stale: list[tuple[KnownDocument, str]] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    to_remember: list[SkippedFile] = field(default_factory=list)
    to_forget: list[str] = field(default_factory=list)
    new_roots: list[str] = field(default_factory=list)

    @property
    def edits(self) -> bool:
        """Whether there is anything to write before files are read."""
        lists = (self.restats, self.revived, self.renames, self.removals, self.stale)
        return any(lists) or any((self.to_remember, self.to_forget, self.new_roots))


def resolve_roots(paths: Iterable[Path]) -> list[Path]:
    """The given paths without symbolic links, each once; raises as `corpora.walk.check_root`."""
    return list(dict.fromkeys(Path(os.path.realpath(check_root(path))) for path in paths))


def document_path(file: Path, base: Path) -> str:
    """What the library calls a file: relative to the folder that holds the library, else absolute, with /."""
    try:
        return file.relative_to(base).as_posix()
    except ValueError:
        return file.as_posix()


def make_plan(library: Library, roots: Sequence[Path], *, prune: bool, reader: str) -> Plan:
    """Compare; `roots` come from `resolve_roots`, `reader` is the version of what reads files.

    Raises Conflict (too_many_removals) where over half of a root's documents, and over 20, would go.
    """
    return _Planner(library, roots, reader).plan(prune)


class _Planner:
    def __init__(self, library: Library, roots: Sequence[Path], reader: str) -> None:
        self._library = library
        self._roots = roots
        self._reader = reader
        self._documents = {known.path: known for known in library.known()}
        self._skips = {skip.path: skip for skip in library.skipped()}
        self._seen: set[str] = set()
        self._plan = Plan()

    def plan(self, prune: bool) -> Plan:
        plan = self._plan
        folders = {root: _identity(root) for root in self._roots if root.is_dir()}
        for file in walk(self._roots, self._library.folder):
            self._compare(file)
        gone = self._absent(folders)
        self._match_renames(gone)
        renamed = {known.id for known, _ in plan.renames}
        plan.removals = [known for known in gone if known.id not in renamed]
        if plan.removals and any(_identity(root) != before for root, before in folders.items()):
            raise NothingToDo("A folder given went away meanwhile; nothing was changed.", code="no_input")
        if not prune:
            self._refuse_mass_removal()
        plan.to_forget += [
            path for path in self._skips if path not in self._seen and self._under(path) is not None
        ]
        known_roots = set(self._library.roots())
        plan.new_roots = [str(root) for root in self._roots if str(root) not in known_roots]
        return plan

    # -- one file ----------------------------------------------------------------------------------

    def _compare(self, file: FoundFile) -> None:
        path = document_path(file.path, self._library.root)
        self._plan.files += 1
        self._seen.add(path)
        known, skip = self._documents.get(path), self._skips.get(path)
        if file.problem is not None:
            self._skip(path, Stat(file.size, file.mtime_ns), file.problem, known)
            return
        try:
            now = _stat(file.path)
        except FileNotFoundError:
            self._seen.discard(path)  # gone since the walk: as if it had not been there
            self._plan.files -= 1
            return
        except OSError as error:
            self._skip(path, Stat(file.size, file.mtime_ns), _unreadable(error), known)
            return
        candidate = Candidate(file, path, now, known)
        if known is not None and known.stale is None and known.stat.proves(now):
            self._plan.unchanged += 1
        elif skip is not None and self._still_holds(skip) and skip.stat.proves(now):
            self._keep_skip(skip, known)
        elif known is None and skip is None:
            self._plan.reads.append(candidate)
        else:
            self._compare_bytes(candidate, skip)

    def _compare_bytes(self, candidate: Candidate, skip: SkippedFile | None) -> None:
        """The stat has changed; only a hash can say whether the bytes have."""
        known, now = candidate.known, candidate.stat
        try:
            digest = file_sha256(candidate.file.path)
        except OSError as error:
            self._skip(candidate.path, now, _unreadable(error), known)
            return
        if known is not None and known.sha256 == digest:
            self._plan.unchanged += 1
            self._plan.restats.append((known, now))
            if known.stale is not None:
                self._plan.revived.append(known)
            if skip is not None:
                self._plan.to_forget.append(candidate.path)
        elif skip is not None and skip.sha256 == digest and self._still_holds(skip):
            renewed = SkippedFile(skip.path, now, digest, skip.code, skip.reason, skip.reader)
            self._plan.to_remember.append(renewed)
            self._keep_skip(renewed, known)
        else:
            self._plan.reads.append(candidate)

    def _still_holds(self, skip: SkippedFile) -> bool:
        return skip.reader == self._reader and skip.code not in TRANSIENT

    def _keep_skip(self, skip: SkippedFile, known: KnownDocument | None) -> None:
        self._plan.skipped.append(skip)
        if known is not None and known.stale != skip.reason:
            self._plan.stale.append((known, skip.reason))

    def _skip(self, path: str, now: Stat, problem: Skipped, known: KnownDocument | None) -> None:
        skip = SkippedFile(path, now, None, problem.code, problem.reason, self._reader)
        before = self._skips.get(path)
        if before is None or (before.code, before.reason) != (skip.code, skip.reason):
            self._plan.to_remember.append(skip)
        self._keep_skip(skip, known)

    # -- what the walk did not see -----------------------------------------------------------------

    def _absolute(self, path: str) -> Path:
        return self._library.root / path  # an absolute `path` stays as it is

    def _under(self, path: str) -> Path | None:
        """The given root that this document lies under."""
        absolute = self._absolute(path)
        return next((root for root in self._roots if absolute == root or root in absolute.parents), None)

    def _absent(self, folders: dict[Path, tuple[int, int]]) -> list[KnownDocument]:
        """Documents under a given folder whose file is proved to be gone, by path."""
        gone: list[KnownDocument] = []
        for path, known in sorted(self._documents.items()):
            if path in self._seen or self._under(path) not in folders:
                continue
            file = self._absolute(path)
            try:
                found = file.lstat()
            except (FileNotFoundError, NotADirectoryError):
                gone.append(known)
            except OSError as error:
                self._seen.add(path)
                self._skip(path, known.stat, _unreadable(error), known)
            else:
                self._not_walked(FoundFile(file, found.st_size, found.st_mtime_ns), known, found.st_mode)
        return gone

    def _not_walked(self, file: FoundFile, known: KnownDocument, mode: int) -> None:
        """There, but the walk passes it by (hidden, a second hard link, a folder now): it stays."""
        if stat_module.S_ISREG(mode):
            self._compare(file)
        else:
            reason = "its place is taken by something that is not a file"
            self._skip(known.path, known.stat, Skipped("not_a_file", reason), known)

    def _match_renames(self, gone: list[KnownDocument]) -> None:
        by_size = {known.stat.size for known in gone}
        waiting: dict[tuple[str, str], list[KnownDocument]] = defaultdict(list)
        for known in gone:
            waiting[known.sha256, _suffix(known.path)].append(known)
        reads: list[Candidate] = []
        for candidate in self._plan.reads:
            match: list[KnownDocument] = []
            if candidate.known is None and candidate.stat.size in by_size:
                try:
                    digest = file_sha256(candidate.file.path)
                except OSError:
                    digest = ""  # the reader will say what is wrong with it
                match = waiting[digest, _suffix(candidate.path)]
            if match:
                same_name = [known for known in match if _name(known.path) == _name(candidate.path)]
                known = (same_name or match)[0]
                match.remove(known)
                self._plan.renames.append((known, candidate))
            else:
                reads.append(candidate)
        self._plan.reads = reads

    def _refuse_mass_removal(self) -> None:
        removed = [self._absolute(known.path) for known in self._plan.removals]
        if len(removed) <= _MANY:
            return
        everything = [self._absolute(path) for path in self._documents]
        for root in self._roots:
            going = sum(root in path.parents for path in removed)
            there = sum(root in path.parents for path in everything)
            if going > _MANY and going > there / 2:
                raise Conflict(
                    f"{going} of {there} documents under {root} are gone; nothing was changed.",
                    hint=f"if that is meant: assistant ingest {root} --prune",
                    code="too_many_removals",
                )


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a regular file; OSError for anything else, and never a block on a pipe."""
    with open(
        path,
        "rb",
        buffering=0,
        opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC),
    ) as file:
        if not stat_module.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "not a regular file")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stat(path: Path) -> Stat:
    checked = time.time_ns()
    found = path.stat()
    return Stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, checked)


def _identity(root: Path) -> tuple[int, int]:
    """Device and inode: another one means that something was mounted, unmounted or replaced."""
    try:
        with os.scandir(root):
            found = root.stat()
    except OSError:
        return (-1, -1)
    return found.st_dev, found.st_ino


def _unreadable(error: OSError) -> Skipped:
    return Skipped("unreadable", (error.strerror or str(error)).lower())


def _suffix(path: str) -> str:
    return Path(path).suffix.lower()


def _name(path: str) -> str:
    return path.rpartition("/")[2]
