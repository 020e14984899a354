"""Questions about a graph by template: one edge, all edges of a relation, two edges through a hidden node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from corpora.examples import Kind
from corpora.prompt import Language
from finetune.candidates import Candidate, Claimed
from finetune.self_kg.asking import is_value
from finetune.self_kg.chinese import smooth
from finetune.self_kg.graph import Graph, Group, Target
from finetune.self_kg.records import Edge, node_key

VERSION = "self-kg-1"
MOST_TARGETS = 8  # of an aggregated question
MOST_PASSAGES = 4  # that the quotes of one question may come from
_HOPS_OF_A_NODE = 4
_OTHER_ROLE = re.compile(
    r"(?:副|前|代|原|名誉|助理|候任|(?:^|[\s_])(?:vice|deputy|former|acting|honorary))[\s_]*$"
)
_ORDER: dict[Kind, float] = {"two-hop": 0.9, "aggregate": 0.8, "atomic": 0.7}


def questions(graph: Graph, teacher: str) -> list[Candidate]:
    """All questions of the graph: atomic, aggregated and two-hop, in the order of its edges."""
    found: dict[str, Candidate] = {}
    for made in (atomic, aggregated, two_hop, positions):
        for candidate in made(graph, teacher):
            found.setdefault(candidate.question.casefold(), candidate)
    return list(found.values())


def atomic(graph: Graph, teacher: str) -> Iterator[Candidate]:
    """One edge: the question has this one answer in the whole graph."""
    for group in graph.groups:
        if len(group.targets) == 1 and _usable(graph, group):
            target = group.targets[0]
            question = group.asking.one.format(group.source)
            if not _says(question, target):
                yield _candidate("atomic", group.language, question, target.name, [target.edge], teacher)


def aggregated(graph: Graph, teacher: str) -> Iterator[Candidate]:
    """All targets of one relation of a node; only where each of them is in the quotes."""
    for group in graph.groups:
        if 2 <= len(group.targets) <= MOST_TARGETS and group.asking.many and _usable(graph, group):
            question = group.asking.many.format(group.source)
            edges = [target.edge for target in group.targets]
            if _passages(edges) <= MOST_PASSAGES and not any(_says(question, one) for one in group.targets):
                answer = listing([target.name for target in group.targets], group.language)
                yield _candidate("aggregate", group.language, question, answer, edges, teacher)


def two_hop(graph: Graph, teacher: str) -> Iterator[Candidate]:
    """a → b → c, with b the only target of the first hop and c of the second; b is not named."""
    for first in graph.groups:
        if len(first.targets) != 1 or not first.asking.noun or not _usable(graph, first):
            continue
        middle = first.targets[0]
        if middle.key in graph.ambiguous or is_value(middle.name):
            continue
        asked = first.asking.noun.format(first.source)
        made = 0
        for second in graph.of(middle.key):
            target = second.targets[0]
            question = second.asking.one.format(asked)
            if (
                len(second.targets) == 1
                and second.complete
                and second.language == first.language
                and target.key not in (first.key, middle.key)
                and not _says(question, middle)
                and not _says(question, target)
                and _passages([middle.edge, target.edge]) <= MOST_PASSAGES
            ):
                edges = [middle.edge, target.edge]
                yield _candidate("two-hop", first.language, question, target.name, edges, teacher)
                made += 1
            if made == _HOPS_OF_A_NODE:
                break


def positions(graph: Graph, teacher: str) -> Iterator[Candidate]:
    """What somebody is at an organisation, where an edge tells it; one question for each such pair."""
    for group in graph.groups:
        for target in group.targets:
            edge = target.edge
            forward = group.key == node_key(edge.subject)
            if not edge.role or not forward or not edge.quotes or group.key in graph.ambiguous:
                continue
            asked = (
                f"{edge.subject}在{edge.object}担任什么职务？"
                if group.language == "zh"
                else f"What position does {edge.subject} hold at {edge.object}?"
            )
            yield _candidate("atomic", group.language, asked, edge.role, [edge], teacher)


def listing(names: Sequence[str], language: Language) -> str:
    """The names as one answer: "A, B and C", "A、B和C"."""
    if len(names) == 1:
        return names[0]
    comma, last = ("、", "和") if language == "zh" else (", ", " and ")
    return comma.join(names[:-1]) + last + names[-1]


def _usable(graph: Graph, group: Group) -> bool:
    if not group.complete or group.key in graph.ambiguous or is_value(group.source):
        return False
    return not any(_narrower(other.relation, group.relation) for other in graph.of(group.key))


def _narrower(relation: str, than: str) -> bool:
    """Whether one role is a case of another ("独立董事" of "董事"), so that the latter's list lacks some."""
    before, found, after = relation.partition(than)
    return bool(before and found) and not after and not _OTHER_ROLE.search(before)


def _says(question: str, target: Target) -> bool:
    """Whether the question names what it asks for."""
    return node_key(target.name) in node_key(question)


def _passages(edges: Sequence[Edge]) -> int:
    return len({quote.passage.id for edge in edges for quote in edge.quotes})


def _candidate(
    kind: Kind, language: Language, question: str, answer: str, edges: Sequence[Edge], teacher: str
) -> Candidate:
    quotes: dict[tuple[str, str, int | None], Claimed] = {}
    for edge in edges:
        for quote in edge.quotes:
            quotes.setdefault((quote.passage.id, quote.text, quote.start), quote)
    return Candidate(
        method="self-kg",
        kind=kind,
        language=language,
        question=smooth(question[0].upper() + question[1:]),
        answer=answer,
        claimed=tuple(quotes.values()),
        teacher=teacher,
        prompt_version=VERSION,
        order=_ORDER[kind],
    )
