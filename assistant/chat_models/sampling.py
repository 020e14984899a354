"""How the next token is chosen: greedy, or drawn by a row's own generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpora.errors import UsageError
from finetune.teacher import Ask

if TYPE_CHECKING:
    import torch


class Chooser:
    """The choices of one reply. They depend on its logits and its seed, on no other row of a batch.

    Temperature 0 is greedy; the presence penalty is taken off the logit of every token written before.
    Raises UsageError for a temperature below 0 or top_p outside of (0, 1].
    """

    def __init__(self, ask: Ask) -> None:
        import torch

        if ask.temperature < 0 or not 0 < ask.top_p <= 1:
            raise UsageError("The temperature is 0 or more, top_p over 0 and at most 1.")
        self._ask = ask
        self._written: set[int] = set()
        self._generator = None
        if ask.temperature > 0:
            # On the CPU, so that the same seed draws the same numbers on every device.
            self._generator = torch.Generator().manual_seed(ask.seed)

    @property
    def plain(self) -> bool:
        """Whether the choice is just the largest logit."""
        return self._generator is None and not self._ask.presence_penalty

    def choose(self, logits: torch.Tensor) -> int:
        """The next token, from logits of shape (vocabulary,)."""
        import torch

        if self.plain:
            return int(logits.argmax())
        scores = logits.float()
        if self._ask.presence_penalty and self._written:
            seen = torch.tensor(sorted(self._written), device=scores.device)
            scores = scores.clone()
            scores[seen] -= self._ask.presence_penalty
        token = int(scores.argmax()) if self._generator is None else self._drawn(scores)
        self._written.add(token)
        return token

    def _drawn(self, scores: torch.Tensor) -> int:
        import torch

        shares = torch.softmax(scores / self._ask.temperature, dim=-1)
        tokens = None
        if self._ask.top_p < 1:
            # The nucleus: the fewest most likely tokens whose shares reach top_p (arXiv 1904.09751).
            shares, tokens = shares.sort(descending=True)
            kept = int((shares.cumsum(dim=-1) - shares < self._ask.top_p).sum())
            shares = shares[: max(kept, 1)]
        sums = shares.cumsum(dim=-1)
        point = float(torch.rand(1, generator=self._generator)) * float(sums[-1])
        place = min(int((sums <= point).sum()), len(sums) - 1)
        return place if tokens is None else int(tokens[place])
