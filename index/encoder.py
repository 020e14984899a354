"""What an encoder is to the rest of the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Encoder(Protocol):
    """Text to unit vectors. Prefixes that a model wants ("query: ") are the encoder's own business."""

    @property
    def name(self) -> str:
        """The name a user gives it: an embedded name, a hub id or a folder."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever vectors would: weights, pooling, prefixes, normalisation (hex, 16 digits)."""

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest passage, in its own tokens with special tokens and prefix, that is not cut."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as a passage, special tokens and prefix included."""

    def encode_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit rows, shape (len(texts), dimension), float32; `progress` hears how many are done."""

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """One unit vector, shape (dimension,), float32; quick from a cold process."""
