"""Self-KG as a method: questions from the facts of passages, or from a graph that the library grounds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from corpora.records import Passage
from corpora.store import Library
from finetune.candidates import Candidate
from finetune.self_kg.extract import PROMPT_VERSION, by_model, by_rule
from finetune.self_kg.facts import as_document
from finetune.self_kg.graph import Graph, phrases_of
from finetune.self_kg.locate import locate
from finetune.self_kg.questions import VERSION, questions
from finetune.self_kg.read_graph import read_graph
from finetune.self_kg.records import Dropped, Edge, distinct
from finetune.teacher import Teacher

if TYPE_CHECKING:
    from index.encoder import Encoder

RULES = "rules"


class SelfKG:
    """Writes questions about the facts of each passage; with a `teacher`, about those that it finds too."""

    name = "self-kg"

    def __init__(self, teacher: Teacher | None = None) -> None:
        self._teacher = teacher
        self.version = f"{VERSION}+{PROMPT_VERSION}" if teacher else VERSION

    def write(self, passages: Sequence[Passage]) -> list[list[Candidate]]:
        """The candidates of each passage from its own facts alone, best first."""
        by_rules = [by_rule(passage) for passage in passages]
        by_teacher = by_model(passages, self._teacher) if self._teacher else [[] for _ in passages]
        return [
            self._about(distinct([*ruled, *modelled]))
            for ruled, modelled in zip(by_rules, by_teacher, strict=True)
        ]

    def _about(self, edges: Sequence[Edge]) -> list[Candidate]:
        found = [self._signed(one, edges) for one in questions(Graph(edges, closed=False), RULES)]
        return sorted(found, key=lambda one: -one.order)

    def _signed(self, candidate: Candidate, edges: Sequence[Edge]) -> Candidate:
        """The candidate with the teacher's name, where one of the sentences was read by the teacher."""
        if self._teacher is None or not any(edge.origin == "model" for edge in edges):
            return candidate
        quoted = {(quote.start, quote.text) for quote in candidate.claimed}
        asked = candidate.answer or ""
        read = [
            edge
            for edge in edges
            if edge.origin == "model"
            and any((quote.start, quote.text) in quoted for quote in edge.quotes)
            and (edge.object in asked or edge.subject in asked)
        ]
        if not read:
            return candidate
        return replace(candidate, teacher=f"{self._teacher.name}+rules", prompt_version=self.version)


@dataclass(frozen=True, slots=True)
class GraphQuestions:
    """Questions about a user's graph, in an order whose every beginning is a fair sample of it.

    `edges` were read, `grounded` of them stand in the library; `dropped` says why the others do not, and
    which lines could not be read.
    """

    candidates: tuple[Candidate, ...]
    edges: int
    grounded: int
    dropped: tuple[Dropped, ...]


def graph_questions(
    path: Path,
    library: Library,
    *,
    seed: int = 0,
    encoder: Encoder | None = None,
    progress: Callable[[int], None] | None = None,
) -> GraphQuestions:
    """Read the graph at `path`, ground its edges in `library`, and ask about those that are.

    They are grounded by the sentences of `facts_document`, where the library holds it; else by the rows of
    the graph's own files, where it holds those, or by sentences of other documents. Errors as of
    `read_graph`. Same graph, same library, same seed: same candidates in the same order.
    """
    graph = read_graph(path)
    unreadable = [edge for edge in graph.edges if phrases_of(edge) is None]
    text, stated = as_document(graph.edges)
    digest = hashlib.sha256(text.encode()).hexdigest()
    is_ingested = any(document.sha256 == digest for document in library.documents())
    located = locate(stated if is_ingested else graph.edges, library, progress)
    candidates = spread(questions(Graph(located.edges, graph.ambiguous, encoder), RULES), seed)
    dropped = [
        Dropped("relation_not_readable", edge.rows[0].file, edge.rows[0].line, edge.relation[:60])
        for edge in unreadable
    ]
    return GraphQuestions(
        tuple(candidates), len(located.edges), located.grounded, (*graph.dropped, *located.dropped, *dropped)
    )


def facts_document(path: Path) -> str:
    """The graph at `path` as a Markdown text of sentences; errors as of `read_graph`.

    With this text in the library, as a file of UTF-8, all edges are grounded in sentences that can be found.
    """
    return as_document(read_graph(path).edges)[0]


def spread(candidates: Iterable[Candidate], seed: int) -> list[Candidate]:
    """The candidates shuffled, the kinds in turn."""
    by_kind: dict[str, list[tuple[bytes, Candidate]]] = {}
    for one in candidates:
        key = hashlib.blake2b(f"{seed}:{one.question}".encode(), digest_size=8).digest()
        by_kind.setdefault(one.kind, []).append((key, one))
    placed = [
        (turn, kind, one)
        for kind, some in by_kind.items()
        for turn, (_, one) in enumerate(sorted(some, key=lambda pair: pair[0]))
    ]
    return [one for _, _, one in sorted(placed, key=lambda place: place[:2])]
