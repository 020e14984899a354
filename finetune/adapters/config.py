"""adapter_config.json, untrusted: only what cannot run code, fetch files or change the base.

peft would import a module that `auto_mapping` names, load a tokenizer from a hub for a prompt's first words,
and decompose the base's own weights for some ways of beginning; nothing that we write has any of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.errors import Conflict
from finetune.strict_json import read_json

CONFIG = "adapter_config.json"
_LARGEST = 1 << 20  # bytes
_MODULES = re.compile(r"[A-Za-z0-9_.]{1,200}")  # names; peft would take a regular expression too
_LARGEST_RANK = 4096

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """What is needed of it here. `rank` and `alpha` are those of LoRA, with exceptions by module."""

    kind: str
    base: str | None
    rank: int = 0
    alpha: float = 0.0
    ranks: Mapping[str, int] | None = None
    alphas: Mapping[str, float] | None = None
    rank_stabilised: bool = False
    dora: bool = False
    virtual_tokens: int = 0

    @property
    def is_lora(self) -> bool:
        """Whether it works inside the layers, so that it can be switched and merged."""
        return self.kind == "LORA"


def read_config(folder: Path) -> AdapterConfig:
    """The config in `folder`. Raises Conflict (bad_adapter) for anything that is not known to be harmless."""
    try:
        value = read_json(folder / CONFIG, limit=_LARGEST)
        if not isinstance(value, dict):
            raise ValueError("it is no object")
        kind = value.get("peft_type")
        if not isinstance(kind, str) or kind not in _KINDS:
            raise ValueError(f"the kind {kind!r} is not known here")
        for name, given in value.items():
            allowed = {**_COMMON, **_KINDS[kind]}.get(name, _is_unset)
            if not allowed(given):
                raise ValueError(f"{name} may not be {str(given)[:80]!r}")
        return _of(kind, value)
    except OSError as error:
        raise Conflict(
            f"{folder.name} is no adapter: {CONFIG}: {error.strerror}.", code="bad_adapter"
        ) from error
    except (ValueError, KeyError) as error:
        raise Conflict(
            f"Refused the adapter {folder.name}: {CONFIG}: {error}.", code="bad_adapter"
        ) from error


def _of(kind: str, value: Mapping[str, Any]) -> AdapterConfig:
    base = value.get("base_model_name_or_path")
    if kind != "LORA":
        return AdapterConfig(kind, base, virtual_tokens=value["num_virtual_tokens"])
    return AdapterConfig(
        kind,
        base,
        rank=value["r"],
        alpha=float(value["lora_alpha"]),
        ranks=value.get("rank_pattern") or {},
        alphas=value.get("alpha_pattern") or {},
        rank_stabilised=bool(value.get("use_rslora")),
        dora=bool(value.get("use_dora")),
    )


def _is_unset(value: Any) -> bool:
    return value is None or value is False or value in ({}, [], "")


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 4096)


def _is_rank(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_RANK


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e6


def _is_flag(value: Any) -> bool:
    return value is None or type(value) is bool


def _is_modules(value: Any) -> bool:
    """None, one name, or names."""
    names = [value] if isinstance(value, str) else value
    return names is None or (
        isinstance(names, list)
        and len(names) <= 100_000
        and all(isinstance(name, str) and _MODULES.fullmatch(name) for name in names)
    ) or value == "all-linear"  # fmt: skip


def _is_numbers(value: Any) -> bool:
    return (
        value is None
        or type(value) is int
        or (isinstance(value, list) and all(type(n) is int for n in value))
    )


def _is_pattern(check: Check) -> Check:
    def holds(value: Any) -> bool:
        return value is None or (
            isinstance(value, dict)
            and len(value) <= 100_000
            and all(_MODULES.fullmatch(name) is not None and check(one) for name, one in value.items())
        )

    return holds


def _anything(value: Any) -> bool:
    return True  # peft reads it only beside a setting that is refused


def _one_of(*values: object) -> Check:
    return lambda value: any(type(value) is type(one) and value == one for one in values)


_COMMON: Mapping[str, Check] = {
    "peft_type": _is_text,
    "peft_version": _is_text,
    "task_type": _one_of("CAUSAL_LM"),
    "base_model_name_or_path": _is_text,
    "revision": _is_text,
    "inference_mode": _is_flag,
}
_VIRTUAL: Mapping[str, Check] = {
    "num_virtual_tokens": _is_rank,
    "token_dim": _is_numbers,
    "num_transformer_submodules": _is_numbers,
    "num_attention_heads": _is_numbers,
    "num_layers": _is_numbers,
    "encoder_hidden_size": _is_numbers,
}
_KINDS: Mapping[str, Mapping[str, Check]] = {
    "LORA": {
        "r": _is_rank,
        "lora_alpha": _is_number,
        "lora_dropout": _is_number,
        "target_modules": _is_modules,
        "exclude_modules": _is_modules,
        "bias": _one_of("none"),
        "use_rslora": _is_flag,
        "use_dora": _is_flag,
        "init_lora_weights": _one_of(True, False, "gaussian"),
        "layers_to_transform": _is_numbers,
        "layers_pattern": _is_modules,
        "rank_pattern": _is_pattern(_is_rank),
        "alpha_pattern": _is_pattern(_is_number),
        "megatron_core": _anything,
        "qalora_group_size": _anything,
    },
    "PROMPT_TUNING": {**_VIRTUAL, "prompt_tuning_init": _one_of("RANDOM")},
    "PREFIX_TUNING": _VIRTUAL,
    "P_TUNING": {
        **_VIRTUAL,
        "encoder_reparameterization_type": _one_of("MLP", "LSTM"),
        "encoder_num_layers": _is_numbers,
        "encoder_dropout": _is_number,
    },
}
