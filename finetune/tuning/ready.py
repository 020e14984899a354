"""A model made ready for training: layers fused, rows in forests where the model computes them rightly."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import torch

from finetune.tuning.encode import EncodedRow
from finetune.tuning.forest import grow
from finetune.tuning.forward import Loss, forest_inputs
from finetune.tuning.layers import fuse_layers
from finetune.tuning.lora import fuse_lora
from finetune.tuning.methods import inner_model
from finetune.tuning.settings import TuneSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

_QUANTISED = frozenset({"qlora", "int8"})  # bitsandbytes keeps state in its layers: one pass at a time
_UNSHARED = frozenset({"prompt", "prefix", "p-tuning"})  # peft puts its tokens before each row
_MOST_WORKERS = 8
_NEAR = 0.1  # relative distance of hidden states, several times that of bfloat16's rounding


def made_ready(
    model: PreTrainedModel,
    settings: TuneSettings,
    rows: Sequence[EncodedRow],
    *,
    pad_id: int,
    compiled: bool = False,
) -> Loss:
    """The loss of `model`, whose layers are changed to compute the same in less time, or to be `compiled`.

    On a processor rows go through in forests, several at a time, unless something is drawn at random in
    the layers (which would depend on who comes first), or the model does not compute forests as it does rows.
    """
    fuse_lora(model)
    longest = max(len(row.input_ids) for row in rows)
    forests = not compiled and _may_share(model, settings, longest) and _takes_forests(model)
    alone = not forests or settings.method in _QUANTISED
    workers = 1 if alone else min(torch.get_num_threads(), _MOST_WORKERS)
    return Loss(
        model,
        pad_id=pad_id,
        weighting=settings.weighting,
        first_token=settings.first_token,
        forests=forests,
        workers=workers,
    )


def _may_share(model: PreTrainedModel, settings: TuneSettings, longest: int) -> bool:
    config: Any = inner_model(model).config.get_text_config()
    window = getattr(config, "sliding_window", None)
    return not (
        torch.cuda.is_available()
        or settings.method in _UNSHARED
        or settings.dropout
        or settings.neftune
        or any(getattr(config, name, 0.0) for name in ("attention_dropout", "attn_pdrop"))
        or any(isinstance(one, torch.nn.Dropout) and one.p for one in model.modules())
        or getattr(config, "attn_logit_softcapping", None)
        or (window and window < longest)
    )


def _takes_forests(model: PreTrainedModel) -> bool:
    """Have `model` take forests, and see whether it computes what it does for each row alone."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    from finetune.tuning.attention import NAME, forest_attention

    inner = inner_model(model)
    AttentionInterface.register(NAME, forest_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    try:
        inner.set_attn_implementation(NAME)
        fuse_layers(model)
        if _distance(inner) < _NEAR:
            return True
    except (TypeError, ValueError, KeyError, RuntimeError):
        pass  # it knows nothing of attention implementations, or passes nothing on to them
    inner.set_attn_implementation("sdpa")
    return False


@torch.no_grad()
def _distance(inner: Any) -> float:
    """Of the hidden states of rows in a forest from those of the rows alone, relative."""
    draw = random.Random(0)  # noqa: S311 - a draw, no secret
    most = inner.config.get_text_config().vocab_size
    ids = [draw.randrange(most) for _ in range(60)]
    parts = [ids[24:33], ids[33:45], ids[45:50]]
    rows = [
        EncodedRow(one, one, "", "") for one in [*((*ids[:24], *part) for part in parts), tuple(ids[50:])]
    ]
    training = inner.training
    inner.eval()
    forest = grow(rows, inner.dtype)
    found = inner.base_model(**forest_inputs(forest)).last_hidden_state[0].index_select(0, forest.places)
    worst = 0.0
    for number, row in enumerate(rows):
        alone = inner.base_model(input_ids=torch.tensor([row.input_ids]), use_cache=False).last_hidden_state
        expected = alone[0, :-1].float()
        distance = (found[forest.owners == number].float() - expected).norm() / expected.norm()
        worst = max(worst, float(distance))
    inner.train(training)
    return worst
