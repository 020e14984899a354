"""Files that an ingest passed over, as people are told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from assistant.terminal import clean_line, say

if TYPE_CHECKING:
    from corpora.records import SkipCode
    from corpora.store import SkippedFile

_LINES = 20


def say_skipped(skipped: Sequence[SkippedFile]) -> None:
    """The skipped files by reason code: failures by name, files of other types only counted."""
    from index.ingest import is_failure

    counted: dict[SkipCode, list[SkippedFile]] = {}
    named: list[SkippedFile] = []
    for skip in sorted(skipped, key=lambda skip: skip.code):
        if skip.code in ("unsupported", "empty") and not is_failure(skip):
            counted.setdefault(skip.code, []).append(skip)
        else:
            named.append(skip)
    for skip in named[:_LINES]:
        say(f"skipped {clean_line(skip.path)}: {clean_line(skip.reason)} ({skip.code})")
    if len(named) > _LINES:
        say(f"… and {len(named) - _LINES} more; assistant status lists all")
    for code, files in sorted(counted.items()):
        say(f"skipped {len(files)} files: {code} ({_suffixes(files)})")


def _suffixes(files: Sequence[SkippedFile]) -> str:
    counts = Counter(clean_line(PurePosixPath(file.path).suffix.lower()) or "no suffix" for file in files)
    shown = [f"{suffix} {count}" for suffix, count in counts.most_common(5)]
    return ", ".join(shown) + (", …" if len(counts) > 5 else "")
