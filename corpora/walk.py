"""Which files lie under the folders given: in order, each once, and nothing outside of them.

Skipped without a word are hidden entries below a root, version control folders and the library. A file or
folder that is named directly is always taken, whatever it or its parents are called.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpora.errors import NothingToDo, StorageError
from corpora.records import Skipped

_LIBRARY_NAME = ".assistant"
_VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".bzr", ".jj", "CVS", "_darcs"})


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read, or with `problem` an entry that will not be read and why. `path` is absolute."""

    path: Path
    size: int
    mtime_ns: int
    problem: Skipped | None = None


def check_root(path: Path) -> Path:
    """`path` as an absolute path that can be walked.

    Raises NothingToDo if it is not there, StorageError if it is there but cannot be read.
    """
    root = _absolute(path)
    try:
        if stat.S_ISDIR(root.stat().st_mode):
            os.scandir(root).close()
        elif not os.access(root, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except FileNotFoundError as error:
        raise NothingToDo(f"{path} does not exist.", hint="check the path", code="no_input") from error
    except OSError as error:
        reason = (error.strerror or "I/O error").lower()
        raise StorageError(f"{path} cannot be read: {reason}.", hint=f"ls -ld {path}") from error
    return root


def walk(roots: Sequence[Path], library: Path | None = None) -> Iterator[FoundFile]:
    """All files under `roots` (files or folders), sorted within each root, each real file once.

    Files among the roots come first. A symbolic link that stays in its root is followed, after all else of
    that root, and reported under the path it leads to; one that leaves it is a problem, as are pipes,
    sockets, devices and what cannot be read. `library` is the library folder, which is left out.

    Raises NothingToDo or StorageError, as `check_root`, before anything is yielded.
    """
    checked = [check_root(root) for root in roots]
    seen = _Seen(library)
    for root in sorted(checked, key=os.path.isdir):
        if root.is_dir():
            yield from _walk_folder(root, seen)
        else:
            yield from _take_file(Path(os.path.realpath(root)), seen)


@dataclass(slots=True)
class _Seen:
    """What has been yielded or entered, by device and inode; the library counts as entered."""

    library: Path | None
    keys: set[tuple[int, int] | str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.library is not None and self.library.exists():
            self.first_time(str(self.library), self.library.stat())

    def first_time(self, path: str, status: os.stat_result) -> bool:
        # Some network file systems number no inodes; then the path has to do.
        key = (status.st_dev, status.st_ino) if status.st_ino else path
        if key in self.keys:
            return False
        self.keys.add(key)
        return True


def _absolute(path: Path) -> Path:
    """Absolute, links in it kept, unless ".." makes a link matter."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _walk_folder(root: Path, seen: _Seen) -> Iterator[FoundFile]:
    links: list[str] = []
    yield from _walk_tree(os.fspath(root), links, seen)
    real_root = os.path.realpath(root)
    at = 0
    while at < len(links):  # a followed link may lead to a folder with links of its own
        yield from _follow(links[at], root, real_root, links, seen)
        at += 1


def _walk_tree(folder: str, links: list[str], seen: _Seen) -> Iterator[FoundFile]:
    """Depth first without recursion; symbolic links are put aside in `links`."""
    pending = [folder]
    while pending:
        path = pending.pop()
        try:
            status = os.lstat(path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                yield _problem(path, error)
            continue
        if stat.S_ISDIR(status.st_mode) or path == folder:
            if seen.first_time(path, Path(path).stat() if path == folder else status):
                names, problem = _entries(path)
                if problem is not None:
                    yield problem
                pending.extend(f"{path.rstrip('/')}/{name}" for name in reversed(names))
        elif stat.S_ISLNK(status.st_mode):
            links.append(path)
        else:
            yield from _take_entry(path, status, seen)


def _entries(folder: str) -> tuple[list[str], FoundFile | None]:
    """Names in `folder` that are not skipped, sorted, and what went wrong with listing it."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            names.extend(entry.name for entry in entries if not _skipped_name(entry.name))
    except OSError as error:
        return sorted(names), None if error.errno == errno.ENOENT else _problem(folder, error)
    return sorted(names), None


def _skipped_name(name: str) -> bool:
    return name.startswith(".") or name in _VERSION_CONTROL


def _take_entry(path: str, status: os.stat_result, seen: _Seen) -> Iterator[FoundFile]:
    if seen.first_time(path, status):
        problem = None
        if not stat.S_ISREG(status.st_mode):
            problem = Skipped("not_a_file", f"{_what(status)}, not a file")
        yield FoundFile(Path(path), status.st_size, status.st_mtime_ns, problem)


def _take_file(path: Path, seen: _Seen) -> Iterator[FoundFile]:
    try:
        status = path.stat()
    except OSError as error:
        yield _problem(os.fspath(path), error)
        return
    yield from _take_entry(os.fspath(path), status, seen)


def _follow(link: str, root: Path, real_root: str, links: list[str], seen: _Seen) -> Iterator[FoundFile]:
    target = os.path.realpath(link)
    if target != real_root and not target.startswith(real_root.rstrip("/") + "/"):
        problem = Skipped("outside_root", f"symbolic link to {target}, outside {root}")
        yield FoundFile(Path(link), 0, 0, problem)
        return
    try:
        status = Path(target).stat()
    except OSError as error:
        yield _problem(link, error)
        return
    inside = os.path.relpath(target, real_root)
    if any(part in _VERSION_CONTROL or part == _LIBRARY_NAME for part in inside.split("/")):
        return
    path = os.fspath(root / inside)
    if stat.S_ISDIR(status.st_mode):
        yield from _walk_tree(path, links, seen)
    else:
        yield from _take_entry(path, status, seen)


def _problem(path: str, error: OSError) -> FoundFile:
    reason = (error.strerror or "I/O error").lower()
    if error.errno == errno.ENOENT:
        return FoundFile(Path(path), 0, 0, Skipped("vanished", "symbolic link to nothing"))
    return FoundFile(Path(path), 0, 0, Skipped("unreadable", reason))


def _what(status: os.stat_result) -> str:
    if stat.S_ISFIFO(status.st_mode):
        return "pipe"
    return "socket" if stat.S_ISSOCK(status.st_mode) else "device"
