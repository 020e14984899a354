"""What a local model is, in 16 hex digits: equal for models whose replies are equal."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

_SAMPLES = 256  # pieces of a weights file that are read; another training changes nearly every weight
_SAMPLE_BYTES = 4096
_SETTINGS = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def model_fingerprint(folder: Path, adapter: Path | None, parts: Sequence[str]) -> str:
    """Of the weights (sampled), settings and tokenizer in `folder`, of the adapter, and of other `parts`.

    Reads about a megabyte of each weights file, so that a 7B model takes milliseconds.
    """
    digest = hashlib.sha256("\0".join(parts).encode())
    for place in (folder, adapter):
        files = sorted(place.glob("*.safetensors")) if place is not None else []
        for path in files:
            digest.update(f"\0{path.name}\0{_sampled(path)}".encode())
    settings = [folder / name for name in _SETTINGS]
    if adapter is not None:
        settings.append(adapter / "adapter_config.json")
    for path in settings:
        if path.is_file():
            digest.update(f"\0{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()[:16]


def _sampled(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for n in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * n // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
