"""Many replies at a time from a local model, each as it would be written alone.

Rows that end leave the batch. What a row says does not depend on its neighbours, beyond the rounding of sums
that are computed in another order; the same rows in the same order give the same replies.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assistant.chat_models.refusing import RefusalRule
from assistant.chat_models.sampling import Chooser
from assistant.chat_models.tokens import GrowingText, before_stop
from corpora.records import Usage
from finetune.teacher import Ask, Reply

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from assistant.chat_models.prefill import Batch, Prefiller


class Row:
    """One reply as it grows, of at most `limit` tokens behind `prompt` ids; `rule` says when it refuses."""

    def __init__(
        self,
        ask: Ask,
        prompt: Sequence[int],
        limit: int,
        tokenizer: PreTrainedTokenizerBase,
        rule: RefusalRule | None = None,
    ) -> None:
        self.prompt, self._rule = prompt, rule
        self._stops, self._limit = ask.stop, limit
        self._growing = GrowingText(tokenizer)
        self._text, self._tokens = "", 0
        self._cut = True
        self.chooser = Chooser(ask)

    def push(self, token: int, stop_ids: frozenset[int]) -> bool:
        """Takes the next token. Whether the row goes on."""
        if token in stop_ids:
            self._cut = False
            self._text += self._growing.rest()
            return False
        self._tokens += 1
        self._text += self._growing.push(token)
        certain, stopped = before_stop(self._text, self._stops)
        if stopped:
            self._cut = False
            self._text = self._text[:certain]
            return False
        if self._tokens < self._limit:
            return True
        self._text += self._growing.rest()
        return False

    def opened(self, logits: torch.Tensor) -> torch.Tensor | None:
        """The logits of the first token as they are to be used; None where the whole reply is a refusal."""
        if self._rule is None:
            return logits
        if not self._rule.refuses(logits):
            return self._rule.without_refusal(logits)
        said = self._rule.ids[: self._limit]
        self._tokens, self._cut = len(said), len(said) < len(self._rule.ids)
        self._text = "".join(self._growing.push(token) for token in said) + self._growing.rest()
        return None

    def reply(self) -> Reply:
        """What was written."""
        return Reply(self._text, cut=self._cut, usage=Usage(len(self.prompt), self._tokens))


def write_rows(
    rows: Sequence[Row],
    prefiller: Prefiller,
    model: PreTrainedModel,
    stop_ids: frozenset[int],
    cancelled: threading.Event,
) -> bool:
    """Writes all `rows` to their end in one batch; False where it was cancelled before that."""
    import torch

    batch = prefiller.read([row.prompt for row in rows])
    going, logits = _opened(rows, batch)
    if not going:
        return True
    while not cancelled.is_set():
        tokens = _chosen(going, logits)
        kept = [n for n, row in enumerate(going) if row.push(tokens[n], stop_ids)]
        if not kept:
            return True
        if len(kept) < len(going):
            going = [going[n] for n in kept]
            _select(batch, kept)
        step = torch.tensor([[tokens[n]] for n in kept], device=batch.mask.device)
        logits = _step(model, batch, step)
    return False


def _opened(rows: Sequence[Row], batch: Batch) -> tuple[list[Row], torch.Tensor]:
    """The rows that do not refuse, to which `batch` is cut down, and the logits of their first tokens."""
    import torch

    firsts = [row.opened(batch.logits[n, -1]) for n, row in enumerate(rows)]
    kept = [n for n, logits in enumerate(firsts) if logits is not None]
    if kept and len(kept) < len(rows):
        _select(batch, kept)
    answering = [logits for logits in firsts if logits is not None]
    return [rows[n] for n in kept], torch.stack(answering) if answering else batch.logits[:0, -1]


def _chosen(rows: Sequence[Row], logits: torch.Tensor) -> list[int]:
    largest: list[int] = logits.argmax(dim=-1).tolist()
    return [largest[n] if row.chooser.plain else row.chooser.choose(logits[n]) for n, row in enumerate(rows)]


def _select(batch: Batch, rows: list[int]) -> None:
    import torch

    places = torch.tensor(rows, device=batch.mask.device)
    batch.cache.batch_select_indices(places)
    batch.mask, batch.lengths = batch.mask[places], batch.lengths[places]


def _step(model: PreTrainedModel, batch: Batch, tokens: torch.Tensor) -> torch.Tensor:
    """Logits behind one more token in each row: (rows, vocabulary)."""
    import torch

    with torch.inference_mode():
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(tokens), 1)], dim=1)
        logits = model(
            input_ids=tokens,
            attention_mask=batch.mask,
            position_ids=batch.lengths[:, None],
            past_key_values=batch.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        batch.lengths = batch.lengths + 1
    last: torch.Tensor = logits[:, -1]
    return last
