"""SmolLM2-135M-Instruct (Allal et al. 2025, arXiv:2502.02737) from a GGUF file to a transformers folder.

The weights are the Q4_1 rounding that the file holds, widened to bfloat16. GGUF interleaves the halves of
each head's query and key rows for its rotary embedding; that is undone here. Read with `gguf` and
`tokenizers` only: loading through transformers would import torch and hold the weights three times.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from index.weights.fetch import Progress

if TYPE_CHECKING:
    from gguf import GGUFReader
    from numpy.typing import NDArray

_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL = 3  # GGUF's token type for special tokens


def convert(source: Path, built: Path, progress: Progress | None) -> None:
    """Write model.safetensors, config.json, generation_config.json and the tokenizer's files into `built`."""
    from gguf import GGUFReader

    reader = GGUFReader(source)
    config = _config(reader)
    _write_weights(reader, config, built / "model.safetensors", progress)
    _write_json(built / "config.json", config)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    _write_json(built / "generation_config.json", {"_from_model_config": True, **ends})
    _write_tokenizer(reader, built)


def _field(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise KeyError(name)
    return field.contents()


def _config(reader: GGUFReader) -> dict[str, Any]:
    heads = _field(reader, "llama.attention.head_count")
    hidden = _field(reader, "llama.embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": _field(reader, "llama.feed_forward_length"),
        "num_hidden_layers": _field(reader, "llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _field(reader, "llama.attention.head_count_kv"),
        "head_dim": hidden // heads,
        "max_position_embeddings": _field(reader, "llama.context_length"),
        "rms_norm_eps": float(f"{_field(reader, 'llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": _field(reader, "llama.rope.freq_base"),
        "rope_parameters": {"rope_type": "default", "rope_theta": _field(reader, "llama.rope.freq_base")},
        "vocab_size": _field(reader, "llama.vocab_size"),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.041666666666666664,
        "tie_word_embeddings": True,
        "use_cache": True,
        "dtype": "bfloat16",
        "bos_token_id": _field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _field(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _field(reader, "tokenizer.ggml.padding_token_id"),
    }


def _write_weights(
    reader: GGUFReader, config: dict[str, Any], target: Path, progress: Progress | None
) -> None:
    """The safetensors file, by its format: an 8-byte length, a JSON header, the bytes of the tensors.

    numpy has no bfloat16, so the library's own writer would need torch.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    at = 0
    for done, tensor in enumerate(reader.tensors, 1):
        name = _full_name(tensor.name)
        values = _dequantised(tensor)
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            kind = "num_attention_heads" if name.endswith("q_proj.weight") else "num_key_value_heads"
            values = _halves_apart(values, config[kind])
        blobs.append(bfloat16_bytes(values))
        header[name] = {
            "dtype": "BF16",
            "shape": list(values.shape),
            "data_offsets": [at, at + len(blobs[-1])],
        }
        at += len(blobs[-1])
        if progress is not None:
            progress("Converting", done, len(reader.tensors))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.writelines(blobs)


def _dequantised(tensor: Any) -> NDArray[np.float32]:
    from gguf.quants import dequantize

    shape = [int(size) for size in reversed(tensor.shape)]
    return np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).reshape(shape)


def _halves_apart(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of each head from GGUF's order (pairs side by side) to transformers' (all first halves first)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def bfloat16_bytes(values: NDArray[np.float32]) -> bytes:
    """float32 rounded to the nearest bfloat16 (ties to even), little-endian."""
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return bytes((rounded >> 16).astype("<u2").tobytes())


def _full_name(name: str) -> str:
    """`blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`."""
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{_NAMES[part]}.{kind}"


def _write_tokenizer(reader: GGUFReader, built: Path) -> None:
    """Byte-level BPE, digits one by one, as the model's own tokenizer.json has it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    tokens: list[str] = _field(reader, "tokenizer.ggml.tokens")
    kinds: list[int] = _field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.save(str(built / "tokenizer.json"), pretty=False)
    template = _field(reader, "tokenizer.chat_template")
    (built / "chat_template.jinja").write_text(template, encoding="utf-8")
    _write_json(
        built / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": _field(reader, "llama.context_length"),
            "clean_up_tokenization_spaces": False,
            "add_prefix_space": False,
            **{
                "bos_token": tokens[1],
                "eos_token": tokens[2],
                "pad_token": tokens[2],
                "unk_token": tokens[0],
            },
            "chat_template": template,
        },
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
