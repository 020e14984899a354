"""Rows laid out as a forest: what several rows begin with goes through the model once.

Rows that begin alike (the same system message, the same passages) form a tree: the shared tokens, then a
branch for each row, its positions going on behind the shared ones. A token sees the tokens before it on its
own path and nothing else, so that every row gives the loss that it gives alone, and the same gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from finetune.tuning.encode import IGNORED, EncodedRow
from finetune.tuning.sharing import WORTH, common

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK = 192  # queries that attend together

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Queries `start`..`end` of a forest, and the spans of `keys` that they see, in order.

    The last keys are the queries themselves: of these, `hidden` (queries, 1, queries) is -inf where one does
    not see another, and 0 elsewhere. All other keys are seen by all.
    """

    start: int
    end: int
    keys: tuple[Span, ...]
    hidden: Tensor


@dataclass(frozen=True, slots=True)
class Forest:
    """Rows in one line. `ids` and `positions` are (1, tokens).

    For each token that carries loss, `places` is where it is predicted, `targets` what it is, and `owners`
    the row, counted from 0 as the rows were given.
    """

    ids: Tensor
    positions: Tensor
    places: Tensor
    targets: Tensor
    owners: Tensor
    chunks: tuple[Chunk, ...]

    @property
    def tokens(self) -> int:
        """Tokens that go through the model."""
        return self.ids.shape[1]


@dataclass(frozen=True, slots=True)
class _Node:
    """A stretch of tokens that the same rows share, and the spans of those before it on the path."""

    start: int
    end: int
    before: tuple[Span, ...]


def grow(rows: Sequence[EncodedRow], dtype: torch.dtype) -> Forest:
    """The forest of `rows`; masks in `dtype`."""
    order = sorted(range(len(rows)), key=lambda place: rows[place].input_ids)
    planting = _Planting([rows[place].input_ids for place in order])
    planting.plant(0, len(order), 0, ())
    places: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for rank, place in enumerate(order):
        slots = [slot for start, end in planting.paths[rank] for slot in range(start, end)]
        for at, label in enumerate(rows[place].labels):
            if label != IGNORED and at:  # the first token of a row is predicted by nothing
                places.append(slots[at - 1])
                targets.append(label)
                owners.append(place)
    return Forest(
        torch.tensor([planting.ids]),
        torch.tensor([planting.positions]),
        torch.tensor(places),
        torch.tensor(targets),
        torch.tensor(owners),
        tuple(_chunks(planting.nodes, dtype)),
    )


class _Planting:
    """Lays `rows`, which are sorted, out from the root: a node before what hangs on it."""

    def __init__(self, rows: Sequence[tuple[int, ...]]) -> None:
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.nodes: list[_Node] = []
        self.paths: list[tuple[Span, ...]] = [()] * len(rows)
        self._rows = rows
        self._common = [common(one, two) for one, two in pairwise(rows)]

    def plant(self, first: int, last: int, depth: int, before: tuple[Span, ...]) -> None:
        """The rows `first` up to `last`, whose first `depth` tokens are laid out in the spans `before`."""
        shared = len(self._rows[first]) if last - first == 1 else min(self._common[first : last - 1])
        if last - first == 1 or shared - depth >= WORTH:
            before, depth = self._node(first, depth, shared, before), shared
        if last - first == 1:
            self.paths[first] = before
            return
        start = first
        for rank in range(first + 1, last + 1):
            if rank == last or self._common[rank - 1] < depth + WORTH:
                self.plant(start, rank, depth, before)
                start = rank

    def _node(self, row: int, start: int, end: int, before: tuple[Span, ...]) -> tuple[Span, ...]:
        if start == end:
            return before
        at = len(self.ids)
        self.ids += self._rows[row][start:end]
        self.positions += range(start, end)
        self.nodes.append(_Node(at, len(self.ids), before))
        return (*before, (at, len(self.ids)))


def _chunks(nodes: Sequence[_Node], dtype: torch.dtype) -> list[Chunk]:
    """Long nodes in several chunks; short ones that hang on the same node, together in one."""
    chunks: list[Chunk] = []
    together: list[_Node] = []
    for node in nodes:
        length = node.end - node.start
        if together and (node.before != together[0].before or node.end - together[0].start > _CHUNK):
            chunks.append(_chunk(together, together[0].start, together[-1].end, dtype))
            together = []
        if length > _CHUNK:
            parts = -(-length // _CHUNK)
            cuts = [node.start + length * part // parts for part in range(parts + 1)]
            chunks += [_chunk([node], start, end, dtype) for start, end in pairwise(cuts)]
        else:
            together.append(node)
    if together:
        chunks.append(_chunk(together, together[0].start, together[-1].end, dtype))
    return chunks


def _chunk(nodes: Sequence[_Node], start: int, end: int, dtype: torch.dtype) -> Chunk:
    keys = [*nodes[0].before, (nodes[0].start, end)]
    merged = [keys[0]]
    for one in keys[1:]:
        if one[0] == merged[-1][1]:
            merged[-1] = (merged[-1][0], one[1])
        else:
            merged.append(one)
    seen = torch.zeros(end - start, end - start, dtype=torch.bool)
    for node in nodes:
        low, high = max(node.start, start) - start, min(node.end, end) - start
        seen[low:high, low:high] = True
    hidden = torch.zeros(end - start, end - start, dtype=dtype)
    hidden.masked_fill_(~seen.tril_(), float("-inf"))
    return Chunk(start, end, tuple(merged), hidden.unsqueeze(1))
