"""A GGUF file says what the adapter says: names, permutation, precision, positions, tokens."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chat_tokenizers import FAMILIES, tokenizer
from export_models import log_probabilities, write_adapter, write_model
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import load_file, save_file

from corpora.errors import Conflict
from finetune.chat_tokens import TokenizerEncoder
from finetune.export.answers import Written, greedy
from finetune.export.gguf_file import side_by_side
from finetune.export.llama_cpp import LlamaCpp, is_installed
from finetune.export.run import Exported, export
from finetune.export.source import Source, read_source
from finetune.export.vocabulary import read_vocabulary
from index.weights.smollm2 import _halves_apart

TEXTS = (
    "When was the lighthouse built? In 1874, 31 metres high.",
    "灯塔建于1874年，高31米。",
    " a leading blank,  two\n\n\tand tabs \r\n",
    "don't I'LL WE'VE naïve café 12345 [ 1 ]",
    "😀 <0x41> ▁",
)


def written(source: Source, target: Path, precision: Any = "f16") -> Exported:
    return export(source, "gguf", target, precision=precision, advance=lambda _n, _total: None)


def source_of(folder: Path, family: str, **changes: Any) -> Source:
    base = write_model(folder / "base", family, **changes)
    return read_source(write_adapter(folder / "adapter", base), offline=True)


def merged(source: Source, folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    export(source, "merged", folder, advance=lambda _n, _total: None)
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()


def engine(done: Exported, ends: Collection[int] = (), most: int = 1) -> LlamaCpp:
    if not is_installed():
        pytest.skip("no llama.cpp here: pip install xllamacpp")
    return LlamaCpp(done.folder / str(done.gguf), context=256, ends=ends, most=most)


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_is_as_sure_of_the_next_token_and_cuts_texts_alike(family: str, tmp_path: Path) -> None:
    """Prompts of all lengths: a wrong permutation, bias or rotation shows from the second token on."""
    source = source_of(tmp_path, family)
    model = merged(source, tmp_path / "merged")
    llama = engine(written(source, tmp_path / "gguf"))
    generator = torch.Generator().manual_seed(3)
    compared = 0
    for length in (2, 3, 9, 20, 50, 100, 150, 200):
        ids = torch.randint(5, len(tokenizer(family)), (length,), generator=generator).tolist()
        answer = llama.answer(ids)
        if answer.ids and answer.logs[0] is not None:
            expected = log_probabilities(model, ids)[-1]
            assert float(expected[answer.ids[0]]) == pytest.approx(answer.logs[0], abs=0.06), length
            assert float(expected.max()) == pytest.approx(answer.logs[0], abs=0.06), length
            compared += 1
    assert compared >= 4
    encoder = TokenizerEncoder(tokenizer(family))
    assert [llama.tokens(text) for text in TEXTS] == [encoder.encode(text, special=False) for text in TEXTS]


@pytest.mark.parametrize(("precision", "bound"), [("f16", 1e-3), ("q8_0", 1e-2)])
def test_the_weights_in_the_file_are_the_merged_ones(tmp_path: Path, precision: str, bound: float) -> None:
    source = source_of(tmp_path, "qwen2.5")
    merged(source, tmp_path / "merged")
    plain = load_file(tmp_path / "merged" / "model.safetensors")
    done = written(source, tmp_path / "gguf", precision)
    found = {one.name: one for one in GGUFReader(done.folder / str(done.gguf)).tensors}
    assert len(found) == len(plain)
    for theirs, ours in (
        ("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight"),  # Qwen2 is not permuted
        ("blk.0.attn_k.bias", "model.layers.0.self_attn.k_proj.bias"),
        ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight"),
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output.weight", "lm_head.weight"),
    ):
        values = dequantize(found[theirs].data, found[theirs].tensor_type)
        np.testing.assert_allclose(values, plain[ours].numpy(), atol=bound)
    kind = found["blk.0.attn_v.weight"].tensor_type.name
    assert (kind, found["blk.0.attn_norm.weight"].tensor_type.name) == (precision.upper(), "F32")


def test_heads_are_interleaved_as_they_were_taken_apart() -> None:
    """The embedded model came out of such a file."""
    rows = np.arange(48 * 5, dtype=np.float32).reshape(48, 5)
    assert not np.array_equal(side_by_side(rows, 3), rows)
    np.testing.assert_array_equal(_halves_apart(side_by_side(rows, 3), 3), rows)


def test_the_file_describes_the_model(tmp_path: Path) -> None:
    source = source_of(tmp_path, "mistral", sliding_window=64)
    done = written(source, tmp_path / "gguf")
    assert {"Modelfile", "README.md", "card.json", "adapter-f16.gguf"} <= set(done.files)
    reader = GGUFReader(done.folder / str(done.gguf))

    def field(name: str) -> Any:
        one = reader.get_field(name)
        return one.contents() if one is not None else None

    assert (field("general.architecture"), field("llama.context_length")) == ("llama", 64)
    assert (field("tokenizer.ggml.model"), field("tokenizer.ggml.add_space_prefix")) == ("llama", True)
    assert field("tokenizer.chat_template") == tokenizer("mistral").chat_template
    assert field("tokenizer.ggml.eos_token_id") == tokenizer("mistral").eos_token_id
    kinds = field("tokenizer.ggml.token_type")
    assert kinds[:3] == [2, 3, 3] and kinds[3:259] == [6] * 256 and kinds[-3:] == [5] * 3


@pytest.mark.parametrize(
    ("family", "name"), [("smollm2", "smollm"), ("qwen2.5", "qwen2"), ("llama3", "llama-bpe")]
)
def test_cuts_have_their_names(family: str, name: str) -> None:
    vocabulary = read_vocabulary(tokenizer(family), len(tokenizer(family)))
    assert (vocabulary.model, vocabulary.cut) == ("gpt2", name)


def test_other_architectures_and_other_cuts_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    from tokenizers import pre_tokenizers

    source = source_of(tmp_path, "smollm2")
    config = json.loads((source.base_folder / "config.json").read_text())
    (source.base_folder / "config.json").write_text(
        json.dumps(config | {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]})
    )
    with pytest.raises(Conflict, match="GPTNeoXForCausalLM") as refused:
        written(source, tmp_path / "out")
    assert (refused.value.exit_code, refused.value.code) == (5, "unsupported_architecture")
    (source.base_folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}))
    with pytest.raises(Conflict, match="gelu"):
        written(source, tmp_path / "out")
    (source.base_folder / "config.json").write_text(json.dumps(config))
    other = tokenizer("smollm2").__class__.from_pretrained(source.base_folder)
    other.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    other.save_pretrained(source.base_folder)
    with pytest.raises(Conflict, match="how it cuts words"):
        written(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out*")) == []


def test_values_over_float16_are_not_written_as_infinite(tmp_path: Path) -> None:
    source = source_of(tmp_path, "smollm2")
    path = source.base_folder / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(Conflict, match="float16"):
        written(source, tmp_path / "f16")
    assert written(source, tmp_path / "q8", "q8_0").bytes > 0


def test_answers_are_those_of_the_merged_weights_until_a_tie(tmp_path: Path) -> None:
    source = source_of(tmp_path, "smollm2")
    ends = {tokenizer("smollm2").eos_token_id}
    model = merged(source, tmp_path / "merged")
    llama = engine(written(source, tmp_path / "gguf"), ends, most=8)
    generator = torch.Generator().manual_seed(5)
    same = 0
    for _ in range(6):
        ids = torch.randint(5, 400, (12,), generator=generator).tolist()
        ours, theirs = greedy(model, ends, 8)(ids), llama.answer(ids)
        place = next((n for n, (a, b) in enumerate(zip(ours.ids, theirs.ids, strict=False)) if a != b), None)
        assert place is None or ours.gaps[place] < 0.1
        same += place is None
    assert same >= 3
    assert isinstance(theirs, Written) and len(theirs.logs) == len(theirs.ids)
