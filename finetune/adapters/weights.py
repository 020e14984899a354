"""The weights file of an adapter, looked at without loading it: header, hash, values that are no numbers."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict
from index.cache_files import sha256_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS = "adapter_model.safetensors"
_LONGEST_HEADER = 16 << 20  # bytes; the thousand tensors of a 70B model's adapter take a fifth of one
_WIDTHS: Mapping[str, int] = {"F32": 4, "BF16": 2, "F16": 2}
# The bits of the exponent: all set means infinite or no number.
_EXPONENTS: Mapping[str, int] = {"F32": 0x7F800000, "BF16": 0x7F80, "F16": 0x7C00}
_BLOCK = 1 << 22  # values looked at in one go


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies: `start` and `end` are offsets into the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(folder: Path) -> dict[str, Tensor]:
    """The tensors of the adapter in `folder` by name, from the header of its weights alone.

    Raises Conflict: pickle_refused where there are no safetensors weights, bad_adapter for a damaged file.
    """
    path = folder / WEIGHTS
    if not os.path.lexists(path):
        raise Conflict(
            f"Refused the adapter {folder.name}: it has no {WEIGHTS}, and pickle can run code.",
            hint="ask for safetensors",
            code="pickle_refused",
        )
    try:
        return _header(path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Conflict(
            f"The weights of the adapter {folder.name} are damaged: {error}.", code="bad_adapter"
        ) from error


def check_weights(folder: Path, sha256: str | None) -> dict[str, Tensor]:
    """As `read_header`, with every byte looked at: hash (None: of no matter), and finite values only.

    Reads the file twice, about a second for an adapter of 500 MB. Raises Conflict.
    """
    tensors = read_header(folder)
    path = folder / WEIGHTS
    if sha256 is not None and sha256_of(path) != sha256:
        raise Conflict(
            f"The weights of the adapter {folder.name} are not those that its card names.",
            hint=f"assistant adapters remove {folder.name}, and tune again",
            code="bad_adapter",
        )
    for name, tensor in tensors.items():
        if not _is_finite(path, tensor):
            raise Conflict(
                f"The weights of the adapter {folder.name} are damaged: {name} holds values that are no "
                "numbers.",
                code="bad_adapter",
            )
    return tensors


def _header(path: Path) -> dict[str, Tensor]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is no file")
        length = int.from_bytes(file.read(8), "little")
        if length > min(_LONGEST_HEADER, facts.st_size):
            raise ValueError("its header is too long")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    first = 8 + length
    found = {name: _tensor(name, value, first) for name, value in header.items() if name != "__metadata__"}
    place = first
    for name, tensor in sorted(found.items(), key=lambda item: item[1].start):
        if tensor.start != place:
            raise ValueError(f"{name} is out of place")
        place = tensor.end
    if not found or place != facts.st_size:
        raise ValueError("its tensors do not fill it")
    return found


def _tensor(name: str, value: Mapping[str, Any], first: int) -> Tensor:
    dtype, shape, (start, end) = value["dtype"], value["shape"], value["data_offsets"]
    if dtype not in _WIDTHS:
        raise ValueError(f"{name} is of the type {dtype!r}")
    size = 1
    for number in (*shape, start, end):
        if type(number) is not int or number < 0:
            raise ValueError(f"{name} has {number!r} for a number")
    for side in shape:
        size *= side
    if not size or end - start != size * _WIDTHS[dtype]:
        raise ValueError(f"{name} has not the size of its shape")
    return Tensor(dtype, tuple(shape), first + start, first + end)


def _is_finite(path: Path, tensor: Tensor) -> bool:
    import numpy as np

    width, exponent = _WIDTHS[tensor.dtype], _EXPONENTS[tensor.dtype]
    count = (tensor.end - tensor.start) // width
    bits: NDArray[np.uint32] = np.memmap(path, f"<u{width}", "r", offset=tensor.start, shape=(count,))
    return not any(
        bool(((bits[at : at + _BLOCK] & exponent) == exponent).any()) for at in range(0, count, _BLOCK)
    )
