"""Forward and backward passes over the micro-batches of a step, several at a time on a processor.

Two threads that each compute a micro-batch of their own finish sooner than two that share every operation
and wait for each other at its end. Sums are taken in the order of the micro-batches, whoever is done first,
so that a run gives the same bits again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from finetune.tuning.batches import Pack
from finetune.tuning.encode import EncodedRow
from finetune.tuning.forward import Loss
from index.threads import computing_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.nn import Parameter

T = TypeVar("T")


class Passes:
    """Passes of `loss` over `rows`; `parameters` are what is trained."""

    def __init__(self, loss: Loss, rows: Sequence[EncodedRow], parameters: Sequence[Parameter]) -> None:
        self._loss, self._rows, self._parameters = loss, rows, parameters

    def train(
        self, micro: Sequence[Sequence[Pack]], divisor: float, before_each: Callable[[], None] = lambda: None
    ) -> Tensor:
        """Leave the gradients of the loss over `divisor` in the parameters; returns that loss, float32.

        `before_each` is called before each micro-batch, and may raise.
        """
        if not self._loss.forests:
            total = torch.zeros((), device=self._parameters[0].device)
            for lines in micro:
                before_each()
                loss = self._loss.of(self._rows, lines) / divisor
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            return total
        total, sums = torch.zeros(()), [torch.zeros(one.shape) for one in self._parameters]

        def one(lines: Sequence[Pack]) -> tuple[Tensor, Sequence[Tensor | None]]:
            before_each()
            loss = self._loss.of(self._rows, lines) / divisor
            return loss.detach(), torch.autograd.grad(loss, self._parameters, allow_unused=True)

        with self._each(one, micro) as found:
            for loss, gradients in found:
                total += loss
                for place, gradient in enumerate(gradients):
                    if gradient is not None:
                        sums[place] += gradient
        for parameter, gradient in zip(self._parameters, sums, strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        return total

    def evaluate(self, micro: Sequence[Sequence[Pack]]) -> float:
        """The sum of the loss over `micro`, without gradients."""

        def one(lines: Sequence[Pack]) -> float:
            with torch.no_grad():
                return self._loss.of(self._rows, lines).item()

        with self._each(one, micro) as found:
            return sum(found)

    @contextmanager
    def _each(
        self, call: Callable[[Sequence[Pack]], T], micro: Sequence[Sequence[Pack]]
    ) -> Iterator[Iterator[T]]:
        """Results of `call` in the order of `micro`; after an error none is begun, and all have ended."""
        workers = min(self._loss.workers, len(micro))
        if workers < 2:
            yield map(call, micro)
            return
        with computing_threads(workers, each=1) as pool:
            yield pool.map(call, micro)
