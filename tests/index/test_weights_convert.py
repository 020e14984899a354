"""Conversion keeps every weight and every token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_models

from corpora.errors import Conflict
from index.encoders.tokens import TokenReader
from index.weights import e5
from index.weights.mapped import mapped_tensors
from index.weights.pieces import UnigramReader
from index.weights.smollm2 import _halves_apart, bfloat16_bytes


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("e5")
    values = tiny_models.write_e5_file(folder / "e5.bin")
    built = folder / "built"
    built.mkdir()
    e5.convert(folder / "e5.bin", built, None)
    return built, values


def test_four_bit_weights_are_kept_exactly(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    built, values = converted
    tensors = mapped_tensors(built / "model.safetensors")
    assert len(tensors) == len(values)
    assert np.array_equal(tensors["encoder.layer.0.output.dense.weight"], values["l0.fo.w"])
    assert np.array_equal(tensors["encoder.layer.0.attention.self.key.bias"], values["l0.k.b"])
    assert np.array_equal(tensors["encoder.layer.0.output.LayerNorm.weight"], values["l0.oln.w"])
    words = tensors["embeddings.word_embeddings.weight"]
    assert words.dtype == np.float16
    assert np.allclose(words.astype(np.float32), values["emb.word"], rtol=2**-11, atol=0)


def test_the_folder_loads_as_a_bert_model(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    from transformers import BertModel

    model, report = BertModel.from_pretrained(
        converted[0], add_pooling_layer=False, output_loading_info=True, local_files_only=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert model.config.num_hidden_layers == 1 and model.config.layer_norm_eps == 1e-12


TEXTS = [
    "",
    " ",
    "north river",
    "the north ～ 中国北河 river",
    "  no\tno \n rth ",
    "e\u0301",
    "ＡＢ",
    "😀😀 x",
    "中国" * 9,
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_mapped_vocabulary_gives_the_tokens_of_the_rust_library(
    converted: tuple[Path, dict[str, np.ndarray]], text: str
) -> None:
    assert UnigramReader(converted[0]).ids(text) == TokenReader(converted[0]).ids([text])[0]


def test_the_wide_tilde_and_full_width_letters_follow_the_published_rules(
    converted: tuple[Path, dict[str, np.ndarray]],
) -> None:
    numbers = {piece: n for n, (piece, _) in enumerate(tiny_models.PIECES)}
    ids = UnigramReader(converted[0]).ids("～ ｎｏｒｔｈ")
    assert ids == [0, numbers["▁"], numbers["～"], numbers["▁no"], numbers["rth"], 2]


@pytest.mark.parametrize("damage", ["magic", "cut", "directory"])
def test_a_damaged_file_is_a_conflict(tmp_path: Path, damage: str) -> None:
    tiny_models.write_e5_file(tmp_path / "e5.bin")
    data = bytearray((tmp_path / "e5.bin").read_bytes())
    if damage == "magic":
        data[:4] = b"XXXX"
    elif damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[data.index(b"emb.pos")] = ord("z")
    (tmp_path / "e5.bin").write_bytes(data)
    (tmp_path / "built").mkdir()
    with pytest.raises(Conflict, match="not the file we know"):
        e5.convert(tmp_path / "e5.bin", tmp_path / "built", None)


def test_bfloat16_is_rounded_as_torch_rounds_it() -> None:
    import torch

    values = np.random.default_rng(1).standard_normal(10_000).astype(np.float32)
    values = np.concatenate([values, np.float32([0.0, -0.0, 1.00390625, 1.01171875, 3e38, 1e-40])])
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy()
    assert np.array_equal(np.frombuffer(bfloat16_bytes(values), np.int16), expected)


def test_rotary_rows_go_from_pairs_to_halves() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)  # two heads of four rows
    assert _halves_apart(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
