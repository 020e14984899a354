"""Many texts through a BERT encoder with torch on the CPU; what was measured and chosen:

- Texts of like length go together, rounded up to a multiple of 16 tokens: attention kernels are twice as
  fast there as at odd lengths, and less than 5 % of the work is padding.
- Each worker thread computes a batch by itself, with single-threaded operations: no barrier after each of
  them, so the cores never wait for each other, which also holds when other programs want them.
- Weights are laid out once for oneDNN, and GELU and residual sums are fused into its matrix products.
- bfloat16 only where the processor multiplies it natively.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch.nn import functional

from index.threads import computing_threads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH_TOKENS = 4096
_ROUND_TO = 16


class TorchBert:
    """The weights of a BERT encoder, ready for batches. BERT: Devlin et al. 2019, arXiv:1810.04805."""

    def __init__(self, folder: Path, dtype: torch.dtype | None = None) -> None:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._hidden: int = config["hidden_size"]
        self._epsilon: float = config["layer_norm_eps"]
        self.dtype = dtype or best_dtype()
        weights = load_file(folder / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        types = weights["embeddings.token_type_embeddings.weight"]
        self._positions = weights["embeddings.position_embeddings.weight"].float() + types[0].float()
        self._norm = _norm(weights, "embeddings.LayerNorm", torch.float32)
        heads: int = config["num_attention_heads"]
        self._layers = [
            _Layer(weights, f"encoder.layer.{n}", self.dtype, heads, self._epsilon)
            for n in range(config["num_hidden_layers"])
        ]

    def encode(
        self, texts: Sequence[Sequence[int]], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit rows, shape (len(texts), hidden), in the order given; `progress` hears how many are done."""
        out = torch.empty(len(texts), self._hidden)

        def compute(batch: Sequence[int]) -> int:
            out[batch] = self._forward([texts[place] for place in batch])
            return len(batch)

        done = 0
        with _single_threaded_workers() as pool:
            for finished in as_completed([pool.submit(compute, batch) for batch in batches(texts)]):
                done += finished.result()
                if progress is not None:
                    progress(done)
        return out.numpy()

    @torch.inference_mode()
    def _forward(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        length = _rounded(max(map(len, texts)))
        tokens = torch.zeros(len(texts), length, dtype=torch.long)
        real = torch.zeros(len(texts), length, dtype=torch.bool)
        for row, ids in enumerate(texts):
            tokens[row, : len(ids)] = torch.tensor(ids)
            real[row, : len(ids)] = True
        x = functional.embedding(tokens, self._words).float() + self._positions[:length]
        x = functional.layer_norm(x, (self._hidden,), *self._norm, self._epsilon)
        x = x.to(self.dtype).view(-1, self._hidden)
        for layer in self._layers:
            x = layer(x, real)
        hidden = x.view(len(texts), length, self._hidden).float()
        return functional.normalize((real.float().unsqueeze(1) @ hidden).squeeze(1), dim=-1)


class _Layer:
    def __init__(
        self, weights: dict[str, torch.Tensor], prefix: str, dtype: torch.dtype, heads: int, epsilon: float
    ) -> None:
        self._heads, self._epsilon = heads, epsilon
        attention = [f"{prefix}.attention.self.{name}" for name in ("query", "key", "value")]
        self._qkv = _linear(weights, attention, dtype)
        self._out = _linear(weights, [f"{prefix}.attention.output.dense"], dtype)
        self._up = _linear(weights, [f"{prefix}.intermediate.dense"], dtype)
        self._down = _linear(weights, [f"{prefix}.output.dense"], dtype)
        self._attention_norm = _norm(weights, f"{prefix}.attention.output.LayerNorm", dtype)
        self._output_norm = _norm(weights, f"{prefix}.output.LayerNorm", dtype)

    def __call__(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        hidden = x.shape[1:]
        context = self._attend(self._qkv(x), real)
        x = functional.layer_norm(self._out.plus(context, x), hidden, *self._attention_norm, self._epsilon)
        inner = self._up.gelu(x)
        return functional.layer_norm(self._down.plus(inner, x), hidden, *self._output_norm, self._epsilon)

    def _attend(self, qkv: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Attention of each text over its own tokens; `qkv` is (texts * length, 3 * hidden)."""
        (count, length), hidden = real.shape, qkv.shape[1] // 3
        heads = qkv.view(count, length, 3, self._heads, hidden // self._heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        mask = real.view(count, 1, 1, length)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed.transpose(1, 2).reshape(count * length, hidden)


class _Linear:
    """x W^T + b, with a GELU or a sum fused into it where oneDNN is there (a sixth faster than without)."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self._bias = bias
        self._packed = hasattr(torch.ops.mkldnn, "_linear_pointwise")
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight, BATCH_TOKENS) if self._packed else weight
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._pointwise(x, "none", "") if self._packed else self._plain(x)

    def gelu(self, x: torch.Tensor) -> torch.Tensor:
        """GELU(x W^T + b), the exact one."""
        return self._pointwise(x, "gelu", "none") if self._packed else functional.gelu(self._plain(x))

    def plus(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """x W^T + b + other."""
        if not self._packed:
            return self._plain(x) + other
        fused = torch.ops.mkldnn._linear_pointwise.binary
        total: torch.Tensor = fused(x, other, self._weight, self._bias, "add")
        return total

    def _plain(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self._weight, self._bias)

    def _pointwise(self, x: torch.Tensor, name: str, algorithm: str) -> torch.Tensor:
        fused = torch.ops.mkldnn._linear_pointwise
        result: torch.Tensor = fused(x, self._weight, self._bias, name, [], algorithm)
        return result


def best_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively (AVX512-BF16 or AMX), else float32."""
    can = torch.cpu.get_capabilities()
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32


def batches(texts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Places of texts, longest first, so that texts of one batch are equally long after rounding.

    No batch has more than BATCH_TOKENS tokens, but for a single text that is longer by itself.
    """
    found: list[list[int]] = []
    length = 0
    for place in sorted(range(len(texts)), key=lambda n: (-_rounded(len(texts[n])), n)):
        own = _rounded(len(texts[place]))
        if own != length or (len(found[-1]) + 1) * own > BATCH_TOKENS:
            found.append([])
            length = own
        found[-1].append(place)
    return found


def _single_threaded_workers() -> AbstractContextManager[ThreadPoolExecutor]:
    """As many threads as OMP_NUM_THREADS or torch's own count says, each computing alone."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    count = int(named) if named.isdigit() and int(named) > 0 else torch.get_num_threads()
    return computing_threads(count, each=1)


def _rounded(length: int) -> int:
    return -(-length // _ROUND_TO) * _ROUND_TO


def _linear(weights: dict[str, torch.Tensor], names: Sequence[str], dtype: torch.dtype) -> _Linear:
    return _Linear(
        torch.cat([weights[f"{name}.weight"] for name in names]).to(dtype),
        torch.cat([weights[f"{name}.bias"] for name in names]).to(dtype),
    )


def _norm(
    weights: dict[str, torch.Tensor], name: str, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    return weights[f"{name}.weight"].to(dtype), weights[f"{name}.bias"].to(dtype)
