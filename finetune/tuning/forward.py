"""The loss of a micro-batch: only the positions that carry loss reach the head of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from finetune.tuning.batches import Pack, collate
from finetune.tuning.cutting import cut, cut_forests, line_length
from finetune.tuning.encode import IGNORED, EncodedRow
from finetune.tuning.forest import Forest, grow
from finetune.tuning.methods import decoder_layers, inner_model
from finetune.tuning.settings import Weighting
from finetune.tuning.sharing import tokens_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_HEAD_ROWS = 1024  # positions whose logits exist at once: 200 MB in float32 at a vocabulary of 49,152


class Stopped(Exception):
    """The user asked to stop; nothing of the step at hand has changed the weights."""


class Loss:
    """Sums of the loss over micro-batches of a model that is ready to be trained.

    `forests`: rows go through in forests (see `forest`), `workers` of them at a time. Else, on CUDA and where
    virtual tokens stand before the text, TRL's own fused head is called (the trainer has put it on the
    model); on a processor that one scores every position, so the hidden states of labelled positions are
    picked here before the head.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        pad_id: int,
        weighting: Weighting = "token",
        first_token: float = 0.0,
        forests: bool = False,
        workers: int = 1,
    ) -> None:
        self.model, self.forests, self.workers = model, forests, workers
        self._pad_id, self._weighting, self._first = pad_id, weighting, first_token
        self._base = inner_model(model)
        self._virtual = bool(getattr(model, "active_peft_config", None)) and _is_prompt_learning(model)
        self._backbone: Callable[..., Any] = self._base.base_model

    def of(self, rows: Sequence[EncodedRow], lines: Sequence[Pack]) -> Tensor:
        """Sum over `lines`, float32, no dimensions: `parts` of it make a mean.

        It is that of the trained tokens' negative log-likelihoods; where rows are weighed, of rows' means.
        """
        if self.forests:
            return self._of_forest([rows[place] for line in lines for place in line])
        batch = collate(rows, lines, pad_id=self._pad_id)
        moved = {
            key: value.to(self._base.device) if isinstance(value, Tensor) else value
            for key, value in batch.items()
        }
        weights = None
        if self._weighting == "row":
            weights = _weights(rows, lines, batch["labels"], self._first).to(self._base.device)
        if self._virtual or self._base.device.type == "cuda":
            return self._by_trl(moved, weights)
        return self._at_labels(moved, weights)

    def parts(self, rows: Sequence[EncodedRow], lines: Sequence[Pack]) -> int:
        """What the sum over `lines` is divided by to be a mean: their trained tokens, or their rows."""
        if self._weighting == "row":
            return sum(map(len, lines))
        return sum(rows[place].trained for line in lines for place in line)

    def lines(self, rows: Sequence[EncodedRow]) -> list[Pack]:
        """Every row as a line, in the order in which micro-batches of neighbours cost the least."""
        order = list(range(len(rows)))
        if self.forests:
            order.sort(key=lambda place: rows[place].input_ids)
        else:
            order.sort(key=lambda place: -len(rows[place].input_ids))
        return [(place,) for place in order]

    def cut(self, rows: Sequence[EncodedRow], lines: Sequence[Pack], tokens: int) -> list[list[Pack]]:
        """`lines` in micro-batches of at most `tokens` tokens that go through the model, one row at least."""
        return cut_forests(rows, lines, tokens, self.workers) if self.forests else cut(rows, lines, tokens)

    def tokens(self, rows: Sequence[EncodedRow], lines: Sequence[Pack]) -> int:
        """Tokens that go through the model for `lines` at once."""
        if self.forests:
            return tokens_of([rows[place] for line in lines for place in line])
        return len(lines) * max(line_length(rows, line) for line in lines)

    def divisible(self, lines: Sequence[Pack]) -> bool:
        """Whether a micro-batch could be two: a line is divided in a forest only."""
        return len(lines) > 1 or (self.forests and len(lines[0]) > 1)

    def _of_forest(self, rows: Sequence[EncodedRow]) -> Tensor:
        forest = grow(rows, self._base.dtype)
        hidden = self._backbone(**forest_inputs(forest)).last_hidden_state[0]
        weights = None
        if self._weighting == "row":
            weights = torch.tensor([(1 - self._first) / max(row.trained, 1) for row in rows])[forest.owners]
            weights[forest.owners.diff(prepend=torch.tensor([-1])) != 0] += self._first
        return self._scored(hidden.index_select(0, forest.places), forest.targets, weights)

    def _by_trl(self, batch: Mapping[str, Any], weights: Tensor | None) -> Tensor:
        found = cast("Tensor", self.model(**batch, fused_lm_head=True).log_probs)
        return -found.sum() if weights is None else -(found * weights[:, 1:]).sum()

    def _at_labels(self, batch: Mapping[str, Any], weights: Tensor | None) -> Tensor:
        labels = batch["labels"]
        inputs = {key: value for key, value in batch.items() if key not in ("labels", "use_cache")}
        hidden = self._backbone(**inputs, use_cache=False).last_hidden_state
        targets = functional.pad(labels[:, 1:], (0, 1), value=IGNORED).reshape(-1)
        places = (targets != IGNORED).nonzero().squeeze(1)
        picked = hidden.reshape(-1, hidden.shape[-1]).index_select(0, places)
        if weights is not None:
            weights = functional.pad(weights[:, 1:], (0, 1)).reshape(-1).index_select(0, places)
        return self._scored(picked, targets.index_select(0, places), weights)

    def _scored(self, hidden: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        if len(targets) <= _HEAD_ROWS:
            return self._head(hidden, targets, weights)
        parts = [torch.split(one, _HEAD_ROWS) for one in (hidden, targets)]
        weighed = [None] * len(parts[0]) if weights is None else torch.split(weights, _HEAD_ROWS)
        # Made anew in the backward pass, so that the logits of one part exist at a time.
        return torch.stack(
            [
                cast("Tensor", checkpoint(self._head, *part, use_reentrant=False))
                for part in zip(*parts, weighed, strict=True)
            ]
        ).sum()

    def _head(self, hidden: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        logits = self._base.get_output_embeddings()(hidden).float()
        cap = getattr(self._base.config.get_text_config(), "final_logit_softcapping", None)
        if cap is not None:
            logits = torch.tanh(logits / cap) * cap
        if weights is None:
            return functional.cross_entropy(logits, targets, reduction="sum")
        return functional.cross_entropy(logits, targets, reduction="none") @ weights


def forest_inputs(forest: Forest) -> dict[str, Any]:
    """What a backbone is called with for the hidden states of a forest."""
    return {
        "input_ids": forest.ids,
        "position_ids": forest.positions,
        # Who sees whom stands in the forest; with a mask of four dimensions transformers makes none.
        "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool),
        "forest": forest,
        "use_cache": False,
    }


def _weights(rows: Sequence[EncodedRow], lines: Sequence[Pack], labels: Tensor, first: float) -> Tensor:
    """For each token of a batch its share of its row's loss; `first` more for the first; as `labels`."""
    weights = torch.zeros(labels.shape)
    for number, line in enumerate(lines):
        start = 0
        for place in line:
            end = start + len(rows[place].input_ids)
            row = rows[place]
            weights[number, start:end] = (1 - first) / max(row.trained, 1)
            trained = next((at for at, label in enumerate(row.labels) if label != IGNORED), 0)
            weights[number, start + trained] += first
            start = end
    return weights


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
