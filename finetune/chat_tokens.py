"""A base model's tokenizer as serving and training both see it: encoder, template, end and start tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from corpora.chat_template import ChatTemplate
from corpora.errors import Conflict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TURN_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
)


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


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of the model in `folder`; nothing from a hub, no code of the folder. Raises Conflict."""
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise Conflict(f"The tokenizer in {folder} cannot be used: {error}", code="model_unusable") from error
    return tokenizer


def template_of(tokenizer: PreTrainedTokenizerBase, name: str) -> ChatTemplate:
    """The chat template of the model called `name`, with its special strings. Raises Conflict without one."""
    if not isinstance(tokenizer.chat_template, str):
        raise Conflict(
            f"{name} has no chat template: it is no model for conversation.",
            hint="choose its -Instruct or -Chat version",
            code="no_chat_template",
        )
    strings = {
        key: str(value) for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)
    }
    return ChatTemplate(tokenizer.chat_template, strings)


def end_ids(tokenizer: PreTrainedTokenizerBase, *configs: object) -> frozenset[int]:
    """What ends a turn: the end tokens that the model's configs and its tokenizer name."""
    ends: set[int] = set()
    for source in (*configs, tokenizer):
        ids = getattr(source, "eos_token_id", None)
        ends |= set(ids) if isinstance(ids, list | tuple) else {ids} if isinstance(ids, int) else set()
    known = {token.content: token_id for token_id, token in tokenizer.added_tokens_decoder.items()}
    return frozenset(ends | {known[text] for text in _TURN_ENDS if text in known})


def start_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """What stands before the first word of a document, as the model was trained on documents."""
    known = {token.content: token_id for token_id, token in tokenizer.added_tokens_decoder.items()}
    ids = (known.get("<|endoftext|>"), tokenizer.bos_token_id, tokenizer.eos_token_id)
    return next((token for token in ids if isinstance(token, int)), 0)
