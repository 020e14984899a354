"""What a 4-bit or 8-bit base is: its weights rounded and widened again.

QLoRA trains against the rounded weights, so that its adapter is right on those and not on the ones that
were rounded (peft#2321: six points lost by merging into the wrong ones). The rounding is bitsandbytes' own,
with the settings of the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from corpora.errors import Conflict, Missing

if TYPE_CHECKING:
    import torch

Rounding = Literal["nf4", "int8"]

ROUNDINGS: Mapping[str, Rounding] = {"qlora": "nf4", "int8": "int8"}


def rounded_weights(folder: Path) -> frozenset[str]:
    """Names of the weights in `folder` that a load in few bits rounds: of all linear layers but the head."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.quantizers.base import get_keys_to_not_convert
    from transformers.quantizers.quantizers_utils import should_convert_module

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError) as error:
        raise Conflict(f"The model in {folder} cannot be used: {error}", code="model_unusable") from error
    kept = get_keys_to_not_convert(model)
    return frozenset(
        f"{name}.weight"
        for name, module in model.named_modules()
        if type(module) is torch.nn.Linear and should_convert_module(name, kept)
    )


def rounded(weight: torch.Tensor, rounding: Rounding) -> torch.Tensor:
    """`weight` (out, in) as a base in few bits has it, in bfloat16. Raises Missing without bitsandbytes."""
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise Missing(
            "This adapter was trained on a base in few bits; to merge it needs bitsandbytes.",
            hint="pip install bitsandbytes",
            code="device_missing",
        )
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return (_nf4 if rounding == "nf4" else _int8)(weight.to(torch.bfloat16), device).cpu()


def _nf4(weight: torch.Tensor, device: str) -> torch.Tensor:
    import torch
    from bitsandbytes import functional, nn

    layers: Any = nn  # whose annotations do not fit torch's
    held = layers.Params4bit(weight, requires_grad=False, quant_type="nf4", compress_statistics=True).to(
        device
    )
    widened: torch.Tensor = functional.dequantize_4bit(held.data, held.quant_state)
    return widened.to(torch.bfloat16)


def _int8(weight: torch.Tensor, device: str) -> torch.Tensor:
    import torch
    from bitsandbytes import nn

    layers: Any = nn
    held = layers.Int8Params(weight, requires_grad=False, has_fp16_weights=False).to(device)
    widened: torch.Tensor = held.data.float() * (held.SCB.float().unsqueeze(1) / 127)
    return widened.to(torch.bfloat16)
