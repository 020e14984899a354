"""An ingest with an encoder that needs no weights: for tests in this process, and as a program to be killed.

python ingest_driver.py LIBRARY PATH...        prints the counts as JSON
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpora.store import Library
from index.ingest import IngestReport, ingest
from index.sync_options import Hooks, IngestOptions


class HashingEncoder:
    """Equal texts have equal unit vectors, others nearly orthogonal ones."""

    def __init__(self, name: str = "hashing", fingerprint: str = "f" * 16, dimension: int = 32) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.max_tokens = 64
        self.encoded: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [2 + (len(text.encode()) + 3) // 4 for text in texts]

    def encode_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        self.encoded += texts
        return np.stack([self.encode_query(text) for text in texts])

    def encode_query(self, text: str) -> NDArray[np.float32]:
        seed = hashlib.blake2b(f"{self.name}\0{text}".encode(), digest_size=self.dimension).digest()
        vector = np.frombuffer(seed, np.uint8).astype(np.float32) - 127.5
        return vector / np.linalg.norm(vector)


class Loads:
    """An encoder loader that counts."""

    def __init__(self, *encoders: HashingEncoder) -> None:
        self.encoders = {encoder.name: encoder for encoder in encoders or (HashingEncoder(),)}
        self.loaded: list[str] = []

    def __call__(self, name: str) -> HashingEncoder:
        self.loaded.append(name)
        return self.encoders[name]


def options(load: Loads | None = None, **more: object) -> IngestOptions:
    return IngestOptions(choose=lambda sample: "hashing", load=load or Loads(), **more)  # type: ignore[arg-type]


def run(library: Library, *roots: Path, hooks: Hooks | None = None, **more: object) -> IngestReport:
    """One ingest with the hashing encoder."""
    return ingest(library, list(roots), options(**more), hooks)  # type: ignore[arg-type]


if __name__ == "__main__":
    with Library.create(Path(sys.argv[1])) as opened:
        done = run(opened, *map(Path, sys.argv[2:]))
    print(json.dumps({"added": done.added, "updated": done.updated, "removed": done.removed}))
