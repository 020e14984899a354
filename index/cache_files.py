"""Files of the derived caches: written whole or not at all, and known by hash, size, mtime and inode."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from corpora.store import CacheSegment

_BLOCK = 1 << 20


def cache_folder(library_folder: Path) -> Path:
    """Where the caches lie."""
    return library_folder / "index"


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def described(row: CacheSegment, path: Path, sha256: str | None = None) -> CacheSegment:
    """`row` with the stat of the file at `path`, and its hash unless that is known."""
    stat = path.stat()
    return replace(
        row,
        sha256=sha256 or sha256_of(path),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        inode=stat.st_ino,
    )


def checked(row: CacheSegment, folder: Path, *, deep: bool = False) -> CacheSegment | None:
    """The row if its file holds the bytes it was written with, else None.

    Bytes are hashed when size, mtime or inode differ from the row, or when `deep`. The row that comes back
    has the file's present stat: a copied library is hashed once, then trusted again.
    """
    path = folder / row.name
    if ".." in path.parts or not path.is_relative_to(folder):
        return None
    try:
        if path.is_symlink() or not path.is_file():
            return None
        stat = path.stat()
        same = (stat.st_size, stat.st_mtime_ns, stat.st_ino) == (row.size, row.mtime_ns, row.inode)
        if same and not deep:
            return row
        if stat.st_size != row.size or sha256_of(path) != row.sha256:
            return None
        return replace(row, mtime_ns=stat.st_mtime_ns, inode=stat.st_ino)
    except OSError:
        return None


def detail_of(row: CacheSegment) -> dict[str, object]:
    """What the cache noted about itself; empty when it is not what we write."""
    try:
        detail = json.loads(row.detail)
    except ValueError:
        return {}
    return detail if isinstance(detail, dict) else {}


def make_durable(paths: Iterable[Path]) -> None:
    """fsync files or folders."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path, keep: Iterable[str], pattern: str) -> None:
    """Remove files and folders of ours (names that match `pattern`) but those to keep, and temporary ones."""
    kept = set(keep)
    for path in [*folder.glob(pattern), *folder.glob(".tmp-*")]:
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
