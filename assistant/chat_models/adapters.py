"""Adapters on a chat model: the one that is named, or the one that is in use; checked before weights load."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from corpora.errors import Conflict, Missing
from corpora.prompt import PROMPT_VERSION
from finetune.adapters.active import NONE
from finetune.adapters.config import CONFIG, read_config
from finetune.adapters.fitting import check_shapes, check_shapes_on
from finetune.adapters.resolve import checked, resolve
from finetune.adapters.store import Adapter
from finetune.adapters.weights import check_weights
from finetune.base_identity import BaseIdentity, base_fingerprint, base_name, identity_of, template_sha256
from finetune.card import CARD, Card, Serving, is_adapter_name

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

    from assistant.chat_models.prefill import Layers
    from corpora.chat_template import ChatTemplate
    from corpora.store import Library


@dataclass(frozen=True, slots=True)
class Fitting:
    """An adapter that fits the model; `serving` is None where it has no card, or that does not say."""

    name: str
    folder: Path
    serving: Serving | None


def adapter_for(
    base: str,
    base_folder: Path,
    named: str | None,
    library: Library | None,
    *,
    default: bool,
    template: ChatTemplate | None = None,
) -> Fitting | None:
    """The adapter for the model called `base` in `base_folder`; None is the plain base. Loads no weights.

    `named` is the name of one in the library or of a shipped one, a folder, or "none". With `default` and
    without a name it is the one that the library has in use on this base, else the shipped one. `template`
    is that of the model, where its tokenizer is loaded already. Raises Missing where there is none of that
    name; Conflict (exit 5) for one of another base or template, with pickled weights, or damaged.
    """
    from assistant.terminal import say

    if named == NONE or (named is None and not default):
        return None
    identity = (
        identity_of(base, base_folder)
        if template is None
        else BaseIdentity(base_name(base), base_fingerprint(base_folder), template_sha256(template))
    )
    if named is not None and not is_adapter_name(named):
        return _of_folder(Path(named).expanduser(), identity, base_folder)
    found = resolve(named, library, identity, base_folder, say)
    return Fitting(found.name, found.folder, found.card.serving) if found else None


def serving_of_model(folder: Path) -> Serving | None:
    """How the whole model in `folder` is to be asked, by the card that `tune` has put there, if it has."""
    from assistant.terminal import say

    if not (folder / CARD).is_file():
        return None
    try:
        card = Card.read(folder)
    except Conflict as error:  # another program's file of that name, maybe
        say(f"note: {error.message} The model is asked as one that was not tuned.")
        return None
    return card.serving if card.prompt_version == PROMPT_VERSION else None


def attach_adapter(model: PreTrainedModel, folder: Path) -> tuple[PreTrainedModel, Layers]:
    """`model` with the adapter in `folder` on it, for answering, and what stands before every prompt.

    Raises Missing without peft, Conflict for an adapter that does not fit.
    """
    from importlib.util import find_spec

    if find_spec("peft") is None:
        raise Missing("Adapters need the package peft.", hint="pip install peft")
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            # peft asks transformers by a name that it has renamed
            warnings.simplefilter("ignore", FutureWarning)
            tuned = PeftModel.from_pretrained(
                model,
                str(folder),
                is_trainable=False,
                local_files_only=True,
                autocast_adapter_dtype=False,  # as it was trained; else all activations are cast to and fro
            )
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise Conflict(
            f"The adapter in {folder} does not fit the model: {error}", code="wrong_base"
        ) from error
    if tuned.active_peft_config.is_prompt_learning:
        return model, _virtual_tokens(tuned)
    return cast("PreTrainedModel", tuned), ()  # it answers as the model it wraps


def _virtual_tokens(tuned: PeftModel) -> Layers:
    """What the layers of the base keep of the adapter's virtual tokens, which stand before every prompt.

    They are read once, here; peft would put them in front of each token that is written.
    """
    import torch
    from peft import PeftType
    from transformers import DynamicCache

    base = cast("PreTrainedModel", tuned.get_base_model())
    prompt: Any
    with torch.inference_mode():
        prompt = tuned.get_prompt(batch_size=1)
        if tuned.active_peft_config.peft_type != PeftType.PREFIX_TUNING:  # that one gives what layers keep
            cache = DynamicCache(config=base.config)
            base(inputs_embeds=prompt.to(base.dtype), past_key_values=cache, use_cache=True, logits_to_keep=1)
            prompt = cache
    return [(layer.keys, layer.values) for layer in prompt.layers]


def _of_folder(folder: Path, base: BaseIdentity, base_folder: Path) -> Fitting:
    """An adapter that is in no library: of ours, with a card, or made by another program, without."""
    if not (folder / CONFIG).is_file():
        raise Missing(
            f"There is no adapter in {folder}.", hint="assistant adapters list", code="adapter_missing"
        )
    if (folder / CARD).is_file():
        found = checked(Adapter(folder.name, folder, shipped=False), base, base_folder, "named")
        return Fitting(found.card.name, folder, found.card.serving)
    config, tensors = read_config(folder), check_weights(folder, None)
    if config.base is None or base_name(config.base) != base.name:
        raise Conflict(
            f"The adapter in {folder} was trained on {config.base}; the model is {base.name}.",
            hint=f"--model {config.base}, or --adapter none",
            code="wrong_base",
        )
    check_shapes(folder.name, config, tensors)
    check_shapes_on(folder.name, base_folder, tensors)
    return Fitting(str(folder), folder, None)
