"""Sound adapters, written by hand on a base of two small layers, for tests to damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from corpora.prompt import PROMPT_VERSION
from corpora.store import Library
from finetune.adapters.store import Adapter, install, weights_sha256
from finetune.base_identity import BaseIdentity, base_fingerprint
from finetune.card import Base, Card, Data, Serving

LAYERS = {"model.layers.0.self_attn.q_proj": (8, 6), "model.layers.0.self_attn.v_proj": (4, 6)}  # out, in
TEMPLATE = "5" * 64
CONFIG: dict[str, Any] = {
    "task_type": "CAUSAL_LM",
    "peft_type": "LORA",
    "auto_mapping": None,
    "base_model_name_or_path": "small",
    "inference_mode": True,
    "r": 2,
    "lora_alpha": 4,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
    "bias": "none",
    "init_lora_weights": True,
    "rank_pattern": {},
    "alpha_pattern": {},
    "use_rslora": False,
    "use_dora": False,
    "megatron_core": "megatron.core",
}


def write_base(folder: Path, *, seed: int = 0) -> BaseIdentity:
    """The weights of a base, and what it is."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    weights = {f"{name}.weight": random.standard_normal(shape) for name, shape in LAYERS.items()}
    save_file(
        {name: value.astype(np.float32) for name, value in weights.items()}, folder / "model.safetensors"
    )
    return BaseIdentity("small", base_fingerprint(folder), TEMPLATE)


def tensors(*, rank: int = 2, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """LoRA matrices for the two layers."""
    random = np.random.default_rng(seed)
    found = {}
    for name, (outs, ins) in LAYERS.items():
        a, b = random.standard_normal((rank, ins)), random.standard_normal((outs, rank))
        found[f"base_model.model.{name}.lora_A.weight"] = a.astype(np.float32)
        found[f"base_model.model.{name}.lora_B.weight"] = b.astype(np.float32)
    return found


def write(
    folder: Path,
    base: BaseIdentity,
    *,
    weights: dict[str, NDArray[Any]] | None = None,
    config: dict[str, Any] | None = None,
    **card: Any,
) -> Card:
    """An adapter folder; `config` and `card` replace single entries."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors() if weights is None else weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | (config or {})))
    return write_card(folder, base, **card)


def write_card(folder: Path, base: BaseIdentity, **card: Any) -> Card:
    """The card of the adapter in `folder`."""
    values: dict[str, Any] = {
        "name": folder.name,
        "created": "2026-02-03T04:05:06+00:00",
        "base": Base(base.name, base.fingerprint),
        "template_sha256": base.template_sha256,
        "prompt_version": PROMPT_VERSION,
        "weights_sha256": weights_sha256(folder),
        "method": "lora",
        "data": Data("6" * 64, {"grounded": 2}, {"self-qa": 2}, ("en",), (), ()),
        "serving": Serving(examples=False, refusal_threshold=None),
    }
    made = Card(**{**values, **card})
    made.write(folder)
    return made


def put(library: Library, base: BaseIdentity, name: str, **options: Any) -> Adapter:
    """An adapter in the library."""
    source = library.folder.parent / "made" / name
    return install(library, source, write(source, base, **options))
