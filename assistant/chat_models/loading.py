"""From the name of a local model to weights in memory: precision, adapter, nothing from a hub, no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.chat_models.adapters import adapter_for, attach_adapter, serving_of_model
from assistant.chat_models.folding import folded
from assistant.chat_models.identity import model_fingerprint
from assistant.chat_models.local import LocalChatModel, LocalWeights
from corpora.errors import Conflict, Missing
from finetune.chat_tokens import end_ids, load_tokenizer, start_id, template_of
from index.vector_math import settle_vector_math

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from assistant.chat_models.prefill import Layers
    from corpora.store import Library

_MAX_CONTEXT = 8192  # more is slow on the machines this is for, and passages of one question are far less
_FOUR_BIT_FROM = 3_000_000_000  # parameters; below, 4 bits save little and cost time and quality
_SPARE_BYTES = 2 << 30  # for the cache of keys and values, and for the desktop


def load_local(
    name: str,
    *,
    adapter: str | None,
    library: Library | None,
    default_adapter: bool,
    offline: bool,
    max_new_tokens: int,
) -> LocalChatModel:
    """The local model called `name` with its adapter (see `adapter_for`). Raises Missing, Conflict."""
    from index.weights import model_folder

    folder = model_folder(name, offline=offline)
    if (folder / "adapter_config.json").is_file():
        raise Conflict(f"{name} is an adapter, not a model.", hint=f"--adapter {name}", code="not_a_model")
    tokenizer = load_tokenizer(folder)
    template = template_of(tokenizer, name)
    fitting = adapter_for(name, folder, adapter, library, default=default_adapter, template=template)
    model = _model(folder)
    serving = fitting.serving if fitting else serving_of_model(folder)
    opening: Layers = ()
    if fitting is not None:
        model, opening = attach_adapter(model, fitting.folder)
    model, one = folded(model)
    _flatten_last(model)
    parts = [*_precision(model), *([str(serving)] if serving else []), *(["folded"] if one else [])]
    context = min(int(getattr(model.config, "max_position_embeddings", _MAX_CONTEXT)), _MAX_CONTEXT)
    weights = LocalWeights(
        model=model.eval(),  # type: ignore[no-untyped-call]
        tokenizer=tokenizer,
        template=template,
        context=context - (opening[0][0].shape[2] if opening else 0),
        stop_ids=end_ids(tokenizer, model.config, model.generation_config),
        start_id=start_id(tokenizer),
        fingerprint=model_fingerprint(folder, fitting.folder if fitting else None, parts),
        serving=serving,
        opening=opening,
    )
    adapter_name = fitting.name if fitting else None
    return LocalChatModel(weights, model_name=name, adapter_name=adapter_name, max_new_tokens=max_new_tokens)


def _model(folder: Path) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    settle_vector_math()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"attn_implementation": "sdpa", "low_cpu_mem_usage": True}
    if torch.cuda.is_available():
        options |= {"dtype": torch.bfloat16, "device_map": {"": 0}}
        free, _total = torch.cuda.mem_get_info()
        parameters = parameter_count(folder)
        if parameters >= _FOUR_BIT_FROM and 2 * parameters + _SPARE_BYTES > free:
            options["quantization_config"] = _four_bit()
    else:
        options["dtype"] = _cpu_dtype()
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise Conflict(f"The model in {folder} cannot be used: {error}", code="model_unusable") from error
    return model


def _flatten_last(model: PreTrainedModel) -> None:
    """Give the output layer the last token of a prompt as a tensor of its own, not as a view of all tokens.

    torch multiplies such a view by a copy of the whole vocabulary's weights: 0.20 s for each prompt against
    0.01 (SmolLM2, bfloat16, one core), a third of the time that a prompt takes.
    """
    import torch

    def flat(_layer: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(one.clone(memory_format=torch.contiguous_format) for one in given)

    last = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if last is not None:
        last.register_forward_pre_hook(flat)


def _four_bit() -> Any:
    from importlib.util import find_spec

    import torch
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise Missing(
            "This model fits the card only in 4 bits, which needs bitsandbytes.",
            hint="pip install bitsandbytes, or --model a smaller one",
            code="device_missing",
        )
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _cpu_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32."""
    import torch

    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if flags.get("avx512_bf16") or flags.get("amx_bf16") else torch.float32


def parameter_count(folder: Path) -> int:
    """Parameters in the safetensors files of `folder`, from their headers alone."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > 100 << 20:
                raise Conflict(f"{path} is no safetensors file.", code="model_unusable")
            header = json.loads(file.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                size = 1
                for side in tensor["shape"]:
                    size *= side
                total += size
    return total


def _precision(model: PreTrainedModel) -> list[str]:
    quantised = getattr(model.config, "quantization_config", None) is not None
    return [str(model.dtype), model.device.type, "4-bit" if quantised else "whole"]
