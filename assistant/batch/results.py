"""The file of results as bytes: a line of JSON for each row, or a line of a table.

What is needed to go on can be read back from either: which row it is, its key, what became of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from assistant.batch.table import parse_line, split_records, table_line

COLUMNS = (
    "id", "key", "status", "error", "question", "answer", "kind", "refused", "refusal", "unsupported",
    "sources", "quotes", "expected", "em", "f1", "passages", "passages_left_out", "dropped_citations",
    "model", "adapter", "prompt_tokens", "completion_tokens", "seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """What a line of the file says of its row. `status` is "ok", "refused" or "error"."""

    id: str
    key: str
    status: str
    em: float | None
    f1: float | None
    prompt_tokens: int
    completion_tokens: int


class Format(Protocol):
    """How rows become bytes and are found in them again."""

    header: bytes

    def line(self, row: Mapping[str, Any]) -> bytes:
        """A row, with its line break."""

    def head(self, name: str | int, key: str) -> bytes:
        """The bytes that the line of this row begins with."""

    def name(self, name: str | int) -> str:
        """An id as it is read back."""

    def torn(self, raw: bytes) -> bool:
        """Whether `raw` is no whole line or lines."""

    def records(self, data: bytes) -> Iterator[bytes]:
        """The lines in `data` behind the header; the last may be torn."""

    def read(self, raw: bytes) -> Kept:
        """What a line says. Raises ValueError for one that is not of this format, or torn."""


class JsonFormat:
    """A JSON object a line."""

    header = b""

    def line(self, row: Mapping[str, Any]) -> bytes:
        """As `Format`."""
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"

    def head(self, name: str | int, key: str) -> bytes:
        """As `Format`."""
        return self.line({"id": name, "key": key})[:-2]

    def name(self, name: str | int) -> str:
        """As `Format`."""
        return str(name)

    def torn(self, raw: bytes) -> bool:
        """As `Format`."""
        return b"\n" not in raw

    def records(self, data: bytes) -> Iterator[bytes]:
        """As `Format`."""
        start = 0
        while start < len(data):
            end = data.find(b"\n", start) + 1 or len(data)
            yield data[start:end]
            start = end

    def read(self, raw: bytes) -> Kept:
        """As `Format`."""
        if not raw.endswith(b"\n"):
            raise ValueError("torn")
        try:
            row: Any = json.loads(raw)
            return Kept(
                id=str(row["id"]),
                key=str(row["key"]),
                status=str(row["status"]),
                em=None if row["em"] is None else float(row["em"]),
                f1=None if row["f1"] is None else float(row["f1"]),
                prompt_tokens=int(row["usage"]["prompt_tokens"]),
                completion_tokens=int(row["usage"]["completion_tokens"]),
            )
        except (KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError("not a row of results") from error


class TableFormat:
    """CSV: the sources as text, quotes and passage ids as JSON."""

    header = table_line(COLUMNS)

    def line(self, row: Mapping[str, Any]) -> bytes:
        """As `Format`."""
        citations = row["citations"] or []
        cells = {
            **row,
            "sources": "; ".join(dict.fromkeys(_source(one) for one in citations)),
            "quotes": [one["quote"] for one in citations],
            "passages": [one["passage_id"] for one in row["passages"] or []],
            "expected": row["expected"],
            "prompt_tokens": row["usage"]["prompt_tokens"],
            "completion_tokens": row["usage"]["completion_tokens"],
            "seconds": row["seconds"]["total"],
        }
        return table_line([cells[column] for column in COLUMNS])

    def head(self, name: str | int, key: str) -> bytes:
        """As `Format`."""
        return table_line([name, key])[:-2] + b","

    def name(self, name: str | int) -> str:
        """As `Format`."""
        return parse_line(table_line([name]))[0]

    def torn(self, raw: bytes) -> bool:
        """As `Format`."""
        records = list(split_records(raw))
        return len(records) <= 1 and (raw.count(b'"') % 2 == 1 or not raw.endswith(b"\n"))

    def records(self, data: bytes) -> Iterator[bytes]:
        """As `Format`."""
        for _, raw in split_records(data):
            yield raw

    def read(self, raw: bytes) -> Kept:
        """As `Format`."""
        cells = parse_line(raw)
        if not raw.endswith(b"\n") or len(cells) != len(COLUMNS):
            raise ValueError("not a row of results")
        row = dict(zip(COLUMNS, cells, strict=True))
        return Kept(
            id=row["id"],
            key=row["key"],
            status=row["status"],
            em=float(row["em"]) if row["em"] else None,
            f1=float(row["f1"]) if row["f1"] else None,
            prompt_tokens=int(row["prompt_tokens"]),
            completion_tokens=int(row["completion_tokens"]),
        )


def format_for(name: str) -> Format:
    """CSV where the name says so, else JSON lines."""
    return TableFormat() if name.lower().endswith(".csv") else JsonFormat()


def _source(citation: Mapping[str, Any]) -> str:
    """`path p.N` where the document has pages, else `path:line`."""
    if citation["page"] is not None:
        return f"{citation['path']} p.{citation['page']}"
    return f"{citation['path']}:{citation['line_start']}"
