"""A merge changes the base by exactly the weighted sum of what its parts change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import taught_library
from adapter_makers import LAYERS, put, tensors, write_base
from numpy.typing import NDArray
from safetensors.numpy import load_file

from corpora.errors import Conflict, Missing, UsageError
from corpora.store import Library
from finetune.adapters.config import read_config
from finetune.adapters.fitting import by_module, check_adapter
from finetune.adapters.merge import merge
from finetune.adapters.store import Adapter, in_library
from finetune.base_identity import BaseIdentity
from finetune.card import Data, DocumentVersion, Part, Serving, Source

Q, V = LAYERS


@pytest.fixture()
def library(tmp_path: Path) -> Iterator[Library]:
    with taught_library.make(tmp_path / ".assistant") as made:
        yield made


@pytest.fixture()
def base(tmp_path: Path) -> BaseIdentity:
    return write_base(tmp_path / "base")


def change(adapter: Adapter) -> dict[str, NDArray[Any]]:
    """What the adapter adds to the weights of each layer, by peft's formula."""
    config, weights = read_config(adapter.folder), load_file(adapter.folder / "adapter_model.safetensors")
    found = {}
    for layer in LAYERS:
        key = f"base_model.model.{layer}.lora_"
        if f"{key}A.weight" in weights:
            rank = by_module(config.ranks, layer, config.rank)
            scale = by_module(config.alphas, layer, config.alpha) / (
                rank**0.5 if config.rank_stabilised else rank
            )
            found[layer] = scale * weights[f"{key}B.weight"] @ weights[f"{key}A.weight"]
    return found


def test_the_sum_is_exact_for_other_ranks_and_scalings(library: Library, base: BaseIdentity) -> None:
    a = put(library, base, "a", weights=tensors(seed=1))
    b = put(library, base, "b", weights=tensors(rank=3, seed=2), config={"r": 3, "use_rslora": True})
    both = merge(library, "both", {"a": 0.75, "b": -0.5})
    one, other, made = change(a), change(b), change(both)
    for layer in LAYERS:
        np.testing.assert_allclose(made[layer], 0.75 * one[layer] - 0.5 * other[layer], rtol=1e-5)
    assert read_config(both.folder).rank == 5
    assert [path.name for path in (library.folder / "adapters").iterdir() if path.name.startswith(".")] == []


def test_a_layer_that_only_one_part_has_counts_for_it_alone(library: Library, base: BaseIdentity) -> None:
    a = put(library, base, "a", weights=tensors(seed=1))
    only = {name: one for name, one in tensors(seed=2).items() if Q in name}
    b = put(library, base, "b", weights=only, config={"target_modules": ["q_proj"]})
    both = merge(library, "both", {"a": 1.0, "b": 2.0})
    check_adapter(both.folder)
    one, other, made = change(a), change(b), change(both)
    np.testing.assert_allclose(made[Q], one[Q] + 2 * other[Q], rtol=1e-5)
    np.testing.assert_allclose(made[V], one[V], rtol=1e-5)


def test_the_card_tells_of_all_parts(library: Library, base: BaseIdentity) -> None:
    def data(path: str, licence: str) -> Data:
        documents = (DocumentVersion(path, "1" * 64), DocumentVersion("both.md", "2" * 64))
        return Data("6" * 64, {"grounded": 2}, {"self-qa": 2}, ("en",), documents, (Source("s", licence, 2),))

    a = put(library, base, "a", data=data("a.md", "MIT"), licences=("MIT",), serving=Serving(False, 0.2))
    b = put(library, base, "b", data=data("b.md", "CC0"), licences=("CC0",), serving=Serving(False, 0.6))
    card = check_adapter(merge(library, "both", {"a": 3.0, "b": 1.0}).folder)
    assert (card.name, card.method, card.parent, card.training) == ("both", "merge", None, None)
    parts = [(one, check_adapter(one.folder).weights_sha256) for one in (a, b)]
    assert card.merged_from == tuple(
        Part(one.name, sha256, weight) for (one, sha256), weight in zip(parts, (3.0, 1.0), strict=True)
    )
    assert [document.path for document in card.data.documents] == ["a.md", "both.md", "b.md"]
    assert card.data.kinds == {"grounded": 4} and card.licences == ("MIT", "CC0")
    assert card.serving and card.serving.refusal_threshold == pytest.approx(0.3)
    assert card.verdict and not card.verdict.promoted and not card.verdict.gate


def test_the_rounding_of_the_base_is_kept_where_the_parts_agree(library: Library, base: BaseIdentity) -> None:
    for name, method in (("a", "qlora"), ("b", "qlora"), ("c", "lora")):
        put(library, base, name, weights=tensors(seed=ord(name)), method=method)
    both = merge(library, "both", {"a": 1.0, "b": 1.0})
    again = merge(library, "again", {"both": 1.0, "a": 1.0})
    mixed = merge(library, "mixed", {"a": 1.0, "c": 1.0})
    for adapter in (both, again):
        assert check_adapter(adapter.folder).settings["method"].value == "qlora"
    assert check_adapter(mixed.folder).settings == {}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"template_sha256": "0" * 64}, "wrong_template"),
        ({"prompt_version": "0"}, "wrong_prompt"),
        ({"purpose": "question"}, "not_mergeable"),
        ({"serving": Serving(True, None)}, "not_mergeable"),
        ({"serving": None}, "not_mergeable"),
    ],
)
def test_what_was_taught_otherwise_is_not_merged(
    library: Library, base: BaseIdentity, options: dict[str, Any], code: str
) -> None:
    put(library, base, "a")
    put(library, base, "b", **options)
    with pytest.raises(Conflict) as caught:
        merge(library, "both", {"a": 0.5, "b": 0.5})
    assert caught.value.code == code
    assert [adapter.name for adapter in in_library(library)] == ["a", "b"]


def test_parts_of_other_bases_or_kinds_are_not_merged(
    library: Library, base: BaseIdentity, tmp_path: Path
) -> None:
    put(library, base, "a")
    put(library, write_base(tmp_path / "other", seed=1), "b")
    put(library, replace(base, name="same weights, other name"), "c")
    dora = {name.replace("lora_B.weight", "lora_magnitude_vector"): one[:, 0].copy()
            for name, one in tensors().items() if "lora_B" in name}  # fmt: skip
    put(library, base, "d", weights=tensors() | dora, config={"use_dora": True})
    for other, code in (("b", "wrong_base"), ("d", "not_mergeable")):
        with pytest.raises(Conflict) as caught:
            merge(library, "both", {"a": 0.5, other: 0.5})
        assert caught.value.code == code
    merge(library, "both", {"a": 0.5, "c": 0.5})


@pytest.mark.parametrize(
    "weights",
    [{}, {"a": 1.0}, {"a": 1.0, "b": 0.0}, {"a": float("nan"), "b": 1.0}, {"a": 1.0, "b": float("inf")}],
)
def test_weights_that_make_no_sum(library: Library, base: BaseIdentity, weights: dict[str, float]) -> None:
    put(library, base, "a")
    put(library, base, "b")
    with pytest.raises(UsageError):
        merge(library, "both", weights)


def test_names_that_are_taken_or_unknown(library: Library, base: BaseIdentity) -> None:
    put(library, base, "a")
    put(library, base, "b")
    with pytest.raises(Conflict):
        merge(library, "a", {"a": 0.5, "b": 0.5})
    with pytest.raises(Missing):
        merge(library, "c", {"a": 0.5, "absent": 0.5})
    with pytest.raises(UsageError):
        merge(library, "../c", {"a": 0.5, "b": 0.5})


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_the_model_answers_with_it_as_with_the_sum_of_both(library: Library, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from tiny_chat import write_adapter, write_model
    from transformers import AutoModelForCausalLM

    from finetune.adapters.store import install
    from finetune.card import Card

    folder = write_model(tmp_path / "tiny")
    for name, scale in (("a", 0.2), ("b", 0.4)):
        made = write_adapter(tmp_path / "made" / name, folder, serving=None, scale=scale)
        install(library, made, Card.read(made))
    both = merge(library, "both", {"a": 0.7, "b": 0.6})
    assert json.loads((both.folder / "adapter_config.json").read_text())["r"] == 4

    def logits(*parts: tuple[str, float]) -> torch.Tensor:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        plain = {name: one.detach().clone() for name, one in model.named_parameters()}
        for name, weight in parts:
            tuned: Any = PeftModel.from_pretrained(
                AutoModelForCausalLM.from_pretrained(folder, local_files_only=True),
                str(library.folder / "adapters" / name),
            )
            changed = dict(tuned.merge_and_unload().named_parameters())
            for key, parameter in model.named_parameters():
                parameter.data += weight * (changed[key] - plain[key])
        with torch.inference_mode():
            return model(torch.arange(5, 40)[None]).logits  # type: ignore[no-any-return]

    summed, merged = logits(("a", 0.7), ("b", 0.6)), logits(("both", 1.0))
    torch.testing.assert_close(merged, summed, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(merged, logits(), atol=1e-2)
