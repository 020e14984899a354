"""LoRA layers whose forward and backward are one operation each.

peft's forward of a LoRA layer is two thin products, a scaling and an addition over the whole output, each of
which autograd keeps and goes through again; on a processor, where memory is the limit, these cost as much as
the product with the weights. Here they are added in place, and only the input and the thin product are kept.
Layers with the same input (query, key and value; gate and up) are one layer, their weights one matrix.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class LoraLinear(torch.autograd.Function):
    """x Wᵀ + b + s (x Aᵀ) Bᵀ for x (..., in), W (out, in), b (out); W and b are frozen.

    `matrices` are A (rank, in) and B (out, rank) of each part in turn, `parts` the outputs and the scale of
    each: A part is a layer of its own whose outputs stand beside those of the others.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        parts: Sequence[tuple[int, float]],
        *matrices: Tensor,
    ) -> Tensor:
        """The output, (..., out)."""
        flat = x.reshape(-1, x.shape[-1])
        down, up = _joined(matrices, parts)
        thin = flat @ down.t()
        out = functional.linear(flat, weight, bias)
        out.addmm_(thin, up.t())
        ctx.save_for_backward(flat, weight, down, up, thin)
        ctx.parts, ctx.shape, ctx.ranks = parts, x.shape, [one.shape[0] for one in matrices[::2]]
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and of all matrices."""
        flat, weight, down, up, thin = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        back = grad @ up
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            grad_x.addmm_(back, down)
            grad_x = grad_x.view(ctx.shape)
        grad_down = back.t() @ flat
        found: list[Tensor] = []
        outputs = pairwise(accumulate([0, *(size for size, _ in ctx.parts)]))
        ranks = pairwise(accumulate([0, *ctx.ranks]))
        for (start, end), (low, high), (_, scale) in zip(outputs, ranks, ctx.parts, strict=True):
            found += [grad_down[low:high], (grad[:, start:end].t() @ thin[:, low:high]).mul_(scale)]
        return grad_x, None, None, None, *found


def _joined(matrices: Sequence[Tensor], parts: Sequence[tuple[int, float]]) -> tuple[Tensor, Tensor]:
    """All A as one (ranks, in), and all B, scaled, as the blocks of one (out, ranks)."""
    downs, ups = matrices[::2], matrices[1::2]
    up = ups[0].new_zeros(sum(size for size, _ in parts), sum(one.shape[0] for one in downs))
    row = column = 0
    for one, (_, scale) in zip(ups, parts, strict=True):
        torch.mul(one, scale, out=up[row : row + one.shape[0], column : column + one.shape[1]])
        row, column = row + one.shape[0], column + one.shape[1]
    return torch.cat(list(downs)), up


class Joined:
    """Plain LoRA layers of the same input as one. Their weights become views of one matrix."""

    def __init__(self, layers: Sequence[Any]) -> None:
        bases = [layer.base_layer for layer in layers]
        self._weight = bases[0].weight.data
        if len(layers) > 1:
            self._weight = torch.cat([one.weight.data for one in bases])
            for one, part in zip(bases, self._weight.split([one.out_features for one in bases]), strict=True):
                one.weight.data = part
        biases = [one.bias.data for one in bases if one.bias is not None]
        self._bias = torch.cat(biases) if biases else None
        self._parts = [(one.base_layer.out_features, one.scaling[_name(one)]) for one in layers]
        self._layers = layers

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs of all layers, beside each other."""
        matrices = [
            one.weight
            for layer in self._layers
            for one in (layer.lora_A[_name(layer)], layer.lora_B[_name(layer)])
        ]
        return LoraLinear.apply(x, self._weight, self._bias, self._parts, *matrices)  # type: ignore[no-untyped-call, no-any-return]


def fuse_lora(model: PreTrainedModel) -> int:
    """Give the plain LoRA layers of `model` the fused forward; returns how many there are.

    Left alone are layers with dropout, with DoRA, of a quantised base or with several adapters.
    """
    fused = 0
    for layer in model.modules():
        if is_plain_lora(layer):
            layer.forward = types.MethodType(_forward, layer)
            fused += 1
    return fused


def is_plain_lora(layer: Any) -> bool:
    """Whether a module is a linear layer that is not trained, with one adapter that computes no more."""
    from peft.tuners.lora import Linear

    if not isinstance(layer, Linear):
        return False
    name = _name(layer)
    return (
        type(layer.base_layer) is torch.nn.Linear
        and len(layer.lora_A) == 1
        and isinstance(layer.lora_dropout[name], torch.nn.Identity)
        and not layer.lora_variant
        and layer.lora_A[name].weight.dtype == layer.base_layer.weight.dtype
        and layer.lora_B[name].bias is None
        and not layer.base_layer.weight.requires_grad
    )


def _name(layer: Any) -> str:
    return next(iter(layer.lora_A), "")


def _forward(layer: Any, x: Tensor) -> Tensor:
    name, base = _name(layer), layer.base_layer
    return LoraLinear.apply(  # type: ignore[no-untyped-call, no-any-return]
        x,
        base.weight,
        base.bias,
        [(base.out_features, layer.scaling[name])],
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
    )
