"""Tiny random models of the families that are exported, as folders, and adapters of all kinds for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import adapter_makers
import torch
from chat_tokenizers import tokenizer

from finetune.base_identity import identity_of

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel

SPREAD = 0.25  # of random weights: large enough that attention and positions matter
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def write_model(folder: Path, family: str, *, dtype: torch.dtype = torch.float32, **changes: Any) -> Path:
    """A model of `family` (see chat_tokenizers) with its tokenizer and chat template."""
    tokens = tokenizer(family)
    shape: dict[str, Any] = {
        "vocab_size": len(tokens) + 3,  # as Qwen has it: more rows than tokens
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
        "tie_word_embeddings": family == "smollm2",
    }
    if family == "llama3":
        shape["rope_parameters"] = LLAMA3_ROPE
    model = _class(family)[0](_class(family)[1](**(shape | changes)))
    _randomise(model)
    model.to(dtype).save_pretrained(folder, max_shard_size="150KB" if family == "mistral" else "1GB")
    tokens.save_pretrained(folder)
    return folder


def write_adapter(folder: Path, base: Path, *, config: PeftConfig | None = None, **card: Any) -> Path:
    """An adapter that changes every linear layer a good deal, with its card."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True)
    model.name_or_path = str(base)
    lora = config or LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it has renamed
        tuned = get_peft_model(model, lora)
    generator = torch.Generator().manual_seed(23)
    for name, parameter in tuned.named_parameters():
        if "lora_" in name and "magnitude" not in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * SPREAD
        elif "magnitude" in name:
            parameter.data *= 1 + torch.randn(parameter.shape, generator=generator) / 4
    tuned.save_pretrained(folder)
    adapter_makers.write_card(folder, identity_of(str(base), base), **card)
    return folder


def log_probabilities(model: PreTrainedModel, ids: Sequence[int]) -> torch.Tensor:
    """Of every next token: (tokens, vocabulary), float32."""
    with torch.inference_mode():
        return torch.log_softmax(model(input_ids=torch.tensor([list(ids)])).logits[0].float(), dim=-1)


def _class(family: str) -> tuple[Any, Any]:
    import transformers

    name = {"qwen2.5": "Qwen2", "mistral": "Mistral"}.get(family, "Llama")
    return getattr(transformers, f"{name}ForCausalLM"), getattr(transformers, f"{name}Config")


def _randomise(model: PreTrainedModel) -> None:
    generator = torch.Generator().manual_seed(17)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + noise / 4 if "norm" in name else noise * SPREAD)
