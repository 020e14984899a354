"""How a tuned model refuses: by the probability of its refusal's first token, not by what it would write.

A small model's greedy choice between answering and refusing is a bad one: the refusal is one sentence, the
answers are many, so it wins with a minority of the probability or loses with most of it. The threshold is
chosen with the adapter, on questions it was not trained on, and stands on its card.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class RefusalRule:
    """Of one reply: `ids` spell the refusal as it was taught, `threshold` is a probability."""

    ids: tuple[int, ...]
    threshold: float

    def refuses(self, logits: torch.Tensor) -> bool:
        """Whether the reply is the refusal, from the logits of its first token, of shape (vocabulary,)."""
        return float(logits.float().softmax(dim=-1)[self.ids[0]]) > self.threshold

    def without_refusal(self, logits: torch.Tensor) -> torch.Tensor:
        """The same logits, the refusal's first token being impossible."""
        banned = logits.clone()
        banned[self.ids[0]] = float("-inf")
        return banned
