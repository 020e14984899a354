"""Plain weights with the adapter in them, in a folder that transformers, vLLM and others load as a model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.export.folder import copy_tokenizer
from finetune.export.source import Source, json_object
from finetune.export.weights import TunedWeights, WeightInfo

if TYPE_CHECKING:
    import torch

_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
_INDEX = "model.safetensors.index.json"

Advance = Callable[[int], None]


def merged_bytes(infos: Sequence[WeightInfo]) -> int:
    """How large the weights will be."""
    return sum(_bytes(info) for info in infos)


def write_merged(source: Source, weights: TunedWeights, folder: Path, advance: Advance) -> None:
    """The model into `folder`; its weights keep their names, precision and division into files.

    A base that was trained on in few bits comes out as bfloat16. `advance` is told of each tensor.
    """
    for name, infos in groupby(weights.infos, key=lambda info: info.file):
        _write_file(folder / name, list(infos), weights, advance)
    if (source.weights_folder / _INDEX).is_file():
        files = {info.name: info.file for info in weights.infos}
        index = {"metadata": {"total_size": merged_bytes(weights.infos)}, "weight_map": files}
        (folder / _INDEX).write_text(json.dumps(index, indent=1) + "\n", "utf-8")
    config = json_object(source.weights_folder / "config.json")
    if source.rounding:
        config.pop("torch_dtype", None)
        config["dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    for place in (source.base_folder, source.weights_folder):
        if (place / "generation_config.json").is_file():
            shutil.copyfile(place / "generation_config.json", folder / "generation_config.json")
    copy_tokenizer(source, folder)


def _write_file(path: Path, infos: Sequence[WeightInfo], weights: TunedWeights, advance: Advance) -> None:
    """A safetensors file, by its format: length of the header, header, bytes; one tensor held at a time."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for info in infos:
        end = at + _bytes(info)
        header[info.name] = {"dtype": info.dtype, "shape": list(info.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for info in infos:
            stream.write(_raw(weights.read(info.name), info))
            advance(1)


def _raw(tensor: torch.Tensor, info: WeightInfo) -> bytes:
    import torch

    types = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    if info.dtype in types:
        tensor = tensor.to(types[info.dtype])
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _bytes(info: WeightInfo) -> int:
    return info.size * _BYTES.get(info.dtype, 1)
