"""Attention over a forest of rows, in plain matrix products over chunks of queries.

torch's own attention takes a mask only at the price of a slow backward pass on a processor, and a mask of
all tokens by all tokens computes what is hidden as well. Here each chunk of queries meets the keys that it
sees and no others, and its scores stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from finetune.tuning.forest import Chunk, Forest

NAME: Final = "forest"  # of the attention implementation, for transformers


def attend(
    query: Tensor, key: Tensor, value: Tensor, chunks: Sequence[Chunk], scale: float
) -> tuple[Tensor, list[Tensor]]:
    """Output (tokens, heads, size) and the weights of each chunk, which `attend_back` wants.

    `query` is (key heads, tokens, queries a key head, size), `key` and `value` (key heads, tokens, size).
    """
    heads, tokens, group, size = query.shape
    flat = query.view(heads, tokens * group, size)
    out = query.new_empty(tokens, heads, group, size)
    weights = []
    for chunk in chunks:
        count = chunk.end - chunk.start
        scores = _product(
            flat[:, chunk.start * group : chunk.end * group], _pick(key, chunk).transpose(1, 2), scale
        )
        scores.view(heads, count, group, -1)[..., -count:] += chunk.hidden
        torch.softmax(scores, -1, out=scores)  # a row at a time, so that it may write where it reads
        weights.append(scores)
        part = torch.bmm(scores, _pick(value, chunk))
        out[chunk.start : chunk.end] = part.view(heads, count, group, size).transpose(0, 1)
    return out.view(tokens, heads * group, size), weights


def attend_back(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: Sequence[Tensor],
    chunks: Sequence[Chunk],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, and in float32 of key and value, for that of the output."""
    heads, tokens, group, size = query.shape
    flat = query.view(heads, tokens * group, size)
    grad_query = torch.empty_like(flat)
    exact = torch.promote_types(key.dtype, torch.float32)
    grad_key, grad_value = torch.zeros(2, heads, tokens, size, dtype=exact)
    for chunk, share in zip(chunks, weights, strict=True):
        count = chunk.end - chunk.start
        part = grad[chunk.start : chunk.end].view(count, heads, group, size).transpose(0, 1)
        part = part.reshape(heads, count * group, size)
        _add(grad_value, torch.bmm(share.transpose(1, 2), part), chunk)
        back = torch.bmm(part, _pick(value, chunk).transpose(1, 2))
        back = torch._softmax_backward_data(back, share, -1, back.dtype)
        rows = slice(chunk.start * group, chunk.end * group)
        grad_query[:, rows] = _product(back, _pick(key, chunk), scale)
        _add(grad_key, _product(back.transpose(1, 2), flat[:, rows], scale), chunk)
    return grad_query.view(query.shape), grad_key, grad_value


def _product(one: Tensor, two: Tensor, scale: float) -> Tensor:
    out = one.new_empty(one.shape[0], one.shape[1], two.shape[2])
    return torch.baddbmm(out, one, two, beta=0, alpha=scale)


def _pick(tensor: Tensor, chunk: Chunk) -> Tensor:
    parts = [tensor[:, start:end] for start, end in chunk.keys]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _add(total: Tensor, part: Tensor, chunk: Chunk) -> None:
    for (start, end), at in _spans(chunk):
        total[:, start:end] += part[:, at : at + end - start]


def _spans(chunk: Chunk) -> Iterator[tuple[tuple[int, int], int]]:
    at = 0
    for span in chunk.keys:
        yield span, at
        at += span[1] - span[0]


class ForestAttention(torch.autograd.Function):
    """Attention of query (1, heads, tokens, size) to key and value (1, key heads, tokens, size)."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, chunks: Sequence[Chunk], scale: float
    ) -> Tensor:
        """The output, (1, tokens, heads, size)."""
        heads = key.shape[1]
        grouped = query[0].reshape(heads, -1, *query.shape[2:]).transpose(1, 2).contiguous()
        out, weights = attend(grouped, key[0], value[0], chunks, scale)
        ctx.save_for_backward(grouped, key[0], value[0], *weights)
        ctx.chunks, ctx.scale = chunks, scale
        return out.unsqueeze(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of query, key and value."""
        query, key, value, *weights = ctx.saved_tensors
        found = attend_back(grads[0][0], query, key, value, weights, ctx.chunks, ctx.scale)
        grad_query = found[0].transpose(1, 2).flatten(0, 1).unsqueeze(0)
        return (
            grad_query,
            found[1].to(key.dtype).unsqueeze(0),
            found[2].to(key.dtype).unsqueeze(0),
            None,
            None,
        )


def forest_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    forest: Forest | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention implementation of transformers' interface; without a forest, torch's own."""
    if forest is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **others
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out = ForestAttention.apply(query, key, value, forest.chunks, scale)  # type: ignore[no-untyped-call]
    return out, None
