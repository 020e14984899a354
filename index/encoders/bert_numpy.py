"""One text through a BERT encoder with numpy alone: importing torch costs more than encoding a question.

BERT (Devlin et al. 2019, arXiv:1810.04805), post-layer-norm, exact GELU, mean pooling, in float32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from index.weights.mapped import mapped_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]


class NumpyBert:
    """The weights of a BERT encoder, read from a mapped safetensors file; embedding rows stay on disk."""

    def __init__(self, folder: Path) -> None:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._blas = ThreadpoolController()
        self._heads: int = config["num_attention_heads"]
        self._epsilon: float = config["layer_norm_eps"]
        self._tensors = mapped_tensors(folder / "model.safetensors")
        self._words = self._tensors["embeddings.word_embeddings.weight"]
        self._positions = self._tensors["embeddings.position_embeddings.weight"]
        self._type = self._tensors["embeddings.token_type_embeddings.weight"][0]
        self._norm = self._pair("embeddings.LayerNorm")
        self._layers = [self._layer(f"encoder.layer.{n}") for n in range(config["num_hidden_layers"])]

    def encode(self, ids: Sequence[int]) -> Array:
        """The mean of the last hidden states of one text, scaled to length 1; shape (hidden,)."""
        words = self._words[list(ids)].astype(np.float32)
        x = _layer_norm(words + self._positions[: len(ids)] + self._type, *self._norm, self._epsilon)
        with self._blas.limit(limits=1, user_api="blas"):  # so little work is slower on two threads
            for layer in self._layers:
                x = self._block(x, layer)
        pooled = x.mean(axis=0)
        return cast("Array", pooled / np.linalg.norm(pooled))

    def _block(self, x: Array, layer: dict[str, tuple[Array, Array]]) -> Array:
        length, hidden = x.shape
        width = hidden // self._heads
        query, key, value = (
            _linear(x, layer[name]).reshape(length, self._heads, width).transpose(1, 0, 2)
            for name in ("attention.self.query", "attention.self.key", "attention.self.value")
        )
        weights = _softmax(query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(width)))
        context = (weights @ value).transpose(1, 0, 2).reshape(length, hidden)
        x = x + _linear(context, layer["attention.output.dense"])
        x = _layer_norm(x, *layer["attention.output.LayerNorm"], self._epsilon)
        inner = _gelu(_linear(x, layer["intermediate.dense"]))
        x = x + _linear(inner, layer["output.dense"])
        return _layer_norm(x, *layer["output.LayerNorm"], self._epsilon)

    def _layer(self, prefix: str) -> dict[str, tuple[Array, Array]]:
        names = (
            *(f"attention.self.{name}" for name in ("query", "key", "value")),
            *("attention.output.dense", "attention.output.LayerNorm"),
            *("intermediate.dense", "output.dense", "output.LayerNorm"),
        )
        return {name: self._pair(f"{prefix}.{name}") for name in names}

    def _pair(self, name: str) -> tuple[Array, Array]:
        return self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]


def _linear(x: Array, pair: tuple[Array, Array]) -> Array:
    weight, bias = pair
    return cast("Array", x @ weight.T + bias)


def _layer_norm(x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return cast("Array", centred / np.sqrt(variance + np.float32(epsilon)) * weight + bias)


def _softmax(scores: Array) -> Array:
    exponents = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return cast("Array", exponents / exponents.sum(axis=-1, keepdims=True))


def _gelu(x: Array) -> Array:
    """x * Phi(x), with erf by Abramowitz and Stegun 7.1.26 (absolute error below 1.5e-7)."""
    z = np.abs(x) * np.float32(1 / np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.float32(1.061405429) * t - np.float32(1.453152027)
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(coefficient)
    erf = np.copysign(1 - series * t * np.exp(-z * z), x)
    return cast("Array", 0.5 * x * (1 + erf))
