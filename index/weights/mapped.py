"""safetensors files mapped into memory: a tensor is read when it is touched, and never copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_KINDS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8")}


def mapped_tensors(path: Path) -> dict[str, Any]:
    """Arrays by name, of a file that is an 8-byte length, a JSON header and the data."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header: dict[str, Any] = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", offset=8 + length)
    return {
        name: data[slice(*entry["data_offsets"])].view(_KINDS[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
    }
