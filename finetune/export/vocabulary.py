"""A tokenizer as GGUF holds it: byte-level BPE with the name of its way to cut words, or SentencePiece.

llama.cpp cuts a text by rules that it knows by name, so that a tokenizer with others cannot be exported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedTokenizerBase

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6  # GGUF's types of tokens
_LOWEST = -1e6

# The published patterns of Qwen 2 and Llama 3; they differ in how many digits make a word.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+"
    r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CUTS: Mapping[str, str] = {_WORDS.format(digits=""): "qwen2", _WORDS.format(digits="{1,3}"): "llama-bpe"}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`model` is "gpt2" (byte-level BPE: `cut` and `merges`) or "llama" (SentencePiece: `scores`)."""

    model: str
    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    cut: str = "default"
    merges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    blank_before: bool = False  # a blank is put before a text


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, size: int) -> Vocabulary:
    """Of a loaded tokenizer, filled up to the `size` rows of the model's embedding. Raises Conflict."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise _unknown("it is not one of the tokenizers library")
    facts = json.loads(backend.to_str())
    model = facts["model"]
    if model.get("type") != "BPE":
        raise _unknown(f"its kind is {model.get('type')}")
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    pieces = bool(model.get("byte_fallback"))
    tokens, kinds = _tokens(facts, size, pieces=pieces)
    if pieces:
        return Vocabulary(
            "llama", tokens, kinds, scores=_scores(tokens, kinds, merges), blank_before=_blank_before(facts)
        )
    return Vocabulary("gpt2", tokens, kinds, cut=_cut(facts), merges=tuple(merges))


def write_vocabulary(
    vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerBase, config: Any, writer: GGUFWriter
) -> None:
    """The tokenizer's part of a GGUF file: tokens, special ids, chat template."""
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.cut)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.kinds))
    if vocabulary.model == "llama":
        writer.add_token_scores(list(vocabulary.scores))
        writer.add_add_space_prefix(vocabulary.blank_before)
    else:
        writer.add_token_merges(list(vocabulary.merges))
    ids = {
        "bos": _first(tokenizer.bos_token_id, config.bos_token_id),
        "eos": _first(tokenizer.eos_token_id, config.eos_token_id),
        "pad": _first(tokenizer.pad_token_id, config.pad_token_id),
        "unk": tokenizer.unk_token_id,
    }
    for name, number in ids.items():
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    writer.add_add_bos_token(adds_start(tokenizer))
    writer.add_add_eos_token(False)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


def adds_start(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer itself puts the start token before a text."""
    start = tokenizer.bos_token_id
    return start is not None and tokenizer.encode("a", add_special_tokens=True)[:1] == [start]


def _tokens(facts: Mapping[str, Any], size: int, *, pieces: bool) -> tuple[tuple[str, ...], tuple[int, ...]]:
    by_id = {number: text for text, number in facts["model"]["vocab"].items()}
    kinds = dict.fromkeys(by_id, _NORMAL)
    if pieces:
        kinds |= {n: _BYTE for n, text in by_id.items() if len(text) == 6 and text.startswith("<0x")}
    for added in facts["added_tokens"]:
        by_id[added["id"]] = added["content"]
        kinds[added["id"]] = _CONTROL if added["special"] else _USER_DEFINED
    unknown = facts["model"].get("unk_token")
    if pieces and unknown in facts["model"]["vocab"]:
        kinds[facts["model"]["vocab"][unknown]] = _UNKNOWN
    if max(by_id) >= size:
        raise _unknown(f"it has {max(by_id) + 1} tokens and the model {size}")
    return (
        tuple(by_id.get(n, f"[PAD{n}]") for n in range(size)),
        tuple(kinds.get(n, _UNUSED) for n in range(size)),
    )


def _scores(tokens: Sequence[str], kinds: Sequence[int], merges: Sequence[str]) -> tuple[float, ...]:
    """SentencePiece merges the pair with the best score; the order of the merges is that of the scores."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault(merge.replace(" ", ""), rank)
    return tuple(
        -float(ranks[token]) if kind == _NORMAL and token in ranks else 0.0 if kind != _NORMAL else _LOWEST
        for token, kind in zip(tokens, kinds, strict=True)
    )


def _blank_before(facts: Mapping[str, Any]) -> bool:
    """Whether normalizer or pre-tokenizer put a blank before a text."""
    steps = [
        *_steps(facts.get("normalizer"), "normalizers"),
        *_steps(facts.get("pre_tokenizer"), "pretokenizers"),
    ]
    return any(
        step["type"] == "Prepend" or (step["type"] == "Metaspace" and step.get("prepend_scheme") != "never")
        for step in steps
    )


def _cut(facts: Mapping[str, Any]) -> str:
    """The name that llama.cpp has for how words are cut. Raises Conflict."""
    steps = _steps(facts.get("pre_tokenizer"), "pretokenizers")
    kinds = [step["type"] for step in steps]
    if kinds and kinds[-1] == "ByteLevel" and not steps[-1].get("add_prefix_space"):
        by_itself = steps[-1].get("use_regex", True)
        if kinds == ["ByteLevel"] and by_itself:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and by_itself and steps[0].get("individual_digits"):
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and not by_itself:
            pattern = steps[0]["pattern"].get("Regex")
            if pattern in _CUTS and steps[0]["behavior"] == "Isolated" and not steps[0].get("invert"):
                return _CUTS[pattern]
    raise _unknown("llama.cpp has no name for how it cuts words")


def _steps(step: Mapping[str, Any] | None, parts: str) -> list[Mapping[str, Any]]:
    if step is None:
        return []
    return list(step[parts]) if step["type"] == "Sequence" else [step]


def _first(*values: object) -> int | None:
    for value in values:
        one = value[0] if isinstance(value, list) and value else value
        if isinstance(one, int):
            return one
    return None


def _unknown(why: str) -> Conflict:
    return Conflict(
        f"This model's tokenizer cannot be written as GGUF: {why}.",
        hint="--format merged, which transformers and vLLM load",
        code="unsupported_architecture",
    )
