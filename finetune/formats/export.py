"""Training rows to a file of lines: whole and in place at once, or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from corpora.errors import UsageError
from finetune.formats.records import LineFormat, to_record
from finetune.rows.records import TrainingRow


def write_lines(rows: Iterable[TrainingRow], form: LineFormat, out: IO[bytes]) -> None:
    """A JSON object a line, UTF-8; lone surrogates of odd file names become question marks."""
    for row in rows:
        line = json.dumps(to_record(row, form), ensure_ascii=False, separators=(",", ":"))
        out.write(line.encode("utf-8", "replace") + b"\n")


def export_lines(rows: Iterable[TrainingRow], form: LineFormat, target: Path) -> None:
    """As `write_lines`, to a file that appears when all of it is on the disk. Raises UsageError, OSError."""
    with _replacing(target) as out:
        write_lines(rows, form, out)


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `target` when the block ends well; devices are written to."""
    target = Path(os.path.realpath(target))
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", hint="name a file, or --format datasets")
    if target.exists() and not target.is_file():
        with target.open("wb") as out:
            yield out
        return
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        out = partial.open("xb")
    except FileNotFoundError as error:
        raise UsageError(f"{target.parent}: no such folder.", hint=f"mkdir -p {target.parent}") from error
    try:
        with out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
