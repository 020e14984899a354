"""A graph of edges as it is asked about: from each node, all that one question leads to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from corpora.prompt import Language, language_of
from finetune.self_kg.asking import Asking, Phrases, ending, is_value
from finetune.self_kg.chinese import chinese
from finetune.self_kg.english import english
from finetune.self_kg.records import Edge, distinct, node_key
from index.evidence.words import stem

if TYPE_CHECKING:
    from index.encoder import Encoder

SAME_NAME = 0.9  # cosine over which two forms of a name are taken for one
_MOST_NAMES = 2000  # that are compared


@dataclass(frozen=True, slots=True)
class Target:
    """A node that an edge leads to. `name` is as the answer gives it."""

    name: str
    key: str
    edge: Edge


@dataclass(frozen=True, slots=True)
class Group:
    """Everything that `asking` asks of the node `source`, in the order of the edges."""

    source: str
    key: str
    relation: str
    asking: Asking
    language: Language
    targets: tuple[Target, ...]

    @property
    def complete(self) -> bool:
        """Whether each target is grounded: only then may all be asked for, or the only one."""
        return all(target.edge.quotes for target in self.targets)


class Graph:
    """Groups of `edges`, by their source; edges without quotes count, but give no question.

    `ambiguous` are keys of names that several nodes share. With an `encoder`, forms of one name are
    one node. `closed`: what is not in the graph is not so; in an open one, of facts found in a
    text, nobody is asked for by what he made or where he died, as others may have done the same.
    """

    def __init__(
        self,
        edges: Iterable[Edge],
        ambiguous: frozenset[str] = frozenset(),
        encoder: Encoder | None = None,
        *,
        closed: bool = True,
    ) -> None:
        edges = distinct(with_roles(edges))
        self._same = _same_names(edges, encoder) if encoder is not None else {}
        self.ambiguous = ambiguous
        gathered: dict[tuple[str, Asking], dict[str, Target]] = {}
        heads: dict[tuple[str, Asking], tuple[str, str, Language]] = {}
        for edge in edges:
            for asking, source, target in _steps(edge, closed):
                place = self._key(source), asking
                heads.setdefault(place, (source, edge.relation, _language(edge)))
                key = self._key(target)
                gathered.setdefault(place, {}).setdefault(key, Target(shown(target), key, edge))
        self.groups: list[Group] = []
        self._of: dict[str, list[Group]] = {}
        for (key, asking), found in gathered.items():
            source, relation, language = heads[key, asking]
            group = Group(shown(source), key, relation, asking, language, tuple(found.values()))
            self.groups.append(group)
            self._of.setdefault(key, []).append(group)

    def of(self, key: str) -> Sequence[Group]:
        """The groups that lead away from a node."""
        return self._of.get(key, ())

    def _key(self, name: str) -> str:
        key = node_key(name)
        return self._same.get(key, key)


def shown(name: str) -> str:
    """A node's name as people write it: identifiers lose their underscores."""
    return " ".join(name.replace("_", " ").split()) if "_" in name and " " not in name else name


def phrases_of(edge: Edge) -> Phrases | None:
    """How the relation of an edge is put into words; None where its name cannot be read."""
    verbalise = chinese if _language(edge) == "zh" else english
    return verbalise(edge.relation, ending(edge.object), edge.subject_type, edge.object_type)


def _steps(edge: Edge, closed: bool) -> Iterator[tuple[Asking, str, str]]:
    """The ways to ask for one end of an edge from the other: (asking, source, target)."""
    phrases = phrases_of(edge)
    if phrases is None:
        return
    if phrases.forward is not None:
        yield phrases.forward, edge.subject, edge.object
    if phrases.backward is not None and closed and not is_value(edge.object):
        yield phrases.backward, edge.object, edge.subject


def _language(edge: Edge) -> Language:
    if language_of(edge.relation) == "zh":
        return "zh"
    return language_of(f"{edge.subject} {edge.object}")


def with_roles(edges: Iterable[Edge]) -> list[Edge]:
    """`edges`, and behind them, for each role that a subject has at its object, an edge back.

    "X works at Y" as chairman gives "the chairman of Y is X".
    """
    found = list(edges)
    return found + [
        replace(
            edge,
            subject=edge.object,
            relation=role,
            object=edge.subject,
            subject_type=edge.object_type,
            object_type=edge.subject_type,
            role="",
            quotes=edge.quotes[::-1],
        )
        for edge in found
        for role in filter(None, (part.strip() for part in edge.role.split("/")))
    ]


def _same_names(edges: Sequence[Edge], encoder: Encoder) -> dict[str, str]:
    """Keys of names to the key of the first one that means the same.

    Forms of the same words ("T-cell", "T cells") whose vectors agree. Vectors alone are no guide: of the
    pairs over a cosine of 0.97 in two real graphs (multilingual-e5-small) all 25 were different things.
    """
    names = {node_key(name): name for edge in edges for name in (edge.subject, edge.object)}
    forms: dict[tuple[str, ...], list[str]] = {}
    for key in names:
        if key.isascii() and not any(letter.isdigit() for letter in key):
            forms.setdefault(tuple(stem(word) for word in re.split(r"[\s-]+", key)), []).append(key)
    doubtful = [keys for keys in forms.values() if len(keys) > 1]
    same: dict[str, str] = {}
    for keys in doubtful[:_MOST_NAMES]:
        vectors = encoder.encode_passages([names[key] for key in keys])
        same.update(
            (key, keys[0])
            for key, vector in zip(keys[1:], vectors[1:], strict=True)
            if vector @ vectors[0] >= SAME_NAME
        )
    return same
