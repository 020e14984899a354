"""The loss of a micro-batch: only the positions that carry loss reach the head of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from finetune.tuning.batches import Pack, collate
from finetune.tuning.encode import IGNORED, EncodedRow
from finetune.tuning.methods import decoder_layers, inner_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_HEAD_ROWS = 1024  # positions whose logits exist at once: 200 MB in float32 at a vocabulary of 49,152


class Stopped(Exception):
    """The user asked to stop; nothing of the step at hand has changed the weights."""


class Loss:
    """Sums of the loss over micro-batches of a model that is ready to be trained.

    On CUDA, and where virtual tokens stand before the text, TRL's own fused head is called (the trainer has
    put it on the model); on a processor that one scores every position, so the hidden states of labelled
    positions are picked here before the head.
    """

    def __init__(self, model: PreTrainedModel, *, pad_id: int) -> None:
        self._model, self._pad_id = model, pad_id
        self._base = inner_model(model)
        self._virtual = bool(getattr(model, "active_peft_config", None)) and _is_prompt_learning(model)
        self._backbone: Callable[..., Any] = self._base.base_model

    def of(self, rows: Sequence[EncodedRow], lines: Sequence[Pack]) -> Tensor:
        """Sum of the negative log-likelihoods of the trained tokens of `lines`, float32, no dimensions."""
        batch = collate(rows, lines, pad_id=self._pad_id)
        moved = {
            key: value.to(self._base.device) if isinstance(value, Tensor) else value
            for key, value in batch.items()
        }
        if self._virtual or self._base.device.type == "cuda":
            return self._by_trl(moved)
        return self._at_labels(moved)

    def _by_trl(self, batch: Mapping[str, Any]) -> Tensor:
        outputs = self._model(**batch, fused_lm_head=True)
        return -cast("Tensor", outputs.log_probs.sum())

    def _at_labels(self, batch: Mapping[str, Any]) -> Tensor:
        labels = batch["labels"]
        inputs = {key: value for key, value in batch.items() if key not in ("labels", "use_cache")}
        hidden = self._backbone(**inputs, use_cache=False).last_hidden_state
        targets = functional.pad(labels[:, 1:], (0, 1), value=IGNORED).reshape(-1)
        places = (targets != IGNORED).nonzero().squeeze(1)
        picked = hidden.reshape(-1, hidden.shape[-1]).index_select(0, places)
        targets = targets.index_select(0, places)
        if len(places) <= _HEAD_ROWS:
            return self._head(picked, targets)
        parts = zip(torch.split(picked, _HEAD_ROWS), torch.split(targets, _HEAD_ROWS), strict=True)
        # Made anew in the backward pass, so that the logits of one part exist at a time.
        return torch.stack(
            [cast("Tensor", checkpoint(self._head, *part, use_reentrant=False)) for part in parts]
        ).sum()

    def _head(self, hidden: Tensor, targets: Tensor) -> Tensor:
        logits = self._base.get_output_embeddings()(hidden).float()
        cap = getattr(self._base.config.get_text_config(), "final_logit_softcapping", None)
        if cap is not None:
            logits = torch.tanh(logits / cap) * cap
        return functional.cross_entropy(logits, targets, reduction="sum")


def cut(rows: Sequence[EncodedRow], lines: Sequence[Pack], tokens: int) -> list[list[Pack]]:
    """`lines` in micro-batches of at most `tokens` padded tokens, one line at least."""
    micro: list[list[Pack]] = []
    width = 0
    for line in lines:
        length = line_length(rows, line)
        if micro and (len(micro[-1]) + 1) * max(width, length) <= tokens:
            micro[-1].append(line)
            width = max(width, length)
        else:
            micro.append([line])
            width = length
    return micro


def line_length(rows: Sequence[EncodedRow], line: Pack) -> int:
    """Tokens of a line before padding."""
    return sum(len(rows[place].input_ids) for place in line)


def watch_for_stop(model: PreTrainedModel, stop: Callable[[], bool]) -> None:
    """Ask `stop` at every layer, forward and backward, and raise Stopped: a step may take a minute."""

    def ask(*_: object) -> None:
        if stop():
            raise Stopped

    def before(_layer: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        ask()
        if inputs and isinstance(inputs[0], Tensor) and inputs[0].requires_grad:
            inputs[0].register_hook(ask)  # type: ignore[no-untyped-call]

    for layer in decoder_layers(model):
        layer.register_forward_pre_hook(before)


def _is_prompt_learning(model: PreTrainedModel) -> bool:
    return bool(getattr(cast("Any", model).active_peft_config, "is_prompt_learning", False))
