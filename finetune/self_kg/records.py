"""What Self-KG works on: edges with the spans that say them, and what of a user's graph could not be used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from finetune.candidates import Claimed

Origin = Literal["rules", "model", "graph"]


@dataclass(frozen=True, slots=True)
class Row:
    """A piece of a user's graph file: `text` from line `line` on (1-based), at `start` of the file's text."""

    file: str
    sha256: str  # of the file's bytes, as a document of it would have
    line: int
    start: int
    text: str


@dataclass(frozen=True, slots=True)
class Edge:
    """One fact: `subject` stands in `relation` to `object`.

    `quotes` are the spans that say it, that with the subject first; an edge without any is not grounded.
    `subject_type` and `object_type` are kinds of things ("Company"), "" where unknown. `role` is what the
    subject is at the object ("chairman"). `rows`, `document` and `span` come with a user's graph: the rows
    that state the edge, the document that it names and the words it quotes.
    """

    subject: str
    relation: str
    object: str
    quotes: tuple[Claimed, ...] = ()
    origin: Origin = "rules"
    subject_type: str = ""
    object_type: str = ""
    role: str = ""
    rows: tuple[Row, ...] = ()
    document: str = ""
    span: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An edge, or a line of a graph file, that is not used, and why."""

    reason: str
    file: str = ""
    line: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GraphRead:
    """A user's graph as read. `ambiguous` are names that several nodes have: no question may start there."""

    edges: tuple[Edge, ...]
    dropped: tuple[Dropped, ...]
    ambiguous: frozenset[str]


@lru_cache(maxsize=1 << 16)
def node_key(name: str) -> str:
    """One spelling for names that differ in case, width, white space or underscores."""
    plain = unicodedata.normalize("NFKC", name).casefold().replace("_", " ")
    return re.sub(r"\s+", " ", plain).strip(" .。,，;；\"'“”‘’《》「」")


def distinct(edges: Iterable[Edge]) -> list[Edge]:
    """`edges` without those that say again what an earlier one says; that earlier one is kept."""
    seen: dict[tuple[str, str, str], Edge] = {}
    for edge in edges:
        seen.setdefault((node_key(edge.subject), node_key(edge.relation), node_key(edge.object)), edge)
    return list(seen.values())
