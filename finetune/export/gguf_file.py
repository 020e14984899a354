"""GGUF, the format of llama.cpp and Ollama, of Llama, Mistral and Qwen2 models.

Where llama.cpp turns pairs of neighbours for its rotary embedding (its "llama", which Mistral is too), the
halves of each head's query and key rows are interleaved; Qwen2 stays as it is. Norms, biases and frequencies
are float32, all else is in the precision asked for.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from corpora.errors import Conflict
from finetune.export.source import Source
from finetune.export.vocabulary import read_vocabulary, write_vocabulary
from finetune.export.weights import TunedWeights, WeightInfo

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

Precision = Literal["f16", "q8_0"]

_LLAMA, _QWEN2 = "llama", "qwen2"
_ARCHITECTURES = {"LlamaForCausalLM": _LLAMA, "MistralForCausalLM": _LLAMA, "Qwen2ForCausalLM": _QWEN2}
_FILE_TYPES = {"f16": 1, "q8_0": 7}
_Q8_BLOCK = 32  # values that share a scale
_Q8_BYTES = 34 / 32  # a value
_LARGEST_F16 = 65504.0
_BUFFERS = "rotary_emb.inv_freq"  # old checkpoints store what follows from the config

Advance = Callable[[int], None]


def read_config(folder: Path) -> Any:
    """The model's config, if its architecture can be written. Raises Conflict (unsupported_architecture)."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise Conflict(f"The model in {folder} cannot be used: {error}", code="model_unusable") from error
    name = next(iter(config.architectures or []), config.model_type)
    if name not in _ARCHITECTURES:
        raise _unsupported(f"GGUF is written of Llama, Mistral and Qwen2 models, and this is {name}")
    if config.hidden_act != "silu":
        raise _unsupported(f"llama.cpp knows this architecture with silu, and this has {config.hidden_act}")
    _rope(config)
    return config


def gguf_bytes(infos: Sequence[WeightInfo], precision: Precision) -> int:
    """About how large the file will be."""
    return int(sum(info.size for info in infos) * (2 if precision == "f16" else _Q8_BYTES)) + (8 << 20)


def write_gguf(
    source: Source,
    weights: TunedWeights,
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    *,
    precision: Precision,
    advance: Advance,
) -> None:
    """The file at `path`. `advance` is told of each tensor. Raises Conflict for what GGUF does not know."""
    from gguf import GGUFWriter

    logging.getLogger("gguf").setLevel(logging.ERROR)
    config = read_config(source.weights_folder)
    architecture = _ARCHITECTURES[next(iter(config.architectures or []), "")]
    rows = next((info.shape[0] for info in weights.infos if info.name.endswith("embed_tokens.weight")), 0)
    vocabulary = read_vocabulary(tokenizer, rows)
    writer = GGUFWriter(path=None, arch=architecture)
    try:
        _describe(writer, source, config, rows, precision)
        write_vocabulary(vocabulary, tokenizer, config, writer)
        planned = [
            _planned(info, _gguf_name(info.name, architecture, config), precision)
            for info in weights.infos
            if not info.name.endswith(_BUFFERS)
        ]
        for info, name, kind in planned:
            writer.add_tensor_info(
                name, _stored_shape(info, kind), _numpy_type(kind), _stored_bytes(info, kind), kind
            )
        factors = _long_factors(config)
        if factors is not None:
            writer.add_tensor_info("rope_freqs.weight", factors.shape, factors.dtype, factors.nbytes)
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for info, _name, kind in planned:
            writer.write_tensor_data(_converted(weights, info, kind, architecture, config))
            advance(1)
        if factors is not None:
            writer.write_tensor_data(factors)
    finally:
        writer.close()


def _describe(writer: GGUFWriter, source: Source, config: Any, rows: int, precision: Precision) -> None:
    """The model's part of the metadata. Attention in windows is not known there: it bounds the context."""
    window = getattr(config, "sliding_window", None)
    context = int(config.max_position_embeddings)
    head = _head_size(config)
    writer.add_type("model")
    writer.add_name(source.name)
    writer.add_license(" AND ".join(source.licences))  # nothing is written of an empty one
    writer.add_file_type(_FILE_TYPES[precision])
    writer.add_quantization_version(2)
    writer.add_vocab_size(rows)
    writer.add_context_length(min(context, window) if window else context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    rope = _rope(config)
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    if rope["rope_type"] in ("linear", "yarn"):
        from gguf import RopeScalingType

        writer.add_rope_scaling_type(RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(float(rope["factor"]))
        if rope["rope_type"] == "yarn":
            writer.add_rope_scaling_orig_ctx_len(int(rope.get("original_max_position_embeddings") or context))


def _rope(config: Any) -> dict[str, Any]:
    rope = dict(config.rope_parameters or {})
    rope.setdefault("rope_type", "default")
    if rope["rope_type"] not in ("default", "linear", "yarn", "llama3"):
        raise _unsupported(f"its positions are stretched by {rope['rope_type']}")
    return rope


def _long_factors(config: Any) -> NDArray[np.float32] | None:
    """What Llama 3.1 divides each frequency by, for a long context; None for other rules of position."""
    rope = _rope(config)
    if rope["rope_type"] != "llama3":
        return None
    head = _head_size(config)
    low, high, factor = (float(rope[key]) for key in ("low_freq_factor", "high_freq_factor", "factor"))
    before = float(rope["original_max_position_embeddings"])
    factors = []
    for n in range(0, head, 2):
        length = 2 * math.pi * float(rope["rope_theta"]) ** (n / head)
        if length < before / high:
            factors.append(1.0)
        elif length > before / low:
            factors.append(factor)
        else:
            smooth = (before / length - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, dtype=np.float32)


def _gguf_name(name: str, architecture: str, config: Any) -> str:
    from gguf import MODEL_ARCH, get_tensor_name_map

    known = {_LLAMA: MODEL_ARCH.LLAMA, _QWEN2: MODEL_ARCH.QWEN2}[architecture]
    names = get_tensor_name_map(known, config.num_hidden_layers)
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise _unsupported(f"llama.cpp has no place for {name}")
    return found


def _planned(
    info: WeightInfo, name: str, precision: Precision
) -> tuple[WeightInfo, str, GGMLQuantizationType]:
    from gguf import GGMLQuantizationType

    if len(info.shape) < 2:
        return info, name, GGMLQuantizationType.F32
    if precision == "q8_0" and info.shape[-1] % _Q8_BLOCK == 0:
        return info, name, GGMLQuantizationType.Q8_0
    return info, name, GGMLQuantizationType.F16


def _stored_shape(info: WeightInfo, kind: GGMLQuantizationType) -> tuple[int, ...]:
    """In bytes for blocks of several values."""
    from gguf.quants import quant_shape_to_byte_shape

    return info.shape if kind.name in ("F32", "F16") else quant_shape_to_byte_shape(info.shape, kind)


def _numpy_type(kind: GGMLQuantizationType) -> np.dtype[Any]:
    return np.dtype({"F32": np.float32, "F16": np.float16}.get(kind.name, np.uint8))


def _stored_bytes(info: WeightInfo, kind: GGMLQuantizationType) -> int:
    return math.prod(_stored_shape(info, kind)) * _numpy_type(kind).itemsize


def _converted(
    weights: TunedWeights, info: WeightInfo, kind: GGMLQuantizationType, architecture: str, config: Any
) -> NDArray[Any]:
    from gguf.quants import quantize

    values: NDArray[np.float32] = weights.read(info.name).float().numpy()
    if architecture == _LLAMA and ".self_attn." in info.name:
        part = info.name.split(".self_attn.")[1].split(".")[0]
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(part)
        if heads:
            values = side_by_side(values, heads)
    if kind.name == "F16" and float(np.abs(values).max(initial=0.0)) > _LARGEST_F16:
        raise _unsupported(f"{info.name} has values that float16 cannot hold; --precision q8_0 can")
    return np.ascontiguousarray(quantize(values, kind))


def side_by_side(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows (or a bias) of each head from all first halves first to pairs, as GGUF has them."""
    rest = values.shape[1:]
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *rest).swapaxes(1, 2).reshape(values.shape)


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _unsupported(why: str) -> Conflict:
    return Conflict(
        f"This model cannot be written as GGUF: {why}.",
        hint="--format merged, which transformers and vLLM load",
        code="unsupported_architecture",
    )
