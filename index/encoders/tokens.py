"""Texts to token ids with the Rust tokenizer, never truncated and never padded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from corpora.errors import UsageError


class TokenReader:
    """The tokenizer of one model folder."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]


def refuse_longer(lengths: Sequence[int], most: int, name: str) -> None:
    """Raise UsageError if a text is longer than the encoder can see: nothing is cut silently."""
    longest = max(lengths, default=0)
    if longest > most:
        raise UsageError(
            f"A text of {longest:,} tokens is over the limit of {name}, {most:,}.",
            hint="split it first; ingest does that by itself",
            code="too_long",
        )
