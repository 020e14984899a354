"""A cross-encoder that reads question and passage together: slower than vectors, better at the top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from corpora.errors import Missing
from index.vector_math import settle_vector_math

if TYPE_CHECKING:
    import torch

_BATCH = 16
_MAX_TOKENS = 512  # what the usual cross-encoders were trained on; the end of a longer passage is not read


class Reranker(Protocol):
    """Scores passages against a question."""

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float64]:
        """One score in [0, 1] a text, higher is better."""


class CrossEncoder:
    """A cross-encoder (one-label sequence classifier) by hub id or local folder; loaded at the first use.

    Only safetensors are read and no code of the model's is run. Nogueira and Cho, "Passage Re-ranking with
    BERT", 2019.
    """

    def __init__(self, name: str, *, offline: bool = False) -> None:
        self.name = name
        self._offline = offline
        self._loaded: tuple[Any, Any] | None = None

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Reranker`. Raises Missing when the model is not here and may not or cannot be fetched."""
        import torch

        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # batches of like length
        result = np.zeros(len(texts))
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                batch = order[start : start + _BATCH]
                logits = self._logits(query, [texts[at] for at in batch])
                result[batch] = torch.sigmoid(logits[:, -1].double()).cpu().numpy()
        return result

    def _logits(self, query: str, texts: list[str]) -> torch.Tensor:
        if self._loaded is None:
            from index.weights import model_folder

            self._loaded = _load(self.name, model_folder(self.name, offline=self._offline))
        tokenizer, model = self._loaded
        inputs = tokenizer(
            [query] * len(texts),
            texts,
            padding=True,
            truncation="longest_first",
            max_length=min(_MAX_TOKENS, tokenizer.model_max_length),
            return_tensors="pt",
        )
        logits: torch.Tensor = model(**inputs.to(model.device)).logits
        return logits


def _load(name: str, folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    settle_vector_math()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, **local
        )
    except (OSError, ValueError, KeyError) as error:
        raise Missing(
            f"{name} is no cross-encoder that can be read: {str(error).splitlines()[0]}",
            hint="name a cross-encoder with safetensors weights, such as cross-encoder/ms-marco-MiniLM-L6-v2",
        ) from error
    return tokenizer, model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
