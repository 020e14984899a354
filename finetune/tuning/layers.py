"""Decoder layers of the Llama kind, made of few operations that each write memory once.

A layer of transformers is some sixty operations forward and twice as many backward; on a processor most of
the time goes into carrying activations to and from memory. These compute the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from finetune.tuning.attention import attend, attend_back
from finetune.tuning.forest import Chunk, Forest
from finetune.tuning.lora import Joined, is_plain_lora
from finetune.tuning.methods import decoder_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedModel

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
_SILU = frozenset({"SiLU", "SiLUActivation"})
_LAYERS = frozenset({"LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer"})


class RmsNorm(torch.autograd.Function):
    """x / sqrt(mean(x²) + e) w for x (..., size); w (size) is frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """The output, as x."""
        norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=_exact(x))
        inverse = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        return (x * inverse).to(x.dtype).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of x."""
        x, weight, inverse = ctx.saved_tensors
        grad = grads[0] * weight
        dot = (x * grad).sum(-1, keepdim=True, dtype=_exact(x))
        along = dot.mul_(inverse.pow(3)).div_(-x.shape[-1])
        return torch.addcmul(grad * inverse, x, along).to(x.dtype), None, None


def _exact(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


class Gated(torch.autograd.Function):
    """silu(g) u for x (..., 2 size), which is g beside u."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The output, (..., size)."""
        ctx.save_for_backward(x)
        gate, up = x.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor]:
        """The gradient of x."""
        (x,) = ctx.saved_tensors
        gate, up = x.chunk(2, -1)
        found = torch.empty_like(x)
        grad_gate, grad_up = found.chunk(2, -1)
        torch.mul(functional.silu(gate), grads[0], out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grads[0] * up, gate, grad_input=grad_gate)
        return (found,)


class RotaryAttention(torch.autograd.Function):
    """Attention of x (tokens, (heads + 2 key heads) size): queries, keys and values before their rotation."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        turn: tuple[Tensor, Tensor],
        key_heads: int,
        chunks: Sequence[Chunk],
        scale: float,
    ) -> Tensor:
        """The output, (tokens, heads size)."""
        size = 2 * turn[0].shape[-1]
        split = x.view(x.shape[0], -1, size)
        turned = _turn(split[:, :-key_heads], *turn)
        heads = turned.shape[1] - key_heads
        query = turned[:, :heads].view(-1, key_heads, heads // key_heads, size).transpose(0, 1).contiguous()
        key = turned[:, -key_heads:].transpose(0, 1).contiguous()
        value = split[:, -key_heads:].transpose(0, 1).contiguous()
        out, weights = attend(query, key, value, chunks, scale)
        ctx.save_for_backward(query, key, value, *turn, *weights)
        ctx.chunks, ctx.scale = chunks, scale
        return out.flatten(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of x."""
        query, key, value, cosine, sine, *weights = ctx.saved_tensors
        heads, tokens, group, size = query.shape
        grad = grads[0].view(tokens, heads * group, size)
        grad_query, grad_key, grad_value = attend_back(
            grad, query, key, value, weights, ctx.chunks, ctx.scale
        )
        found = grad.new_empty(tokens, heads * (group + 2), size)
        queries = heads * group
        grouped = found[:, :queries].view(tokens, heads, group, size)
        _turn(grad_query.transpose(0, 1), cosine, -sine, grouped)
        _turn(grad_key.to(grad.dtype).transpose(0, 1), cosine, -sine, found[:, queries : queries + heads])
        found[:, queries + heads :] = grad_value.transpose(0, 1)
        return found.flatten(1), None, None, None, None


def _turn(x: Tensor, cosine: Tensor, sine: Tensor, out: Tensor | None = None) -> Tensor:
    """Rotate the halves of x (tokens, ..., size) by angles (tokens, size / 2)."""
    shape = (-1, *(1,) * (x.dim() - 2), cosine.shape[-1])
    cosine, sine = cosine.view(shape), sine.view(shape)
    one, two = x.chunk(2, -1)
    out = torch.empty(x.shape, dtype=x.dtype) if out is None else out
    first, second = out.chunk(2, -1)
    torch.mul(one, cosine, out=first)
    first.addcmul_(two, sine, value=-1)
    torch.mul(two, cosine, out=second)
    second.addcmul_(one, sine)
    return out


class _Layer:
    """The parts of a decoder layer, joined."""

    def __init__(self, layer: Any) -> None:
        attention, network = layer.self_attn, layer.mlp
        self._norms = layer.input_layernorm, layer.post_attention_layernorm
        self._attention = Joined([attention.q_proj, attention.k_proj, attention.v_proj])
        self._out = Joined([attention.o_proj])
        self._gate = Joined([network.gate_proj, network.up_proj])
        self._down = Joined([network.down_proj])
        self._key_heads = attention.k_proj.base_layer.out_features // attention.head_dim
        self._scale = attention.scaling

    def __call__(self, x: Tensor, turn: tuple[Tensor, Tensor], forest: Forest) -> Tensor:
        one, two = self._norms
        seen = self._attention(RmsNorm.apply(x, one.weight, one.variance_epsilon))  # type: ignore[no-untyped-call]
        seen = RotaryAttention.apply(seen, turn, self._key_heads, forest.chunks, self._scale)  # type: ignore[no-untyped-call]
        x = x + self._out(seen)
        wide = self._gate(RmsNorm.apply(x, two.weight, two.variance_epsilon))  # type: ignore[no-untyped-call]
        return x + self._down(Gated.apply(wide))  # type: ignore[no-untyped-call]


def fuse_layers(model: PreTrainedModel) -> int:
    """Give decoder layers that are known, under plain LoRA, the forward above for forests; returns how many.

    Without a forest they compute as before.
    """
    fused = 0
    for layer in decoder_layers(model):
        if _is_known(layer):
            layer.forward = _forward_of(_Layer(layer), layer.forward)
            fused += 1
    return fused


def _is_known(layer: Any) -> bool:
    if type(layer).__name__ not in _LAYERS or layer.mlp.act_fn.__class__.__name__ not in _SILU:
        return False
    projections = [getattr(layer.self_attn, name) for name in _PROJECTIONS]
    projections += [layer.mlp.gate_proj, layer.mlp.up_proj, layer.mlp.down_proj]
    norms = [layer.input_layernorm, layer.post_attention_layernorm]
    frozen = all(hasattr(one, "variance_epsilon") and not one.weight.requires_grad for one in norms)
    return frozen and all(is_plain_lora(one) for one in projections)


def _forward_of(fused: _Layer, plain: Callable[..., Any]) -> Any:
    def forward(
        hidden_states: Tensor,
        *args: Any,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        forest: Forest | None = None,
        **kwargs: Any,
    ) -> Any:
        if forest is None or position_embeddings is None:
            return plain(hidden_states, *args, position_embeddings=position_embeddings, **kwargs)
        cosine, sine = (one[0].chunk(2, -1)[0] for one in position_embeddings)
        return fused(hidden_states[0], (cosine, sine), forest).unsqueeze(0)

    return forward
