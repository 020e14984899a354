"""Which rows go through the model together: sorted by length or packed, in an order that a seed decides.

The order is a pure function of lengths, batch and seed, so that a run goes on exactly at any step. A step is
chosen before it is cut into micro-batches: halving these changes neither its rows nor its gradient, as long
as the loss is the sum over the step's trained tokens divided by their number (`Step.trained`).
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.tuning.encode import IGNORED, EncodedRow
from finetune.tuning.sharing import Families

if TYPE_CHECKING:
    import torch

_BUCKET_STEPS = 16  # steps whose rows are sorted by length together
_BLOCK_ROWS = 4096  # rows that are packed together
_LINES_A_STEP = 4  # at least, of rows that begin alike: a step should not be about one thing

Pack = tuple[int, ...]  # places of the rows in one line of a batch; one row where none are put together


@dataclass(frozen=True, slots=True)
class Step:
    """The rows of one optimiser step. `number` counts from 0 over all epochs; `trained` tokens carry loss.

    `micro` are its micro-batches, the longest lines first.
    """

    number: int
    epoch: int
    micro: tuple[tuple[Pack, ...], ...]
    trained: int


class BatchPlan:
    """The steps of a run over `rows`, of `batch` lines each (the last of an epoch may have fewer).

    `micro` lines go through the model at once. With `pack_to`, a line holds rows up to so many tokens.
    Raises ValueError for a row that is longer. With `share_to`, a line holds rows that begin alike, of up to
    so many tokens when what they share counts once; a step then has about `batch` rows, in lines.
    """

    def __init__(
        self,
        rows: Sequence[EncodedRow],
        *,
        batch: int,
        micro: int,
        seed: int,
        pack_to: int | None = None,
        share_to: int | None = None,
    ) -> None:
        if batch < 1 or not 1 <= micro <= batch:
            raise ValueError("a batch has at least one line, and a micro-batch no more than a batch")
        lengths = [len(row.input_ids) for row in rows]
        self._trained = [row.trained for row in rows]
        self._batch, self._micro, self._seed = batch, micro, seed
        self._packs: list[Pack] = [(place,) for place in range(len(rows))]
        if pack_to is not None:
            self._packs = pack(lengths, pack_to, seed)
        self._lengths = [sum(lengths[place] for place in line) for line in self._packs]
        self._families = None if share_to is None else Families(rows, share_to)
        self._epoch: tuple[int, list[list[Pack]]] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one epoch."""
        return -(-len(self._packs) // self._batch)

    @property
    def accumulation(self) -> int:
        """Micro-batches of a full step."""
        return -(-self._batch // self._micro)

    @property
    def lines(self) -> int:
        """Lines of an epoch: rows, or packs of them."""
        return len(self._packs)

    def step(self, number: int) -> Step:
        """The step `number`, whatever was asked for before."""
        epoch, place = divmod(number, self.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch) if self._families is None else self._shared(epoch))
        lines = self._epoch[1][place]
        micro = tuple(tuple(lines[n : n + self._micro]) for n in range(0, len(lines), self._micro))
        return Step(number, epoch, micro, sum(self._trained[row] for line in lines for row in line))

    def steps(self, start: int, stop: int) -> Iterator[Step]:
        """Steps from `start` up to `stop`, which is left out."""
        return (self.step(number) for number in range(start, stop))

    def _shared(self, epoch: int) -> list[list[Pack]]:
        """The lines of each step of an epoch, as many rows in each as whole lines allow, in no order."""
        assert self._families is not None  # noqa: S101 - for the type checker
        rng = random.Random(f"{self._seed}:{epoch}:share")  # noqa: S311 - a draw, no secret
        rows, steps = len(self._packs), self.steps_per_epoch
        lines = self._families.lines(rng, most=max(min(self._batch // _LINES_A_STEP, rows // steps), 1))
        rng.shuffle(lines)
        found: list[list[Pack]] = [[] for _ in range(steps)]
        before = 0
        for line in lines:  # to the step in which its middle falls: none has more rows than a step
            found[(2 * before + len(line)) * steps // (2 * rows)].append(line)
            before += len(line)
        return found

    def _order(self, epoch: int) -> list[list[Pack]]:
        """The lines of each step of an epoch: alike in length within a step, lengths in no order.

        Rows that make no full step are drawn before sorting, or they would always be the shortest.
        """
        rng = random.Random(f"{self._seed}:{epoch}:order")  # noqa: S311 - a draw, no secret
        order = list(range(len(self._packs)))
        rng.shuffle(order)
        full = len(order) - len(order) % self._batch
        steps: list[list[int]] = []
        for start in range(0, full, _BUCKET_STEPS * self._batch):
            bucket = self._by_length(order[start : min(start + _BUCKET_STEPS * self._batch, full)])
            steps += [bucket[n : n + self._batch] for n in range(0, len(bucket), self._batch)]
        rng.shuffle(steps)
        if full < len(order):
            steps.append(self._by_length(order[full:]))
        return [[self._packs[line] for line in lines] for lines in steps]

    def _by_length(self, lines: Sequence[int]) -> list[int]:
        return sorted(lines, key=lambda line: -self._lengths[line])


def pack(lengths: Sequence[int], capacity: int, seed: int) -> list[Pack]:
    """Rows put together into lines of at most `capacity` tokens: longest first, each where it leaves least.

    Raises ValueError for a row that is longer.
    """
    if max(lengths, default=0) > capacity:
        raise ValueError(f"a row of {max(lengths)} tokens does not fit {capacity}")
    order = list(range(len(lengths)))
    random.Random(f"{seed}:pack").shuffle(order)  # noqa: S311 - a draw, no secret
    packs: list[Pack] = []
    for start in range(0, len(order), _BLOCK_ROWS):
        packs += _best_fit(order[start : start + _BLOCK_ROWS], lengths, capacity)
    return packs


def _best_fit(places: Sequence[int], lengths: Sequence[int], capacity: int) -> list[Pack]:
    lines: list[list[int]] = []
    by_room: dict[int, list[int]] = defaultdict(list)  # room -> lines that have it
    rooms: list[int] = []  # keys of `by_room` in order
    for place in sorted(places, key=lambda one: -lengths[one]):
        found = bisect_left(rooms, lengths[place])
        if found < len(rooms):
            room = rooms[found]
            line = by_room[room].pop()
            if not by_room[room]:
                del by_room[room], rooms[found]
            lines[line].append(place)
        else:
            room, line = capacity, len(lines)
            lines.append([place])
        left = room - lengths[place]
        if left not in by_room:
            insort(rooms, left)
        by_room[left].append(line)
    return [tuple(line) for line in lines]


def collate(
    rows: Sequence[EncodedRow], lines: Sequence[Pack], *, pad_id: int, multiple: int = 1
) -> dict[str, Any]:
    """Tensors of a micro-batch, (lines, longest line rounded up to `multiple`), padded on the right.

    There is no attention mask: padding stands behind what a causal model looks at, and without a mask sdpa
    takes its fast path. Lines of several rows come with `position_ids` that begin anew for each row, from
    which transformers makes attention block by block (eager and sdpa; it does so only without a mask and
    without a cache, hence `use_cache`). peft drops `position_ids` under prompt, prefix and P-tuning: these
    must not be packed.
    """
    import torch

    width = max(sum(len(rows[place].input_ids) for place in line) for line in lines)
    width = -(-width // multiple) * multiple
    batch = {
        "input_ids": torch.full((len(lines), width), pad_id),
        "labels": torch.full((len(lines), width), IGNORED),
    }
    packed = any(len(line) > 1 for line in lines)
    if packed:
        batch["position_ids"] = torch.arange(width).repeat(len(lines), 1)
    for number, line in enumerate(lines):
        _fill(batch, number, [rows[place] for place in line])
    return {**batch, "use_cache": False} if packed else batch


def _fill(batch: dict[str, torch.Tensor], number: int, rows: Sequence[EncodedRow]) -> None:
    import torch

    start = 0
    width = batch["input_ids"].shape[1]
    for row in rows:
        end = start + len(row.input_ids)
        batch["input_ids"][number, start:end] = torch.tensor(row.input_ids)
        # The first token of a row is predicted by nothing: never by the end of the row before it.
        batch["labels"][number, start + 1 : end] = torch.tensor(row.labels[1:])
        if "position_ids" in batch:
            batch["position_ids"][number, start:end] = torch.arange(end - start)
        start = end
    if "position_ids" in batch:
        batch["position_ids"][number, start:] = torch.arange(width - start)
