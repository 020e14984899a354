"""A graph as a document to read: a sentence for each edge, by subject, so that it can be found and quoted.

Rows that join things by identifiers ("600051,dc6473,industry_of") say nothing to a retriever or a reader.
Once the document is in the library, its sentences ground the graph's edges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from finetune.self_kg.asking import Phrases
from finetune.self_kg.chinese import smooth
from finetune.self_kg.graph import phrases_of, shown, with_roles
from finetune.self_kg.records import Edge, Row, distinct, node_key


def as_document(edges: Sequence[Edge]) -> tuple[str, list[Edge]]:
    """The text (Markdown, a heading for each subject) and the edges with their sentences for rows.

    Edges whose relation cannot be put into words are left out. The rows carry the sha256 of the text as
    UTF-8: a document of the library with these bytes grounds them.
    """
    by_subject: dict[str, list[tuple[Edge, str]]] = {}
    for edge in distinct(with_roles(edges)):
        phrases = phrases_of(edge)
        if phrases is not None:
            by_subject.setdefault(node_key(edge.subject), []).append((edge, _sentence(edge, phrases)))
    pieces: list[str] = []
    placed: list[tuple[Edge, int, int, str]] = []
    at, line = 0, 1
    for group in by_subject.values():
        heading = f"# {_plain(group[0][0].subject)}\n\n"
        at, line = at + len(heading), line + 2
        pieces.append(heading)
        for edge, sentence in group:
            placed.append((edge, at, line, sentence))
            pieces.append(sentence + "\n")
            at, line = at + len(sentence) + 1, line + 1
        pieces.append("\n")
        at, line = at + 1, line + 1
    text = "".join(pieces)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text, [
        replace(edge, rows=(Row("", digest, line, start, sentence),))
        for edge, start, line, sentence in placed
    ]


def _sentence(edge: Edge, phrases: Phrases) -> str:
    said = phrases.says.format(s=_plain(edge.subject), o=_plain(edge.object))
    if edge.role and said.endswith("。"):
        said = f"{said[:-1]}，职务是{edge.role}。"
    elif edge.role:
        said = f"{said[:-1]} as {edge.role}."
    said = smooth(said)
    return said[0].upper() + said[1:]


def _plain(name: str) -> str:
    return " ".join(shown(name).split())
