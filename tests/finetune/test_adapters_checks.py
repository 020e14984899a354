"""An adapter from anywhere: damaged, hostile or unfit ones are refused before a weight is loaded."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapter_makers import CONFIG, LAYERS, TEMPLATE, tensors, write, write_base, write_card

from corpora.errors import Conflict
from finetune.adapters.fitting import check_adapter, check_fits, check_shapes_on
from finetune.adapters.weights import check_weights, read_header
from finetune.base_identity import BaseIdentity, base_fingerprint, template_sha256
from finetune.card import Card

PICKLED = b"\x80\x04\x95\n\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."  # {"a": 1}
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture()
def base(tmp_path: Path) -> BaseIdentity:
    return write_base(tmp_path / "base")


def refused(folder: Path, code: str) -> str:
    with pytest.raises(Conflict) as caught:
        check_adapter(folder)
    assert (caught.value.exit_code, caught.value.code) == (5, code)
    return caught.value.message


def test_a_sound_adapter_passes(tmp_path: Path, base: BaseIdentity) -> None:
    card = write(tmp_path / "good", base)
    assert check_adapter(tmp_path / "good") == card
    check_fits(card, base)
    check_shapes_on("good", tmp_path / "base", read_header(tmp_path / "good"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_one_value_that_is_no_number_is_found(
    tmp_path: Path, base: BaseIdentity, kind: str, value: float
) -> None:
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "bad"
    weights = {name: torch.tensor(one).to(getattr(torch, kind)) for name, one in tensors().items()}
    for damage in (False, True):
        write(folder, base)
        if damage:
            next(iter(weights.values()))[-1, -1] = value
        save_file(weights, folder / WEIGHTS)
        write_card(folder, base)
        if not damage:
            check_adapter(folder)
    assert "no numbers" in refused(folder, "bad_adapter")


def test_pickled_weights_are_refused_unread(tmp_path: Path, base: BaseIdentity) -> None:
    folder = tmp_path / "bad"
    write(folder, base)
    (folder / WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(PICKLED)
    assert "pickle" in refused(folder, "pickle_refused")
    (folder / "adapter_model.bin").rename(folder / WEIGHTS)
    refused(folder, "bad_adapter")


def test_every_changed_byte_of_the_weights_is_seen(tmp_path: Path, base: BaseIdentity) -> None:
    folder = tmp_path / "bad"
    write(folder, base)
    data = (folder / WEIGHTS).read_bytes()
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 1
        (folder / WEIGHTS).write_bytes(changed)
        with pytest.raises(Conflict):
            check_adapter(folder)
    for size in (0, 7, 100, len(data) - 1):
        (folder / WEIGHTS).write_bytes(data[:size])
        refused(folder, "bad_adapter")
    (folder / WEIGHTS).write_bytes(data + b"\0")
    refused(folder, "bad_adapter")


def header_of(**entries: Any) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(64)


F32 = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 1 << 62),
        struct.pack("<Q", 200 << 20) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 9000) + b"[" * 9000,
        header_of(a={**F32, "dtype": "I64"}),
        header_of(a={**F32, "shape": [1 << 40, 1 << 40]}),
        header_of(a={**F32, "shape": [-4, -4]}),
        header_of(a={**F32, "shape": [4.0, 4.0]}),
        header_of(a={**F32, "shape": [True, 16]}),
        header_of(a={**F32, "shape": [0]}),
        header_of(a={**F32, "data_offsets": [0, 128], "shape": [32]}),
        header_of(a={**F32, "data_offsets": [-64, 0]}),
        header_of(a={**F32, "data_offsets": [0]}),
        header_of(a=F32, b=F32),
        header_of(a=7),
        header_of(__metadata__={"x": "y"}),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, base: BaseIdentity, data: bytes) -> None:
    write(tmp_path / "bad", base)
    (tmp_path / "bad" / WEIGHTS).write_bytes(data)
    with pytest.raises(Conflict) as caught:
        check_weights(tmp_path / "bad", None)
    assert caught.value.code == "bad_adapter"


@pytest.mark.parametrize(
    "change",
    [
        {"auto_mapping": {"base_model_class": "x", "parent_library": "os"}},
        {"peft_type": "XLORA"},
        {"peft_type": None},
        {"peft_type": ["LORA"]},
        {"task_type": "SEQ_CLS"},
        {"modules_to_save": ["lm_head"]},
        {"custom_modules": {"a": "b"}},
        {"megatron_config": {"x": 1}},
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "/etc/passwd"},
        {"loftq_config": {"bits": 4}},
        {"corda_config": {"cache_file": "/etc/passwd"}},
        {"layer_replication": [[0, 1000000]]},
        {"target_modules": "(a+)+$"},
        {"rank_pattern": {"(a+)+$": 2}},
        {"rank_pattern": {"q_proj": 10**9}},
        {"r": 0},
        {"r": True},
        {"r": 10**9},
        {"lora_alpha": "4"},
        {"lora_alpha": 1e300},
        {"bias": "all"},
        {"lora_bias": True},
        {"trainable_token_indices": [1]},
        {"some_new_setting": 1},
        {
            "peft_type": "PROMPT_TUNING",
            "num_virtual_tokens": 2,
            "prompt_tuning_init": "TEXT",
            "tokenizer_name_or_path": "someone/theirs",
            "tokenizer_kwargs": {"trust_remote_code": True},
        },
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_settings_that_could_do_more_than_answer_are_refused(
    tmp_path: Path, base: BaseIdentity, change: dict[str, Any]
) -> None:
    write(tmp_path / "bad", base, config=change)
    refused(tmp_path / "bad", "bad_adapter")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"[" * 100_000, b" " * (2 << 20), json.dumps({**CONFIG, "r": None}).encode()]
)
def test_a_config_that_is_none_is_refused(tmp_path: Path, base: BaseIdentity, data: bytes) -> None:
    write(tmp_path / "bad", base)
    (tmp_path / "bad" / "adapter_config.json").write_bytes(data)
    refused(tmp_path / "bad", "bad_adapter")


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json", "card.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "gone"])
def test_files_of_the_folder_are_its_own(tmp_path: Path, base: BaseIdentity, name: str, kind: str) -> None:
    folder = tmp_path / "bad"
    write(folder, base)
    if kind == "link":
        (folder / name).rename(tmp_path / "outside")
        (folder / name).symlink_to(tmp_path / "outside")
    else:
        (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "folder":
        (folder / name).mkdir()
    with pytest.raises(Conflict):
        check_adapter(folder)


def _without_half(weights: dict[str, Any]) -> None:
    weights.pop(next(name for name in weights if "lora_B" in name))


def _with_a_stranger(weights: dict[str, Any]) -> None:
    weights["base_model.model.lm_head.weight"] = np.zeros((4, 4), np.float32)


def _with_another_rank(weights: dict[str, Any]) -> None:
    weights.update(tensors(rank=3))


def _with_magnitudes(weights: dict[str, Any]) -> None:
    name = f"base_model.model.{next(iter(LAYERS))}.lora_magnitude_vector"
    weights[name] = np.zeros(8, np.float32)


@pytest.mark.parametrize("change", [_without_half, _with_a_stranger, _with_another_rank, _with_magnitudes])
def test_weights_and_config_belong_together(
    tmp_path: Path, base: BaseIdentity, change: Callable[[dict[str, Any]], None]
) -> None:
    weights = dict(tensors())
    change(weights)
    write(tmp_path / "bad", base, weights=weights)
    refused(tmp_path / "bad", "bad_adapter")


def test_matrices_of_another_size_than_the_layers_are_refused(tmp_path: Path, base: BaseIdentity) -> None:
    weights = {name: one[:, :-1] if "lora_A" in name else one for name, one in tensors().items()}
    card = write(tmp_path / "bad", base, weights={n: np.ascontiguousarray(w) for n, w in weights.items()})
    check_fits(card, base)
    with pytest.raises(Conflict) as caught:
        check_shapes_on("bad", tmp_path / "base", read_header(tmp_path / "bad"))
    assert caught.value.code == "wrong_base"


def test_another_base_template_or_prompt_is_told_apart(tmp_path: Path, base: BaseIdentity) -> None:
    card = write(tmp_path / "good", base)
    other = write_base(tmp_path / "other", seed=1)
    cases: list[tuple[Card, BaseIdentity, str]] = [
        (card, other, "wrong_base"),
        (card, replace(base, template_sha256="0" * 64), "wrong_template"),
        (replace(card, prompt_version="0"), base, "wrong_prompt"),
    ]
    for one, identity, code in cases:
        with pytest.raises(Conflict) as caught:
            check_fits(one, identity)
        assert (caught.value.exit_code, caught.value.code) == (5, code)
        assert caught.value.hint and "--adapter none" in caught.value.hint


def test_the_fingerprint_is_of_the_weights_not_of_their_files(tmp_path: Path, base: BaseIdentity) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(tmp_path / "base" / "model.safetensors")
    parts = tmp_path / "parts"
    parts.mkdir()
    for number, (name, value) in enumerate(weights.items()):
        save_file({name: value}, parts / f"model-{number}.safetensors", metadata={"format": "pt"})
    assert base_fingerprint(parts) == base.fingerprint
    name, value = next(iter(weights.items()))
    save_file({name: value + 1}, parts / "model-0.safetensors")
    assert base_fingerprint(parts) != base.fingerprint
    with pytest.raises(Conflict):
        base_fingerprint(tmp_path)


def test_the_template_hash_sees_source_and_strings() -> None:
    from corpora.chat_template import ChatTemplate

    made = {
        template_sha256(ChatTemplate(source, strings))
        for source in ("a", "b")
        for strings in ({}, {"eos_token": "x"}, {"eos_token": "y"})
    }
    assert len(made) == 6


@pytest.mark.parametrize("method", ["lora", "dora", "rslora", "prompt", "prefix", "p-tuning"])
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_what_our_own_training_saves_passes(tmp_path: Path, method: Any) -> None:
    from tuning_models import write_llama

    from finetune.tuning.methods import load_for_training, settings_for

    model: Any = load_for_training(write_llama(tmp_path / "llama"), settings_for(method))
    folder = tmp_path / "made"
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    identity = BaseIdentity("llama", base_fingerprint(tmp_path / "llama"), TEMPLATE)
    write_card(folder, identity)
    check_adapter(folder)
    check_shapes_on("made", tmp_path / "llama", read_header(folder))
