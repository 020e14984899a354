"""A tiny random chat model over bytes, in memory or as a folder, and adapters for it, for tests."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.chat_template import ChatTemplate
from corpora.prompt import PROMPT_VERSION
from finetune.card import Base, Card, Data, Serving

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from assistant.chat_models.local import LocalChatModel

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_model(*, serving: Serving | None = None, **config: Any) -> LocalChatModel:
    """A random Llama in float32, whose replies end now and then."""
    from assistant.chat_models.local import LocalChatModel, LocalWeights

    tokenizer = _tokenizer()
    model = _llama(tokenizer, **config)
    ids = tokenizer.convert_tokens_to_ids(SPECIAL)
    # Any byte over 0xF0 ends a reply: random models hardly ever choose the one token that should.
    stops = {ids[2], *tokenizer.convert_tokens_to_ids(_alphabet()[-24:])}
    weights = LocalWeights(
        model,
        tokenizer,
        ChatTemplate(TEMPLATE, {}),
        model.config.max_position_embeddings,
        frozenset(stops),
        ids[0],
        "tiny",
        serving,
    )
    return LocalChatModel(weights, model_name="tiny", max_new_tokens=12)


def write_model(folder: Path, *, seed: int = 3) -> Path:
    """The model as a folder that `--model` takes, with a context of 2,048 tokens."""
    tokenizer = _tokenizer()
    tokenizer.chat_template = TEMPLATE
    _llama(tokenizer, seed=seed, max_position_embeddings=2048).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_adapter(
    folder: Path,
    base: Path,
    *,
    serving: Serving | None,
    scale: float = 0.0,
    config: PeftConfig | None = None,
    **card: Any,
) -> Path:
    """An adapter of the model in `base`, with its card: LoRA, which with the `scale` 0 changes no reply."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from finetune.base_identity import identity_of

    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True)
    model.name_or_path = str(base)
    lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it has renamed
        tuned = get_peft_model(model, config or lora)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=scale) if scale else torch.nn.init.zeros_(parameter)
    tuned.save_pretrained(folder)
    identity = identity_of(str(base), base)
    values: Mapping[str, Any] = {
        "name": folder.name,
        "created": "2025-01-01T00:00:00+00:00",
        "base": Base(identity.name, identity.fingerprint),
        "template_sha256": identity.template_sha256,
        "prompt_version": PROMPT_VERSION,
        "weights_sha256": hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest(),
        "method": "lora",
        "data": Data("0" * 64, {"grounded": 1}, {"self-qa": 1}, ("en",), (), ()),
        "serving": serving,
    }
    Card(**{**values, **card}).write(folder)
    return folder


def _llama(tokenizer: PreTrainedTokenizerFast, *, seed: int = 3, **config: Any) -> PreTrainedModel:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.5,
    }
    return LlamaForCausalLM(LlamaConfig(**{**shape, **config})).eval()  # type: ignore[no-any-return]


def _tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE({letter: n for n, letter in enumerate(_alphabet())}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    return tokenizer


def _alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())
