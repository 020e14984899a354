"""Rows behind their prompts, written side by side: a step gives each one more token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache, PreTrainedModel

    from assistant.chat_models.prefill import Layers, Prefiller


def begun(
    prefiller: Prefiller, model: PreTrainedModel, prompt: Sequence[int], stem: int
) -> tuple[torch.Tensor, Decoder]:
    """A prompt alone, read as in a batch: the logits of its last token, and what writes behind it."""
    if prefiller.keeps_places:
        layers, logits = prefiller.read_alone(prompt, stem)
        return logits, SlotDecoder(model, [layers])
    batch = prefiller.read([prompt])
    return batch.logits[0, -1], PaddedDecoder(model, batch.cache, batch.mask, batch.lengths)


class Decoder(Protocol):
    """Rows that are being written."""

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Logits behind one more token in each row: (rows, vocabulary)."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the rows at these places."""


class SlotDecoder:
    """Of models that attend to everything by rotary positions: a row has a place for each of its keys.

    A row is computed as it is alone. Rows that have left stay in the batch, unseen, until half of it is gone,
    since leaving them out copies the others.
    """

    def __init__(self, model: PreTrainedModel, rows: Sequence[Layers]) -> None:
        from assistant.chat_models.slots import Slots

        self._model = model
        self._slots = Slots(rows)
        self._going = list(range(len(rows)))

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """As `Decoder`."""
        import torch

        slots, device = self._slots, self._model.device
        going = torch.tensor(self._going, device=device)
        with torch.inference_mode():
            ids = torch.zeros(len(slots), 1, dtype=torch.long, device=device)
            ids[going, 0] = torch.tensor(tokens, device=device)
            logits: torch.Tensor = self._model(
                input_ids=ids,
                attention_mask=slots.begin(self._model.dtype),
                position_ids=slots.lengths[:, None].clone(),
                past_key_values=slots,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            slots.end(going)
            return logits[going]

    def keep(self, rows: Sequence[int]) -> None:
        """As `Decoder`."""
        import torch

        self._going = [self._going[row] for row in rows]
        if 2 * len(self._going) <= len(self._slots):
            with torch.inference_mode():
                self._slots.select(torch.tensor(self._going, device=self._model.device))
            self._going = list(range(len(rows)))


class PaddedDecoder:
    """Of any model: the rows end at the same place, padding stands before them."""

    def __init__(
        self, model: PreTrainedModel, cache: DynamicCache, mask: torch.Tensor, lengths: torch.Tensor
    ) -> None:
        self._model, self._cache, self._mask, self._lengths = model, cache, mask, lengths

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """As `Decoder`."""
        import torch

        with torch.inference_mode():
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
            logits: torch.Tensor = self._model(
                input_ids=torch.tensor(tokens, device=self._mask.device)[:, None],
                attention_mask=self._mask,
                position_ids=self._lengths[:, None],
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            self._lengths = self._lengths + 1
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """As `Decoder`."""
        import torch

        places = torch.tensor(rows, device=self._mask.device)
        self._cache.batch_select_indices(places)
        self._mask, self._lengths = self._mask[places], self._lengths[places]
