"""Threads that compute with torch, each by as many of its own as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def computing_threads(count: int, each: int) -> Iterator[ThreadPoolExecutor]:
    """`count` threads whose operations are computed by `each` threads; what is not begun at the end never is.

    In torch that number belongs to a thread, but a new thread starts with the one set last: it is put back.
    """
    import torch

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(each,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # an interrupt waits for what is under way, not for all
        torch.set_num_threads(before)
