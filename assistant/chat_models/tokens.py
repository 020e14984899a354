"""Text to ids and back for a local language model: data without special tokens, output as it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REPLACEMENT = "\ufffd"  # what a tokenizer shows for the first bytes of an unfinished character


class TokenizerEncoder:
    """A transformers tokenizer as `corpora.chat_template.TextEncoder`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._forbidden = {
            token.content: token_id
            for token_id, token in tokenizer.added_tokens_decoder.items()
            # Runs of white space are added tokens of some models, and mere text.
            if token.special or token.content.strip()
        }
        self._forbidden |= {
            text: token_id
            for text, token_id in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
        }

    @property
    def forbidden(self) -> Mapping[str, int]:
        """Every added control token: the special ones, and such as `<think>` or `<tool_call>`."""
        return self._forbidden

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Ids of `text` without tokens added at the ends."""
        if not text:
            return []
        ids = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not special)
        return [int(token) for token in ids]


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
