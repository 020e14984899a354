"""Reading prompts: one by one, or of different lengths as one batch; what they begin with is computed once.

A row of a batch is: shared prefix, padding, its own rest. Padding is masked and takes no position, so that a
row has the same positions, and up to rounding the same values, as it has alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from corpora.records import Message

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache, PreTrainedModel

_SHORTEST_PREFIX = 32  # tokens; below, a forward pass of its own costs more than it saves
_PREFIX_STEP = 16  # prefixes are cut to this, so that a chance word in common makes no new one
_KEPT_PREFIXES = 4
# Reading a rest behind a prefix needs a mask, and attention takes twice the time under one: 7 % of a prompt
# of 700 tokens kept cost 16 % more than reading all of it, half of it kept saved 23 % (SmolLM2, one core).
_WORTH_KEEPING = 3  # the prompt is at most so many times as long as its prefix

Layers = Sequence[tuple["torch.Tensor", "torch.Tensor"]]  # keys and values, each (1, heads, tokens, size)


@dataclass(slots=True)
class Batch:
    """Rows behind their prompts. `mask` has a column for every key in `cache`; `lengths` count real tokens.

    `logits` are of the last `kept` tokens of each row: (rows, kept, vocabulary).
    """

    cache: DynamicCache
    mask: torch.Tensor
    lengths: torch.Tensor
    logits: torch.Tensor


class Prefiller:
    """Reads batches of prompts, each behind the virtual tokens of `opening`; keeps the prefixes used last.

    Several threads may read at a time.
    """

    def __init__(self, model: PreTrainedModel, opening: Layers = ()) -> None:
        self._model, self._opening = model, opening
        self._opened = opening[0][0].shape[2] if opening else 0  # tokens
        self._prefixes: OrderedDict[tuple[int, ...], Layers] = OrderedDict()
        self._lock = threading.Lock()  # of the prefixes

    @property
    def on_processor(self) -> bool:
        """Whether the model is computed by this machine's processor."""
        return self._model.device.type == "cpu"

    @property
    def keeps_places(self) -> bool:
        """Whether the model fits `SlotDecoder`: every layer keeps all keys, and positions are rotary."""
        from transformers.cache_utils import DynamicLayer

        config = self._model.config
        rotary = getattr(config, "rope_parameters", None) or getattr(config, "rope_theta", None)
        plain = all(type(layer) is DynamicLayer for layer in self.cache().layers)
        return bool(rotary) and not getattr(config, "alibi", False) and plain

    def read_alone(self, prompt: Sequence[int], stem: int = 0) -> tuple[Layers, torch.Tensor]:
        """What the layers keep of one prompt, and the logits of its last token: (vocabulary,).

        The first `stem` tokens are known to begin other prompts too. Whether they are read apart and kept
        follows from the prompt alone, so it gives the same values whatever was read before, bit for bit.
        """
        import torch

        kept = stem_kept(prompt, stem)
        cache = self._filled((self._prefix(prompt[:kept]) if kept else None) or self._opening, 1)
        behind = kept if cache.get_seq_length() > self._opened else 0
        with torch.inference_mode():
            logits = self._model(
                input_ids=torch.tensor([list(prompt[behind:])], device=self._model.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[0, -1]
        return kept_of(cache), logits

    def rows_of(self, batch: Batch) -> list[Layers]:
        """What the layers keep of each row of a batch, without padding; of a model that `keeps_places`."""
        layers = kept_of(batch.cache)
        places = [mask.nonzero()[:, 0] for mask in batch.mask]
        return [
            [(keys[n : n + 1, :, real], values[n : n + 1, :, real]) for keys, values in layers]
            for n, real in enumerate(places)
        ]

    def read(self, prompts: Sequence[Sequence[int]], kept: int = 1) -> Batch:
        """One forward pass over `prompts` (none empty), behind what they share; logits of the last `kept`."""
        import torch

        shared = shared_prefix(prompts, kept)
        layers = self._prefix(prompts[0][:shared]) if shared else None
        if layers is None:
            layers, shared = self._opening, 0
        cache = self._filled(layers, len(prompts))
        before = self._opened + shared
        device = self._model.device
        rests = [list(prompt[shared:]) for prompt in prompts]
        width = max(len(rest) for rest in rests)
        ids = torch.tensor([[0] * (width - len(rest)) + rest for rest in rests], device=device)
        mask = torch.tensor(
            [[1] * before + [0] * (width - len(rest)) + [1] * len(rest) for rest in rests], device=device
        )
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, before:]
        with torch.inference_mode():
            logits = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=min(kept, width),
            ).logits
        return Batch(cache, mask, mask.sum(dim=1), logits)

    def cache(self) -> DynamicCache:
        """What one prompt is read behind: nothing, or the virtual tokens."""
        return self._filled(self._opening, 1)

    def _filled(self, layers: Layers, rows: int) -> DynamicCache:
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        for place, (keys, values) in enumerate(layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), place)
        return cache

    def _prefix(self, ids: Sequence[int]) -> Layers | None:
        """Keys and values of a prefix, always computed alone: a reply does not hang on what was asked before.

        None where a layer keeps less than everything (a sliding window, a state).
        """
        key = tuple(ids)
        with self._lock:  # another thread that wants the same one waits for it
            layers = self._prefixes.get(key) or self._computed(key)
            if layers is not None:
                self._prefixes[key] = layers
                self._prefixes.move_to_end(key)
                if len(self._prefixes) > _KEPT_PREFIXES:
                    self._prefixes.popitem(last=False)
        return layers

    def _computed(self, ids: tuple[int, ...]) -> Layers | None:
        import torch
        from transformers.cache_utils import DynamicLayer

        cache = self.cache()
        if any(type(layer) is not DynamicLayer for layer in cache.layers):
            return None
        with torch.inference_mode():
            self._model(
                input_ids=torch.tensor([ids], device=self._model.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return kept_of(cache)


class Stems:
    """How prompts begin: with what stands before their last message, which other prompts may share."""

    def __init__(self, encode: Callable[[Sequence[Message]], list[int]]) -> None:
        self._encode = encode
        self._last: tuple[tuple[Message, ...], list[int]] = (), []

    def shared(self, messages: Sequence[Message], ids: Sequence[int]) -> int:
        """How many of `ids`, which are those of `messages`, stand before what the last one says."""
        before = tuple(messages[:-1])
        if not before:
            return 0
        if self._last[0] != before:
            self._last = before, self._encode([*before, Message("user", "")])
        pairs = zip(self._last[1], ids, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def kept_of(cache: DynamicCache) -> Layers:
    """Keys and values of the layers of a cache that keep any."""
    from transformers.cache_utils import DynamicLayer

    return [
        (layer.keys, layer.values)
        for layer in cache.layers
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
    ]


def stem_kept(prompt: Sequence[int], stem: int) -> int:
    """How many of the first `stem` tokens of a prompt are worth a pass of their own; often 0."""
    length = min(stem, len(prompt) - 1)
    length -= length % _PREFIX_STEP
    return length if length >= _SHORTEST_PREFIX and length * _WORTH_KEEPING >= len(prompt) else 0


def shared_prefix(prompts: Sequence[Sequence[int]], kept: int = 1) -> int:
    """How many tokens all of `prompts` begin with, leaving `kept` to each; 0 where it is not worth a pass."""
    if len(prompts) < 2:
        return 0
    room = min(len(prompt) for prompt in prompts) - kept
    columns = zip(*(prompt[: max(room, 0)] for prompt in prompts), strict=True)
    length = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    length -= length % _PREFIX_STEP
    return length if length >= _SHORTEST_PREFIX else 0
