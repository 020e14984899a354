"""How much memory training has used at most, and how much there is, on a card or on a processor."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from corpora.errors import Missing

T = TypeVar("T")

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def peak_bytes() -> int:
    """The most since the last `reset_peak` (where the system cannot reset it, since the process began)."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    if _STATUS.exists():
        return _status("VmHWM")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def reset_peak() -> None:
    """Count the peak from here."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif _CLEAR.exists():
        try:
            _CLEAR.write_text("5")
        except OSError:
            return  # a sealed container: the peak is then that of the whole process


def used_bytes() -> int:
    """What is in use now."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    return _status("VmRSS") if _STATUS.exists() else peak_bytes()


def free_bytes() -> int:
    """What more could be used without pushing others out."""
    if torch.cuda.is_available():
        free, _total = torch.cuda.mem_get_info()
        return int(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return min(int(line.split()[1]) * 1024, _group_room())
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _group_room() -> int:
    """What the control group of a container leaves."""
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:
        return int(limit.read_text()) - int(used.read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return sys.maxsize


def _status(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def within_memory(model: torch.nn.Module, work: Callable[[], T]) -> T | None:
    """What `work`, passes of `model`, gives; None where memory ran out, with nothing left of them."""
    try:
        return work()
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
    # Outside of the handler, whose traceback keeps the tensors of the failed pass alive.
    model.zero_grad()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether torch ran out of memory, on a card or on a processor (where it says so only in words)."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error)
    return "can't allocate memory" in words or "out of memory" in words


def too_long_for_memory(tokens: int) -> Missing:
    """The error for a row that not even alone, and with the least kept, can be trained on."""
    return Missing(
        f"A row of {tokens} tokens alone needs more memory than there is.",
        hint="a smaller --max-length, or a smaller model",
        code="device_missing",
    )


def share_heap() -> None:
    """Have threads to come allocate where the main thread does, as far as the C library lets them.

    glibc gives every thread a heap of its own, so that what passes side by side have freed cannot be used by
    another: nearly twice the memory, and pages that are asked for anew in every step.
    """
    try:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    except (OSError, TypeError, AttributeError):  # another system, or another C library
        return


def give_back() -> None:
    """Return to the system what has been freed; glibc keeps it, and counts it as ours."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, TypeError, AttributeError):
        return
