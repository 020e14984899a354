"""The adapter as it is, for peft and for servers that put adapters on a base (vLLM)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from finetune.adapters.config import CONFIG
from finetune.adapters.weights import WEIGHTS
from finetune.export.folder import copy_tokenizer
from finetune.export.source import Source, json_object
from index.weights.hub import looks_like_hub_id


def write_peft(source: Source, folder: Path) -> None:
    """Weights byte for byte, with tokenizer and chat template; the base by its hub id, else by its folder."""
    config = json_object(source.folder / CONFIG)
    config["base_model_name_or_path"] = base_reference(source)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    shutil.copyfile(source.folder / WEIGHTS, folder / WEIGHTS)
    copy_tokenizer(source, folder)


def base_reference(source: Source) -> str:
    """What other programs know the base by: a hub id, or where it lies on this machine."""
    hub = looks_like_hub_id(source.base_name) and not Path(source.base_name).expanduser().is_dir()
    return source.base_name if hub else str(source.base_folder.resolve())
