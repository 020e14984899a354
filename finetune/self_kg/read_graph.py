"""A user's graph from CSV, TSV, text or JSON files into edges.

Read are: triples, with a header (subject,relation,object and its many spellings) or without; the import
files of Neo4j (https://neo4j.com/docs/operations-manual/current/import/), nodes and relationships; JSON and
JSON lines of triples, or of entity records such as HuaTuo's {"中心词": ..., "症状": [...]} (arXiv
2304.06975).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpora.errors import NothingToDo
from finetune.self_kg.graph_file import CsvRow, GraphFile, csv_rows, graph_paths, load
from finetune.self_kg.graph_json import json_items
from finetune.self_kg.neo4j import Import, is_import_header
from finetune.self_kg.records import Dropped, Edge, GraphRead, Row, distinct, node_key

MOST_EDGES = 500_000
LONGEST_NAME = 200  # characters of a subject or relation
LONGEST_VALUE = 500  # characters of an object

_COLUMNS: dict[str, frozenset[str]] = {
    "subject": frozenset(
        "subject subj head h s source src from start 主体 主语 头实体 实体1 起点 实体".split()
    ),
    "relation": frozenset(
        "relation rel predicate pred p r relationship relation_type edge property 关系 谓词 谓语 属性".split()
    ),
    "object": frozenset(
        "object obj tail t o target dst to end value 客体 宾语 尾实体 实体2 终点 值 属性值".split()
    ),
    "document": frozenset("document doc path file source_document document_path 文档 文件 来源".split()),
    "span": frozenset("span quote evidence sentence text source_span 原文 证据 句子 引文".split()),
    "subject_type": frozenset("subject_type head_type source_type 头实体类型 主体类型".split()),
    "object_type": frozenset("object_type tail_type target_type 尾实体类型 客体类型".split()),
}
_NAMES = ("中心词", "实体", "名称", "名字", "姓名", "疾病", "name", "entity", "title", "label")
_NO_VALUES = frozenset("-1 nan null none n/a na unknown - -- ? 无 未知 不详 暂无".split())
_REQUIRED = ("subject", "relation", "object")


@dataclass
class _Reading:
    """What has been gathered so far."""

    edges: list[Edge] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def add(self, edge: Edge) -> None:
        problem = _problem(edge)
        if problem is None and len(self.edges) >= MOST_EDGES:
            problem = "too_many_edges"
        if problem is None:
            self.edges.append(edge)
        else:
            row = edge.rows[0]
            self.dropped.append(Dropped(problem, row.file, row.line, edge.subject[:60]))


def read_graph(path: Path) -> GraphRead:
    """The edges of a file, or of the files of a folder, with what could not be read.

    Raises NothingToDo where there is no file or no edge in any, UsageError for a file that is too large,
    StorageError where it cannot be read.
    """
    reading = _Reading()
    imported = Import()
    for one in graph_paths(path):
        file = load(one)
        reading.dropped += file.dropped
        if file.suffix in ("json", "jsonl", "ndjson"):
            _read_json(file, reading)
        else:
            _read_csv(file, reading, imported)
    for edge in imported.edges(reading.dropped):
        reading.add(edge)
    edges = distinct(reading.edges)
    repeated = len(reading.edges) - len(edges)
    if repeated:
        reading.dropped.append(Dropped("repeated", detail=f"{repeated:,} edges are said more than once"))
    if not edges:
        worst = reading.dropped[0] if reading.dropped else None
        why = f" ({worst.file} line {worst.line}: {worst.reason})" if worst and worst.file else ""
        raise NothingToDo(
            f"{path} holds no edge that can be read{why}.",
            hint="give it the columns subject,relation,object",
            code="no_input",
        )
    return GraphRead(tuple(edges), tuple(reading.dropped), imported.ambiguous())


def _problem(edge: Edge) -> str | None:
    if not edge.subject or not edge.relation or not edge.object:
        return "empty_cell"
    if max(len(edge.subject), len(edge.relation)) > LONGEST_NAME or len(edge.object) > LONGEST_VALUE:
        return "cell_too_long"
    if not any(letter.isalnum() for letter in edge.subject):
        return "no_name"
    if edge.object.casefold() in _NO_VALUES:
        return "no_value"
    return "self_loop" if node_key(edge.subject) == node_key(edge.object) else None


# -- CSV ---------------------------------------------------------------------------------------------


def _read_csv(file: GraphFile, reading: _Reading, imported: Import) -> None:
    rows = list(csv_rows(file, reading.dropped))
    if not rows:
        return
    if is_import_header(rows[0].cells):
        imported.add(file.name, rows, reading.dropped)
        return
    columns = _columns(rows[0].cells)
    body = rows[1:] if columns else rows
    columns = columns or _plain_columns(rows)
    if columns is None:
        reading.dropped.append(
            Dropped("no_graph", file.name, rows[0].row.line, "no subject, relation, object")
        )
        return
    width = max(columns[name] for name in _REQUIRED) + 1
    for row in body:
        if len(row.cells) < width:
            reading.dropped.append(Dropped("too_few_cells", file.name, row.row.line))
        else:
            reading.add(
                _triple({name: row.cells[at] for name, at in columns.items() if at < len(row.cells)}, row.row)
            )


def _columns(header: Sequence[str]) -> dict[str, int] | None:
    """Where a header says that the parts of an edge stand; None where it is no header."""
    names = [cell.strip().lower().replace(" ", "_") for cell in header]
    found: dict[str, int] = {}
    for part, spellings in _COLUMNS.items():
        at = next(
            (at for at, name in enumerate(names) if name in spellings and at not in found.values()), None
        )
        if at is not None:
            found[part] = at
    if "relation" not in found and {"subject", "object"} <= found.keys():
        at = next((at for at, name in enumerate(names) if name in ("type", "label", "name", "类型")), None)
        if at is not None:
            found["relation"] = at
    return found if all(part in found for part in _REQUIRED) else None


def _plain_columns(rows: Sequence[CsvRow]) -> dict[str, int] | None:
    """The order of plain triples: subject, relation, object, or with the relation last.

    The relation is the column with by far the fewest different cells.
    """
    sample = [row.cells for row in rows[:2000] if len(row.cells) == 3]
    if not sample or len(sample) * 2 < min(len(rows), 2000):
        return None
    second, third = (len({cells[at] for cells in sample}) for at in (1, 2))
    if third * 5 <= second:
        return {"subject": 0, "object": 1, "relation": 2}
    return {"subject": 0, "relation": 1, "object": 2}


def _triple(cells: dict[str, str], row: Row) -> Edge:
    return Edge(
        cells["subject"],
        cells["relation"],
        cells["object"],
        origin="graph",
        subject_type=cells.get("subject_type", ""),
        object_type=cells.get("object_type", ""),
        rows=(row,),
        document=cells.get("document", ""),
        span=cells.get("span", ""),
    )


# -- JSON --------------------------------------------------------------------------------------------


def _read_json(file: GraphFile, reading: _Reading) -> None:
    for value, row in json_items(file, reading.dropped):
        if isinstance(value, list) and len(value) == 3 and all(isinstance(part, str) for part in value):
            reading.add(_triple(dict(zip(_REQUIRED, map(str.strip, value), strict=True)), row))
        elif isinstance(value, dict):
            _read_object(value, row, reading)
        else:
            reading.dropped.append(Dropped("no_graph", row.file, row.line, "neither a triple nor a record"))


def _read_object(value: dict[str, object], row: Row, reading: _Reading) -> None:
    columns = _columns(list(value))
    if columns:
        names = list(value)
        cells = {part: _scalar(value[names[at]]) for part, at in columns.items()}
        if all(cells[part] is not None for part in _REQUIRED):
            reading.add(_triple({part: cell for part, cell in cells.items() if cell is not None}, row))
        else:
            reading.dropped.append(Dropped("nested_value", row.file, row.line))
        return
    key = next((name for name in _NAMES if isinstance(value.get(name), str)), None)
    subject = str(value[key]).strip() if key else ""
    if not subject:
        reading.dropped.append(Dropped("no_graph", row.file, row.line, "no name"))
        return
    for name, content in value.items():
        if name == key:
            continue
        for item in content if isinstance(content, list) else [content]:
            text = _scalar(item)
            if text:
                reading.add(Edge(subject, name.strip(), text, origin="graph", rows=(row,)))
            elif text is None and item is not None:
                reading.dropped.append(Dropped("nested_value", row.file, row.line, name[:60]))


def _scalar(value: object) -> str | None:
    """A cell's text; None for null and for what is nested."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.strip() if isinstance(value, str) else None


def tally(dropped: Sequence[Dropped]) -> dict[str, int]:
    """How often each reason came, the commonest first."""
    return dict(Counter(one.reason for one in dropped).most_common())
