"""Encoders by name: the two embedded ones, or any sentence-transformers model by hub id or folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from index.encoders.choice import choose_encoder

if TYPE_CHECKING:
    from index.encoder import Encoder
    from index.weights import Progress

__all__ = ["choose_encoder", "load_encoder"]


def load_encoder(name: str, *, offline: bool = False, progress: Progress | None = None) -> Encoder:
    """The encoder called `name`; weights are mapped or read at first use, so that this returns at once.

    Raises Missing where the model cannot be had (`progress` hears of a download), UsageError where it is
    no encoder.
    """
    from corpora.errors import UsageError
    from index.weights import CATALOGUE, model_folder

    model = CATALOGUE.get(name)
    if model is not None and model.role != "encoder":
        raise UsageError(f"{name} is a language model, not an encoder.", hint="assistant models list")
    folder = model_folder(name, offline=offline, progress=progress)
    if model is not None:
        from index.encoders.embedded import EmbeddedEncoder

        return EmbeddedEncoder(name, folder)
    from index.encoders.sentence import SentenceEncoder

    return SentenceEncoder(name, folder)
