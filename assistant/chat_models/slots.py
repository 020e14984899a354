"""Keys and values of rows of different lengths, each from the left, with room for what is written behind.

A row's keys lie in the same places as when it is alone, and what pads it stands behind them and counts
nothing: its sums have the same terms in the same order. Nothing is moved when a token is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

Layers = Sequence[tuple[Tensor, Tensor]]  # of one row: keys and values, each (1, heads, tokens, size)

# Places are made and looked at so many at a time. Also for what is computed: the sum over a row's keys is
# made in vectors, and one that ends within a vector is rounded otherwise than the same with zeros behind it.
_STEP = 64


class Slots(Cache):
    """The cache of `len(rows)` rows, for steps of one token each; `lengths` (rows) count their keys."""

    def __init__(self, rows: Sequence[Layers]) -> None:
        first = rows[0][0][0]
        self.lengths = torch.tensor([row[0][0].shape[2] for row in rows], device=first.device)
        self._width = int(self.lengths.max())
        layers = [
            _SlotLayer(self, *(_side_by_side([row[place][n] for row in rows], self._width) for n in (0, 1)))
            for place in range(len(rows[0]))
        ]
        super().__init__(layers=list(layers))
        self._own = layers

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def width(self) -> int:
        """Places that a step sees: at least those of the longest row, and one for the token being added."""
        return _rounded(self._width + 1)

    def begin(self, dtype: torch.dtype) -> Tensor:
        """Make room for a token in each row; the mask of the step: (rows, 1, 1, width), added to scores."""
        if self.width > self._own[0].keys.shape[2]:
            for layer in self._own:
                layer.widen(self.width)
        places = torch.arange(self.width, device=self.lengths.device)
        hidden = places[None] > self.lengths[:, None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        return mask.masked_fill_(hidden, float("-inf"))[:, None, None]

    def end(self, going: Tensor) -> None:
        """The step is done: the rows at the places `going` have a key more."""
        self.lengths[going] += 1
        self._width = int(self.lengths.max())

    def select(self, rows: Tensor) -> None:
        """Keep the rows at these places, in this order."""
        self.lengths = self.lengths[rows]
        self._width = int(self.lengths.max())
        for layer in self._own:
            layer.keys, layer.values = layer.keys[rows, :, : self.width], layer.values[rows, :, : self.width]


class _SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer of the model; tensors are (rows, heads, places, size)."""

    keys: Tensor
    values: Tensor

    def __init__(self, slots: Slots, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys, self.values, self.is_initialized = keys, values, True
        self._slots = slots

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Put a key and a value behind each row; everything that the step sees."""
        lengths, width = self._slots.lengths, self._slots.width
        rows = torch.arange(len(lengths), device=lengths.device)
        self.keys[rows, :, lengths] = key_states[:, :, 0]
        self.values[rows, :, lengths] = value_states[:, :, 0]
        return self.keys[:, :, :width], self.values[:, :, :width]

    def widen(self, places: int) -> None:
        """Make so many places."""
        more = (0, 0, 0, places - self.keys.shape[2])
        self.keys, self.values = (torch.nn.functional.pad(one, more) for one in (self.keys, self.values))

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: it is filled when it is made."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Places that a step sees, from place 0."""
        return self._slots.width, 0

    def get_seq_length(self) -> int:
        """Places in use."""
        return self._slots.width - 1  # the token being added is the last

    def get_max_length(self) -> int:
        """No limit."""
        return -1


def _side_by_side(rows: Sequence[Tensor], width: int) -> Tensor:
    """One tensor of rows (1, heads, their tokens, size), zeros behind each."""
    _, heads, _, size = rows[0].shape
    whole = rows[0].new_zeros(len(rows), heads, _rounded(width + 1), size)
    for n, row in enumerate(rows):
        whole[n, :, : row.shape[2]] = row[0]
    return whole


def _rounded(places: int) -> int:
    return -(-places // _STEP) * _STEP
