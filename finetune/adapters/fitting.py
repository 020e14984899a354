"""Does an adapter fit what it is to be put on? Told from cards and headers, before any weight is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from corpora.errors import Conflict
from corpora.prompt import PROMPT_VERSION
from finetune.adapters.config import AdapterConfig, read_config
from finetune.adapters.weights import Tensor, check_weights
from finetune.base_identity import BaseIdentity, tensor_shapes
from finetune.card import Card

_PREFIX = "base_model.model."
_A, _B, _MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"


def check_adapter(folder: Path) -> Card:
    """The card of the adapter in `folder`, all of whose files were looked at, each byte of the weights too.

    Raises Conflict: bad_card, bad_adapter, pickle_refused.
    """
    card = Card.read(folder)
    check_shapes(folder.name, read_config(folder), check_weights(folder, card.weights_sha256))
    return card


def check_prompt(card: Card) -> None:
    """Raises Conflict (wrong_prompt) for an adapter that learned from other prompts than are written now."""
    if card.prompt_version != PROMPT_VERSION:
        raise Conflict(
            f"The adapter {card.name} learned from prompts of version {card.prompt_version}; "
            f"this program writes version {PROMPT_VERSION}.",
            hint="assistant tune makes a new one, or --adapter none",
            code="wrong_prompt",
        )


def check_fits(card: Card, base: BaseIdentity) -> None:
    """Raises Conflict where `base` is not what the adapter was trained on: wrong_base, wrong_template,
    wrong_prompt."""
    if card.base.fingerprint != base.fingerprint:
        same_name = " (other weights of that name)" if card.base.name == base.name else ""
        raise Conflict(
            f"The adapter {card.name} was trained on {card.base.name}; the model is {base.name}{same_name}.",
            hint="--adapter none" if same_name else f"--model {card.base.name}, or --adapter none",
            code="wrong_base",
        )
    if card.template_sha256 != base.template_sha256:
        raise Conflict(
            f"The adapter {card.name} was trained with another chat template than {base.name} has here.",
            hint="--adapter none, or the model as it was then",
            code="wrong_template",
        )
    check_prompt(card)


def check_shapes(name: str, config: AdapterConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raises Conflict (bad_adapter) where tensors and config do not belong together."""
    problem = _lora_problem(config, tensors) if config.is_lora else _virtual_problem(config, tensors)
    if problem:
        raise Conflict(f"The weights of the adapter {name} are damaged: {problem}.", code="bad_adapter")


def check_shapes_on(name: str, base_folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raises Conflict (wrong_base) for LoRA matrices of another size than the base's layers have.

    Layers that the base's files call otherwise, or hold packed in 4 bits, are left to peft.
    """
    shapes = tensor_shapes(base_folder)
    for key, tensor in tensors.items():
        module, side = _split(key)
        base = shapes.get(f"{module}.weight")
        if base is None or len(base) != 2:
            continue
        outs, ins = base
        if (side == _A and tensor.shape[1] != ins) or (side != _A and tensor.shape[0] != outs):
            raise Conflict(
                f"The adapter {name} does not fit the model: {module} is {outs} by {ins} there.",
                code="wrong_base",
            )


def lora_pairs(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """The two matrices of each layer: A (rank, in) and B (out, rank). Raises ValueError for half a pair."""
    sides: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        module, side = _split(key)
        sides.setdefault(module, {})[side] = tensor
    pairs = {}
    for module, found in sides.items():
        if _A not in found or _B not in found:
            raise ValueError(f"{module or 'a tensor'} is no pair of LoRA matrices")
        pairs[module] = (found[_A], found[_B])
    return pairs


def by_module(patterns: Mapping[str, float] | None, module: str, default: float) -> float:
    """The value of `module` where a pattern of the config names it, by its end, as peft reads them."""
    for name, value in (patterns or {}).items():
        if module == name or module.endswith(f".{name}"):
            return value
    return default


def _lora_problem(config: AdapterConfig, tensors: Mapping[str, Tensor]) -> str | None:
    try:
        pairs = lora_pairs(tensors)
    except ValueError as error:
        return str(error)
    for module, (a, b) in pairs.items():
        rank = by_module(config.ranks, module, config.rank)
        if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != rank or b.shape[1] != rank:
            return f"{module} has matrices of {a.shape} and {b.shape}, and the rank is {rank:.0f}"
    magnitudes = sum(key.endswith(_MAGNITUDE) for key in tensors)
    if magnitudes != (len(pairs) if config.dora else 0):
        return "its magnitudes are not those of its layers"
    return None


def _virtual_problem(config: AdapterConfig, tensors: Mapping[str, Tensor]) -> str | None:
    rows = {tensor.shape[0] for name, tensor in tensors.items() if name == "prompt_embeddings"}
    return None if rows == {config.virtual_tokens} else f"it has not {config.virtual_tokens} virtual tokens"


def _split(key: str) -> tuple[str, str]:
    """Module of the base and side; of a name that is none of LoRA's, ("", the name)."""
    for side in (_A, _B, _MAGNITUDE):
        if key.startswith(_PREFIX) and key.endswith(side):
            return key[len(_PREFIX) : -len(side)], side
    return "", key
