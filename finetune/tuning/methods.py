"""Ways of training: the base in the precision that a method wants, and what of it is trained."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib.util import find_spec
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from corpora.errors import Conflict, Missing, UsageError
from finetune.tuning.settings import LORA_METHODS, Method, TuneSettings
from index.vector_math import settle_vector_math

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig
    from torch.nn import Parameter
    from transformers import PreTrainedModel

_RATES: dict[Method, float] = {
    "freeze": 2e-5,
    "full": 2e-5,
    "prompt": 3e-2,
    "prefix": 1e-2,
    "p-tuning": 1e-3,
}
_ENCODER_SIZE = 128  # of p-tuning's little network
_QUANTISED = frozenset({"qlora", "int8"})


def settings_for(method: Method) -> TuneSettings:
    """The defaults of a method: those of LoRA with a learning rate that suits it."""
    settings = TuneSettings(method=method)
    if method not in _RATES:
        return settings
    changed = replace(settings, learning_rate=_RATES[method])
    return replace(changed, origins={"learning_rate": f"default (of {method} tuning)"})


def load_for_training(
    base_folder: Path, settings: TuneSettings, start: Path | None = None
) -> PreTrainedModel:
    """The base in `base_folder`, ready to be trained by `settings.method`.

    `start` is an adapter whose weights are the beginning (its rank and layers hold). Raises Conflict where
    base or adapter cannot be used, UsageError for an adapter that the method cannot begin from, Missing.
    """
    if start is not None and settings.method not in LORA_METHODS:
        raise UsageError(f"{settings.method} tuning does not start from an adapter.")
    model = _base(base_folder, settings.method)
    if settings.method == "full":
        model.requires_grad_(True)
    elif settings.method == "freeze":
        _freeze_all_but(model, settings.last_layers)
    elif start is not None:
        model = _begun(model, start)
    else:
        model = _wrapped(model, settings)
    _set_precision(model, settings.method)
    return model


def compute_dtype() -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    import torch

    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    flags = torch.cpu.get_capabilities()
    return torch.bfloat16 if flags.get("avx512_bf16") or flags.get("amx_bf16") else torch.float32


def trained_parameters(model: PreTrainedModel) -> dict[str, Parameter]:
    """Everything that training changes, by name, in the model's order."""
    return {name: one for name, one in model.named_parameters() if one.requires_grad}


def _base(folder: Path, method: Method) -> PreTrainedModel:
    getLogger("bitsandbytes").setLevel(ERROR)  # it says at every import that it has no kernels of a hub
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging

    settle_vector_math()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    dtype = compute_dtype()
    options: dict[str, Any] = {"attn_implementation": "sdpa", "low_cpu_mem_usage": True, "dtype": dtype}
    if torch.cuda.is_available():
        options["device_map"] = {"": 0}
    if method in _QUANTISED:
        if find_spec("bitsandbytes") is None:
            raise Missing(
                f"{method} needs bitsandbytes.",
                hint="pip install bitsandbytes, or --method lora",
                code="device_missing",
            )
        options["dtype"] = torch.bfloat16
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_8bit=method == "int8",
            load_in_4bit=method == "qlora",
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise Conflict(f"The model in {folder} cannot be used: {error}", code="model_unusable") from error
    model.requires_grad_(False)
    _keep_trainable(model)
    return model


def _keep_trainable(model: PreTrainedModel) -> None:
    """Forbid bitsandbytes to repack 4-bit weights for answering while a model is being evaluated.

    On a processor with AVX512-BF16 it does so in the first forward pass in evaluation mode, for good, and
    the packed product passes no gradient back: training after an evaluation would go on without the layers
    below.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def _wrapped(model: PreTrainedModel, settings: TuneSettings) -> PreTrainedModel:
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it has renamed
        wrapped = get_peft_model(model, _adapter(settings), autocast_adapter_dtype=False)
    return cast("PreTrainedModel", wrapped)


def _adapter(settings: TuneSettings) -> PeftConfig:
    from peft import LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig

    if settings.method == "prompt":
        return PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=settings.virtual_tokens)
    if settings.method == "prefix":
        return PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=settings.virtual_tokens)
    if settings.method == "p-tuning":
        return PromptEncoderConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=settings.virtual_tokens,
            encoder_hidden_size=_ENCODER_SIZE,
        )
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",  # all but the head, found by peft
        use_dora=settings.method == "dora",
        use_rslora=settings.method == "rslora",
    )


def _begun(model: PreTrainedModel, start: Path) -> PreTrainedModel:
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            begun = PeftModel.from_pretrained(
                model, str(start), is_trainable=True, local_files_only=True, autocast_adapter_dtype=False
            )
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise Conflict(
            f"The adapter in {start} does not fit the model: {error}", code="wrong_base"
        ) from error
    return cast("PreTrainedModel", begun)


def _freeze_all_but(model: PreTrainedModel, last: int) -> None:
    layers = decoder_layers(model)
    for layer in layers[-last:]:
        layer.requires_grad_(True)


def decoder_layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The blocks of a decoder, first to last."""
    import torch

    lists = [one for one in model.modules() if isinstance(one, torch.nn.ModuleList)]
    depth = model.config.get_text_config().num_hidden_layers
    layers = next((one for one in lists if len(one) == depth), None)
    if layers is None:
        raise Conflict(
            "This model's layers cannot be told apart.", hint="--method lora", code="model_unusable"
        )
    return list(layers)


def _set_precision(model: PreTrainedModel, method: Method) -> None:
    """LoRA matrices in the precision of the layers around them, so that no activation is cast to and fro.

    The optimizer keeps float32 copies. DoRA's magnitudes and virtual tokens are few and stay in float32.
    """
    import torch

    if method not in LORA_METHODS:
        return
    dtype = torch.bfloat16 if method in _QUANTISED else compute_dtype()
    for name, one in trained_parameters(model).items():
        one.data = one.data.to(torch.float32 if "lora_magnitude_vector" in name else dtype)


def set_gradient_checkpointing(model: PreTrainedModel, on: bool) -> None:
    """Make activations anew in the backward pass, or keep them."""
    base = inner_model(model)
    name = (
        "activation_checkpointing"
        if hasattr(base, "activation_checkpointing_enable")
        else "gradient_checkpointing"
    )
    if on:
        getattr(base, f"{name}_enable")(**{f"{name}_kwargs": {"use_reentrant": False}})
    elif makes_activations_anew(model):
        getattr(base, f"{name}_disable")()


def makes_activations_anew(model: PreTrainedModel) -> bool:
    """Whether gradient checkpointing is on."""
    base = inner_model(model)
    now = getattr(base, "is_activation_checkpointing", None)  # its name since transformers 5.20 or so
    return bool(base.is_gradient_checkpointing if now is None else now)


def inner_model(model: PreTrainedModel) -> Any:
    """The transformers model itself, adapters in its layers, without what peft puts around it."""
    return cast("Any", model).get_base_model() if hasattr(model, "get_base_model") else model
