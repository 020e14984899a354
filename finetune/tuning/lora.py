"""LoRA layers whose forward and backward are one operation each.

peft's forward of a LoRA layer is two thin products, a scaling and an addition over the whole output, each of
which autograd keeps and goes through again; on a processor, where memory is the limit, these cost as much as
the product with the weights. Here they are added in place, and only the input and the thin product are kept.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class LoraLinear(torch.autograd.Function):
    """x Wᵀ + b + s (x Aᵀ) Bᵀ for x (..., in), W (out, in), A (rank, in), B (out, rank); W is frozen."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        """The output, (..., out)."""
        flat = x.reshape(-1, x.shape[-1])
        thin = flat @ a.t()
        out = functional.linear(flat, weight, bias)
        out.addmm_(thin, b.t(), alpha=scale)
        ctx.save_for_backward(flat, weight, a, b, thin)
        ctx.scale, ctx.shape = scale, x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, A and B."""
        flat, weight, a, b, thin = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        back = (grad @ b).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            grad_x.addmm_(back, a)
            grad_x = grad_x.view(ctx.shape)
        grad_b = (grad.t() @ thin).mul_(ctx.scale)
        return grad_x, None, None, back.t() @ flat, grad_b, None


def fuse_lora(model: PreTrainedModel) -> int:
    """Give the plain LoRA layers of `model` the fused forward; returns how many there are.

    Left alone are layers with dropout, with DoRA, of a quantised base or with several adapters.
    """
    from peft.tuners.lora import Linear

    fused = 0
    for layer in model.modules():
        if isinstance(layer, Linear) and _is_plain(layer):
            layer.forward = types.MethodType(_forward, layer)  # type: ignore[method-assign]
            fused += 1
    return fused


def _is_plain(layer: Any) -> bool:
    name = next(iter(layer.lora_A), None)
    return (
        type(layer.base_layer) is torch.nn.Linear
        and len(layer.lora_A) == 1
        and isinstance(layer.lora_dropout[name], torch.nn.Identity)
        and not layer.lora_variant
        and layer.lora_A[name].weight.dtype == layer.base_layer.weight.dtype
        and layer.lora_B[name].bias is None
        and not layer.base_layer.weight.requires_grad
    )


def _forward(layer: Any, x: Tensor) -> Tensor:
    name = next(iter(layer.lora_A))
    return LoraLinear.apply(  # type: ignore[no-untyped-call, no-any-return]
        x,
        layer.base_layer.weight,
        layer.base_layer.bias,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )
