"""Import files of Neo4j: node files with `:ID`, relationship files with `:START_ID`, `:END_ID`, `:TYPE`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune.self_kg.graph_file import CsvRow
from finetune.self_kg.records import Dropped, Edge, Row, node_key

_FIELD = re.compile(
    r"^(?P<name>[^:]*)(?::(?P<type>[A-Za-z_]+(?:\[\])?)(?:\((?P<space>[^)]*)\))?)?(?:\{.*\})?$"
)
_NAME_COLUMNS = ("name", "title", "名称", "姓名", "名字", "label", "text")
_ROLE_COLUMNS = ("job", "jobs", "role", "roles", "title", "position", "post", "职务", "职位", "角色")
_OPAQUE = re.compile(r"[0-9a-fA-F-]{16,}|[\d.]+e[+-]\d+|https?://\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: str
    space: str


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    kind: str
    properties: tuple[tuple[str, str], ...]
    row: Row


@dataclass(frozen=True, slots=True)
class _Link:
    start: tuple[str, str]
    end: tuple[str, str]
    type: str
    role: str
    row: Row


def is_import_header(cells: Sequence[str]) -> bool:
    """Whether a first row is the header of a node or relationship file."""
    types = {field.type for field in map(_field, cells)}
    return "ID" in types or {"START_ID", "END_ID"} <= types


class Import:
    """Gathers node and relationship files, in any order, and joins them."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._links: list[_Link] = []

    def add(self, file: str, rows: Sequence[CsvRow], dropped: list[Dropped]) -> None:
        """The rows of one file, its header first."""
        fields = [_field(cell) for cell in rows[0].cells]
        types = [field.type for field in fields]
        for row in rows[1:]:
            if len(row.cells) < len(fields):
                dropped.append(Dropped("too_few_cells", file, row.row.line))
            elif "ID" in types:
                self._add_node(fields, row, dropped)
            else:
                self._add_link(fields, row, file)

    def edges(self, dropped: list[Dropped]) -> Iterator[Edge]:
        """Properties of nodes as edges, then the relationships, in the order of the files."""
        for node in self._nodes.values():
            for relation, value in node.properties:
                yield Edge(
                    node.name, relation, value, origin="graph", subject_type=node.kind, rows=(node.row,)
                )
        for link in self._links:
            start, end = self._nodes.get(link.start), self._nodes.get(link.end)
            if start is None or end is None:
                lost = link.start[1] if start is None else link.end[1]
                dropped.append(Dropped("unknown_node", link.row.file, link.row.line, lost[:60]))
                continue
            yield Edge(
                start.name,
                link.type,
                end.name,
                origin="graph",
                subject_type=start.kind,
                object_type=end.kind,
                role=link.role,
                rows=(start.row, link.row, end.row),
            )

    def ambiguous(self) -> frozenset[str]:
        """Keys of the names that more than one node has."""
        seen: set[str] = set()
        twice: set[str] = set()
        for node in self._nodes.values():
            key = node_key(node.name)
            (twice if key in seen else seen).add(key)
        return frozenset(twice)

    def _add_node(self, fields: Sequence[_Field], row: CsvRow, dropped: list[Dropped]) -> None:
        cells = dict(zip((field.name or f":{field.type}" for field in fields), row.cells, strict=False))
        identity = next(
            (field, cell) for field, cell in zip(fields, row.cells, strict=False) if field.type == "ID"
        )
        key = (identity[0].space, identity[1])
        name = next((cells[column] for column in _NAME_COLUMNS if cells.get(column)), identity[1])
        if key in self._nodes:
            dropped.append(Dropped("repeated_node", row.row.file, row.row.line, identity[1][:60]))
            return
        if not name or _OPAQUE.fullmatch(name):
            dropped.append(Dropped("no_name", row.row.file, row.row.line))
            return
        kind = cells.get(":LABEL", "").split(";")[0] or identity[0].space
        properties: list[tuple[str, str]] = []
        for field, cell in zip(fields, row.cells, strict=False):
            if field.type in ("ID", "LABEL", "IGNORE") or field.name in _NAME_COLUMNS or cell == identity[1]:
                continue
            values = cell.split(";") if field.type.endswith("[]") else [cell]
            properties += [
                (field.name, value.strip())
                for value in values
                if field.name and value.strip() and not _OPAQUE.fullmatch(value.strip())
            ]
        self._nodes[key] = _Node(name, kind, tuple(properties), row.row)

    def _add_link(self, fields: Sequence[_Field], row: CsvRow, file: str) -> None:
        by_type = {field.type: (field, cell) for field, cell in zip(fields, row.cells, strict=False)}
        start, end = by_type["START_ID"], by_type["END_ID"]
        named = {field.name.lower(): cell for field, cell in zip(fields, row.cells, strict=False)}
        role = next((named[column] for column in _ROLE_COLUMNS if named.get(column)), "")
        # Without a type column the file's name says what the rows are.
        relation = by_type["TYPE"][1] if "TYPE" in by_type else re.sub(r"\.\w+$", "", file)
        self._links.append(_Link((start[0].space, start[1]), (end[0].space, end[1]), relation, role, row.row))


def _field(cell: str) -> _Field:
    found = _FIELD.match(cell.strip())
    if found is None:
        return _Field(cell.strip(), "", "")
    return _Field(found["name"].strip(), (found["type"] or "").strip(), (found["space"] or "").strip())
