"""Text to ids and back for a local language model: data without special tokens, output as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetune.chat_tokens import TokenizerEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["GrowingText", "TokenizerEncoder", "before_stop"]

_REPLACEMENT = "\ufffd"  # what a tokenizer shows for the first bytes of an unfinished character


class GrowingText:
    """Turns ids into text one by one; holds back characters whose bytes are not all there yet.

    A token is decoded behind the ones before it, since tokenizers drop the blank of a first word and
    spread one character over several tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._context = 0  # where decoding begins: the piece emitted last
        self._emitted = 0  # ids whose text is out

    def push(self, token: int) -> str:
        """The text that became certain with `token`; often "", while a character is unfinished."""
        self._ids.append(token)
        before = self._decode(self._ids[self._context : self._emitted])
        now = self._decode(self._ids[self._context :])
        if now.endswith(_REPLACEMENT) or len(now) <= len(before):
            return ""
        self._context, self._emitted = self._emitted, len(self._ids)
        return now[len(before) :]

    def rest(self) -> str:
        """What is still held back when the model has ended."""
        before = self._decode(self._ids[self._context : self._emitted])
        return self._decode(self._ids[self._context :])[len(before) :].rstrip(_REPLACEMENT)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )


def before_stop(text: str, stops: Sequence[str]) -> tuple[int, bool]:
    """How many characters of a growing text surely come before a stop string, and whether one is there."""
    found = [text.index(stop) for stop in stops if stop in text]
    if found:
        return min(found), True
    held = (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n]))
    return len(text) - max(held, default=0), False
