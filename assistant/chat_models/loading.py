"""From the name of a local model to weights in memory: precision, adapter, nothing from a hub, no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.chat_models.adapters import attach_adapter, find_adapter
from assistant.chat_models.identity import model_fingerprint
from assistant.chat_models.local import LocalChatModel, LocalWeights
from corpora.chat_template import ChatTemplate
from corpora.errors import Conflict, Missing

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_MAX_CONTEXT = 8192  # more is slow on the machines this is for, and passages of one question are far less
_FOUR_BIT_FROM = 3_000_000_000  # parameters; below, 4 bits save little and cost time and quality
_SPARE_BYTES = 2 << 30  # for the cache of keys and values, and for the desktop


def load_local(
    name: str, *, adapter: str | None, adapters: Path | None, offline: bool, max_new_tokens: int
) -> LocalChatModel:
    """The local model called `name` with its adapter. Raises Missing, Conflict."""
    from index.weights import model_folder

    folder = model_folder(name, offline=offline)
    if (folder / "adapter_config.json").is_file():
        raise Conflict(f"{name} is an adapter, not a model.", hint=f"--adapter {name}", code="not_a_model")
    adapter_folder = find_adapter(adapter, adapters, base=name, base_folder=folder) if adapter else None
    tokenizer = _tokenizer(folder)
    model = _model(folder)
    if adapter_folder is not None:
        model = attach_adapter(model, adapter_folder)
    if not isinstance(tokenizer.chat_template, str):
        raise Conflict(
            f"{name} has no chat template: it is no model for conversation.",
            hint="choose its -Instruct or -Chat version",
            code="no_chat_template",
        )
    strings = {
        key: str(value) for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)
    }
    weights = LocalWeights(
        model=model.eval(),  # type: ignore[no-untyped-call]
        tokenizer=tokenizer,
        template=ChatTemplate(tokenizer.chat_template, strings),
        context=min(int(getattr(model.config, "max_position_embeddings", _MAX_CONTEXT)), _MAX_CONTEXT),
        stop_ids=_stop_ids(model, tokenizer),
        start_id=_start_id(tokenizer),
        fingerprint=model_fingerprint(folder, adapter_folder, _precision(model)),
    )
    return LocalChatModel(weights, model_name=name, adapter_name=adapter, max_new_tokens=max_new_tokens)


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise Conflict(f"The tokenizer in {folder} cannot be used: {error}", code="model_unusable") from error
    return tokenizer


def _model(folder: Path) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

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


def _stop_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """What ends a turn: the end tokens that the model, its generation config and its tokenizer name."""
    stops: set[int] = set()
    for source in (model.config, model.generation_config, tokenizer):
        ids = getattr(source, "eos_token_id", None)
        stops |= set(ids) if isinstance(ids, list | tuple) else {ids} if isinstance(ids, int) else set()
    known = {token.content: token_id for token_id, token in tokenizer.added_tokens_decoder.items()}
    return frozenset(stops | {known[text] for text in _TURN_ENDS if text in known})


def _start_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """What stands before the first word of a document, as the model was trained on documents."""
    known = {token.content: token_id for token_id, token in tokenizer.added_tokens_decoder.items()}
    ids = (known.get("<|endoftext|>"), tokenizer.bos_token_id, tokenizer.eos_token_id)
    return next((token for token in ids if isinstance(token, int)), 0)


def _precision(model: PreTrainedModel) -> list[str]:
    quantised = getattr(model.config, "quantization_config", None) is not None
    return [str(model.dtype), model.device.type, "4-bit" if quantised else "whole"]


_TURN_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
)
