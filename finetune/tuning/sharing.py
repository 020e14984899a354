"""Which rows begin alike: the same passages under several questions."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from finetune.tuning.encode import EncodedRow

WORTH: Final = 8  # tokens: what rows share below goes through the model for each of them
_LEAST = 32  # tokens that rows of a family share
_SHARE = 0.5  # and of the shorter row, at least: more than the system message, which all rows share


class Families:
    """Rows in families that begin alike, each in the order in which neighbours share the most."""

    def __init__(self, rows: Sequence[EncodedRow], limit: int) -> None:
        """`limit` bounds the tokens of a line, what is shared counted once."""
        self._rows, self._limit = rows, limit
        order = sorted(range(len(rows)), key=lambda place: rows[place].input_ids)
        self._families: list[list[int]] = [order[:1]] if order else []
        for one, two in pairwise(order):
            first, second = rows[one].input_ids, rows[two].input_ids
            shared = common(first, second)
            if shared >= max(_LEAST, _SHARE * min(len(first), len(second))):
                self._families[-1].append(two)
            else:
                self._families.append([two])

    def lines(self, rng: random.Random, *, most: int) -> list[tuple[int, ...]]:
        """Every row in a line of at most `most` rows of its family, cut where `rng` says."""
        return [line for family in self._families for line in self._cut(family, rng, most)]

    def _cut(self, family: Sequence[int], rng: random.Random, most: int) -> list[tuple[int, ...]]:
        lines: list[tuple[int, ...]] = []
        line: list[int] = []
        room = rng.randint(1, most) if len(family) > most else most  # other neighbours in every epoch
        tokens = 0
        for place in family:
            ids = self._rows[place].input_ids
            more = len(ids) - (common(self._rows[line[-1]].input_ids, ids) if line else 0)
            if line and (len(line) == room or tokens + more > self._limit):
                lines.append(tuple(line))
                line, room, tokens, more = [], most, 0, len(ids)
            line.append(place)
            tokens += more
        return [*lines, tuple(line)]


def common(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    """How many tokens two rows begin with alike."""
    most = min(len(one), len(two))
    if one[:most] == two[:most]:
        return most
    return bisect_left(range(most), True, key=lambda size: one[: size + 1] != two[: size + 1])


def tokens_of(rows: Sequence[EncodedRow]) -> int:
    """About how many tokens the forest of `rows` has (common parts below the least size not counted)."""
    ids = sorted(row.input_ids for row in rows)
    return sum(map(len, ids)) - sum(
        shared for one, two in pairwise(ids) if (shared := common(one, two)) >= WORTH
    )
