"""`log.jsonl` of a run: a line per step, evaluation and event; a resumed run drops what it will do again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG_NAME = "log.jsonl"


class RunLog:
    """Appends to the log of a run. Lines of steps after `step` are dropped first: they will come again."""

    def __init__(self, folder: Path, *, step: int) -> None:
        self._path = folder / LOG_NAME
        kept = [line for line in read_log(folder) if line.get("step", 0) <= step]
        building = folder / f".tmp-{os.getpid()}-{LOG_NAME}"
        building.write_text("".join(_spelled(line) for line in kept), encoding="utf-8")
        building.replace(self._path)

    def write(self, event: str, step: int, facts: Mapping[str, Any]) -> None:
        """Add a line of the kind `event` ("step", "evaluation", "estimate", "out_of_memory", ...)."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_spelled({"event": event, "step": step, **facts}))


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, in order; what a kill tore off is left out."""
    try:
        text = (folder / LOG_NAME).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            lines.append(value)
    return lines


def _spelled(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
