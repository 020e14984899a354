"""The lines of a step in micro-batches: what the memory holds, and for every worker its share."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from finetune.tuning.batches import Pack
from finetune.tuning.encode import EncodedRow
from finetune.tuning.sharing import common, tokens_of

_AIM = 1024  # tokens of a forest: larger ones are no faster, and hold more memory


def cut(rows: Sequence[EncodedRow], lines: Sequence[Pack], tokens: int) -> list[list[Pack]]:
    """`lines` in micro-batches of at most `tokens` padded tokens, one line at least."""
    micro: list[list[Pack]] = []
    width = 0
    for line in lines:
        length = line_length(rows, line)
        if micro and (len(micro[-1]) + 1) * max(width, length) <= tokens:
            micro[-1].append(line)
            width = max(width, length)
        else:
            micro.append([line])
            width = length
    return micro


def cut_forests(
    rows: Sequence[EncodedRow], lines: Sequence[Pack], tokens: int, workers: int = 1
) -> list[list[Pack]]:
    """`lines` in forests of at most `tokens` tokens, about as many for each worker; one row at least.

    They have about `_AIM` tokens. A line is divided only where it has more than `tokens` alone.
    """
    whole = _Growth()
    for line in lines:
        whole.add(rows, line)
    aim = min(tokens, _AIM)
    count = workers * -(-whole.tokens // (workers * aim))
    aim = min(tokens, -(-whole.tokens // count))
    micro: list[list[Pack]] = []
    growth = _Growth()
    for line in lines:
        pieces = [line] if tokens_of([rows[place] for place in line]) <= tokens else [(one,) for one in line]
        for piece in pieces:
            cost = growth.cost(rows, piece)
            # Half of a line may stand over, or the last worker would get all that is left.
            if micro and growth.tokens + cost // 2 <= aim and growth.tokens + cost <= tokens:
                micro[-1].append(piece)
            else:
                micro.append([piece])
                growth = _Growth()
            growth.add(rows, piece)
    return micro


class _Growth:
    """Counts the tokens of a forest to which rows are added."""

    def __init__(self) -> None:
        self.tokens = 0
        self._ids: list[tuple[int, ...]] = []

    def add(self, rows: Sequence[EncodedRow], line: Pack) -> None:
        for place in line:
            ids = rows[place].input_ids
            self.tokens += len(ids) - self._shared(ids)
            insort(self._ids, ids)

    def cost(self, rows: Sequence[EncodedRow], line: Pack) -> int:
        """Tokens that `line` would add, at most."""
        first = rows[line[0]].input_ids
        return tokens_of([rows[place] for place in line]) - self._shared(first)

    def _shared(self, ids: tuple[int, ...]) -> int:
        at = bisect_left(self._ids, ids)
        return max((common(one, ids) for one in self._ids[max(at - 1, 0) : at + 1]), default=0)


def line_length(rows: Sequence[EncodedRow], line: Pack) -> int:
    """Tokens of a line before padding."""
    return sum(len(rows[place].input_ids) for place in line)
