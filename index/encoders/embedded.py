"""The embedded encoders: our own BERT forward, in torch for many texts and in numpy for one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from index.encoders.tokens import TokenReader, refuse_longer
from index.weights import CATALOGUE
from index.weights.pieces import PIECES, SPECIAL, UnigramReader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from index.encoders.bert_numpy import NumpyBert
    from index.encoders.bert_torch import TorchBert


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model wants its texts: prefixes, and the most tokens that it was made for."""

    max_tokens: int
    query_prefix: str = ""
    passage_prefix: str = ""
    dimension: int = 384
    version: int = 1  # counts up when the same weights would give other vectors


RECIPES = {
    "all-minilm-l6-v2": Recipe(max_tokens=256),
    "multilingual-e5-small": Recipe(max_tokens=512, query_prefix="query: ", passage_prefix="passage: "),
}


class EmbeddedEncoder:
    """One of the encoders of the catalogue; see `index.encoder.Encoder`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._recipe = RECIPES[name]
        self.dimension = self._recipe.dimension
        self.max_tokens = self._recipe.max_tokens

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, the prefixes and the pooling (mean, then unit length)."""
        recipe = self._recipe
        weights = f"{CATALOGUE[self.name].members[0].sha256}:{recipe.version}"
        parts = (weights, recipe.query_prefix, recipe.passage_prefix, "mean", "unit")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as a passage, special tokens and prefix included."""
        return [len(ids) for ids in self._passage_ids(texts)]

    def encode_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit rows, shape (len(texts), dimension); UsageError if a text is over `max_tokens`."""
        ids = self._passage_ids(texts)
        refuse_longer([len(row) for row in ids], self.max_tokens, self.name)
        return self._bulk.encode(ids, progress)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `encode_query`, for many at once; shape (len(texts), dimension)."""
        windows = [self._windows(ids) for ids in self._query_ids(texts)]
        rows = self._bulk.encode([window for group in windows for window in group])
        return _joined(rows, windows)

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """One unit vector, without torch. A question over `max_tokens` is read in windows, none of it cut."""
        import numpy as np

        windows = self._windows(self._single_ids(self._recipe.query_prefix + text))
        rows = np.stack([self._single.encode(window) for window in windows])
        row: NDArray[np.float32] = _joined(rows, [windows])[0]
        return row

    def _windows(self, ids: Sequence[int]) -> list[list[int]]:
        first, body, last = ids[0], ids[1:-1], ids[-1]
        room = self.max_tokens - 2
        return [[first, *body[at : at + room], last] for at in range(0, max(len(body), 1), room)]

    def _passage_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokens.ids([self._recipe.passage_prefix + text for text in texts])

    def _query_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokens.ids([self._recipe.query_prefix + text for text in texts])

    def _single_ids(self, text: str) -> list[int]:
        """As `_tokens.ids` of one text, without loading a large vocabulary where it is mapped."""
        if self._pieces is None or any(token in text for token in SPECIAL):
            return self._tokens.ids([text])[0]
        return self._pieces.ids(text)

    @cached_property
    def _pieces(self) -> UnigramReader | None:
        return UnigramReader(self._folder) if (self._folder / PIECES).is_file() else None

    @cached_property
    def _tokens(self) -> TokenReader:
        return TokenReader(self._folder)

    @cached_property
    def _single(self) -> NumpyBert:
        from index.encoders.bert_numpy import NumpyBert

        return NumpyBert(self._folder)

    @cached_property
    def _bulk(self) -> TorchBert:
        from index.encoders.bert_torch import TorchBert

        return TorchBert(self._folder)


def _joined(rows: NDArray[np.float32], windows: Sequence[Sequence[Sequence[int]]]) -> NDArray[np.float32]:
    """One unit row a text: the mean of its windows' rows, weighted by their tokens."""
    import numpy as np

    joined, at = np.empty((len(windows), rows.shape[1]), np.float32), 0
    for place, group in enumerate(windows):
        mean = np.average(rows[at : at + len(group)], axis=0, weights=[len(window) for window in group])
        joined[place] = mean / np.linalg.norm(mean)
        at += len(group)
    return joined
