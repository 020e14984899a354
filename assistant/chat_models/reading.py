"""The prompts of rows that will be written side by side, read two at a time on a processor.

A pass over one prompt has stretches that keep one core busy; another prompt fills them. Each pass is computed
by as many threads as it would be alone, so its values are the same, bit for bit: one thread for each prompt
is as fast, but oneDNN then adds up some products in another order. Prompts of some 650 tokens took 0.74 to
0.84 of the time (SmolLM2, bfloat16, two cores), of 1,030 tokens 0.83 to 0.89; three and four at a time 0.92
to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeVar

from assistant.chat_models.prefill import stem_kept
from index.threads import computing_threads

if TYPE_CHECKING:
    import torch

    from assistant.chat_models.prefill import Layers, Prefiller

_AT_ONCE = 2
_READ_ALONE = 256  # tokens; shorter prompts leave the processor idle, one at a time
_READ_TOGETHER = 1024  # tokens of short prompts read in one pass, with padding


class Asked(Protocol):
    """What has a prompt of ids, of which the first `stem` begin other prompts too."""

    @property
    def prompt(self) -> Sequence[int]: ...
    @property
    def stem(self) -> int: ...


Row = TypeVar("Row", bound=Asked)


def read_each(
    rows: Sequence[Row], prefiller: Prefiller, stopped: Callable[[], bool]
) -> Iterator[tuple[Row, torch.Tensor, Layers]]:
    """Each of `rows` with the logits of its last token and what the layers keep of its prompt.

    Always in the same order; fewer where it was stopped. `stopped` may be asked in other threads.
    """

    def read(together: Sequence[Row]) -> list[tuple[Row, torch.Tensor, Layers]]:
        return [] if stopped() else _read(together, prefiller)

    passes = list(_passes(rows))
    if not prefiller.on_processor or len(passes) < 2:
        yield from chain.from_iterable(map(read, passes))
        return
    import torch

    with computing_threads(_AT_ONCE, each=torch.get_num_threads()) as pool:
        yield from chain.from_iterable(pool.map(read, passes))


def _passes(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that are read in one pass each; which ones follows from their prompts alone."""
    short: list[Row] = []
    for row in rows:
        if len(row.prompt) - stem_kept(row.prompt, row.stem) >= _READ_ALONE:
            yield [row]
            continue
        if short and (len(short) + 1) * len(row.prompt) > _READ_TOGETHER:
            yield short
            short = []
        short.append(row)
    if short:
        yield short


def _read(rows: Sequence[Row], prefiller: Prefiller) -> list[tuple[Row, torch.Tensor, Layers]]:
    if len(rows) == 1:
        layers, logits = prefiller.read_alone(rows[0].prompt, rows[0].stem)
        return [(rows[0], logits, layers)]
    batch = prefiller.read([row.prompt for row in rows])
    return list(zip(rows, batch.logits[:, -1], prefiller.rows_of(batch), strict=True))
