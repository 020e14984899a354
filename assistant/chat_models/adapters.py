"""Adapters: found by name, checked to be safetensors and of this base, put on the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from corpora.errors import Conflict, Missing

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def find_adapter(name: str, adapters: Path | None, *, base: str, base_folder: Path) -> Path:
    """The folder of the adapter `name`, checked; `base` is the model it is to go on.

    Raises Missing where there is none; Conflict for pickled weights (code pickle_refused) and for an
    adapter that was trained on another base (code wrong_base), before any weight is loaded.
    """
    candidates = [adapters / name] if adapters is not None and Path(name).name == name else []
    candidates.append(Path(name).expanduser())
    folder = next((path for path in candidates if (path / "adapter_config.json").is_file()), None)
    if folder is None:
        raise Missing(f"There is no adapter called {name}.", hint="--adapter none answers without one")
    if not (folder / "adapter_model.safetensors").is_file():
        raise Conflict(
            f"Refused the adapter {name}: it has no adapter_model.safetensors, and pickle can run code.",
            hint="ask for safetensors",
            code="pickle_refused",
        )
    trained_on = _config(folder).get("base_model_name_or_path")
    if trained_on != base and not _same_folder(trained_on, base_folder):
        raise Conflict(
            f"The adapter {name} was trained on {trained_on}; the model is {base}.",
            hint=f"--model {trained_on}, or --adapter none",
            code="wrong_base",
        )
    return folder


def attach_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """`model` with the adapter in `folder` on it, for answering. Raises Missing without peft, Conflict."""
    from importlib.util import find_spec

    if find_spec("peft") is None:
        raise Missing("Adapters need the package peft.", hint="pip install peft")
    from peft import PeftModel

    try:
        tuned = PeftModel.from_pretrained(model, str(folder), is_trainable=False, local_files_only=True)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise Conflict(
            f"The adapter in {folder} does not fit the model: {error}", code="wrong_base"
        ) from error
    return cast("PreTrainedModel", tuned)  # it answers as the model it wraps


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "adapter_config.json").read_bytes())
    except ValueError as error:
        raise Conflict(f"{folder}/adapter_config.json is damaged: {error}", code="wrong_base") from error
    return config if isinstance(config, dict) else {}


def _same_folder(named: object, folder: Path) -> bool:
    return isinstance(named, str) and Path(named).is_dir() and Path(named).samefile(folder)
