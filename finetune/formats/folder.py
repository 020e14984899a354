"""Training rows as a `datasets` folder, a split for each that has rows; the one door to that package."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from corpora.errors import Conflict, UsageError
from finetune.formats.lines import Line
from finetune.formats.records import to_dataset_record
from finetune.rows.records import TrainingRow

_INDEX = "dataset_dict.json"  # what a saved DatasetDict is recognised by
_BLOCK = 500  # rows read at a time


def export_folder(rows: Iterable[TrainingRow], target: Path) -> None:
    """A `datasets` folder (`load_from_disk`), a split for each split that has rows.

    Raises Conflict when `target` holds anything but such a dataset.
    """
    from datasets import Dataset, DatasetDict  # type: ignore[import-untyped]
    from datasets.utils.logging import disable_progress_bar  # type: ignore[import-untyped]

    target = Path(os.path.realpath(target))
    check_folder(target)
    by_split: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_split[row.split].append(_valid(to_dataset_record(row)))
    disable_progress_bar()
    features = _features()
    saved = DatasetDict(
        {split: Dataset.from_list(by_split[split], features=features) for split in sorted(by_split)}
    )
    partial, old = (target.with_name(f".{target.name}.{what}-{os.getpid()}") for what in ("partial", "old"))
    try:
        saved.save_to_disk(str(partial))
        if target.exists():
            target.replace(old)
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not target.exists():
            old.replace(target)
        shutil.rmtree(old, ignore_errors=True)


def check_folder(target: Path) -> None:
    """Raises Conflict unless a dataset may be written to `target` without losing anything else."""
    if not target.exists():
        if not target.parent.is_dir():
            raise UsageError(f"{target.parent}: no such folder.", hint=f"mkdir -p {target.parent}")
        return
    names = {entry.name for entry in target.iterdir()} if target.is_dir() else {target.name}
    if names and (names - {_INDEX, "train", "validation", "test"} or _INDEX not in names):
        raise Conflict(
            f"{target} holds something else than a dataset.",
            hint="name a folder that is new or empty",
            code="not_a_dataset",
        )


def read_folder(folder: Path) -> Iterator[Line]:
    """The rows of a `datasets` folder, split by split. Raises UsageError when it is none."""
    from datasets import DatasetDict, load_from_disk

    try:
        loaded = load_from_disk(str(folder.absolute()))
    except Exception as error:
        raise UsageError(f"{folder}: no dataset folder ({type(error).__name__}).") from error
    parts = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
    for split, part in parts.items():
        number = 0
        try:
            # As Arrow tables: nothing that the file names is decoded or opened.
            for block in part.with_format("arrow").iter(batch_size=_BLOCK):
                for row in block.to_pylist():
                    number += 1
                    yield Line(f"{split} {number}", {"split": str(split), **row})
        except (OSError, ValueError) as error:  # Arrow's errors are kinds of these
            yield Line(f"{split} {number + 1}", problem=f"damaged from here on ({type(error).__name__})")


def _valid(value: Any) -> Any:
    """`value` with lone surrogates replaced, which a table cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_valid(one) for one in value]
    if isinstance(value, dict):
        return {key: _valid(one) for key, one in value.items()}
    return value


def _features() -> Any:
    """The columns, named so that a column of nulls has its type too."""
    from datasets import Features, Value

    text, number = Value("string"), Value("int64")
    turns = [{"role": text, "content": text}]
    return Features(
        {
            "prompt": text,
            "completion": text,
            **dict.fromkeys(("split", "example_id", "question", "quote", "path", "kind", "answer"), text),
            "passage_ids": [text],
            "gold_passage_ids": [text],
            "messages": turns,
            "example": {
                **dict.fromkeys(("method", "kind", "language", "question", "input", "answer"), text),
                "history": turns,
                "teacher": text,
                "prompt_version": text,
                "scores": [{"check": text, "score": Value("float64")}],
                "quotes": [
                    {
                        "path": text,
                        "document_sha256": text,
                        "start": number,
                        "end": number,
                        "quote": text,
                    }
                ],
            },
        }
    )
