"""How likely a model finds the gold answer, behind the very prompt of the passages that were found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from corpora.errors import UsageError
from corpora.prompt import MessageCounter, render, render_closed_book
from corpora.records import Message, Passage
from finetune.reader import ReplyLikelihood


@dataclass(frozen=True, slots=True)
class GoldLikelihood:
    """Asks a local model; `limit` is the number of tokens that a prompt may have.

    `examples` says whether answered questions stand in it, as in `corpora.prompt.render`.
    """

    model: ReplyLikelihood
    count_tokens: MessageCounter
    limit: int
    retrieval: bool = True
    examples: bool = True

    def of(self, question: str, passages: Sequence[Passage], gold: str) -> float | None:
        """Mean natural log of the probability of a token of `gold`; None where the prompt has no room.

        The passages are those that were found, best first, as many as fit; without retrieval the question
        is asked alone.
        """
        try:
            messages = self._messages(question, passages)
        except UsageError:
            return None
        (value,) = self.model.reply_log_likelihoods([(messages, gold.strip())])
        return value if math.isfinite(value) else None

    def _messages(self, question: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
        if self.retrieval:
            return render(
                question,
                passages,
                count_tokens=self.count_tokens,
                limit=self.limit,
                examples=self.examples,
            ).messages
        return render_closed_book(question, count_tokens=self.count_tokens, limit=self.limit).messages
