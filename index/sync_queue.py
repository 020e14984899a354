"""A queue between two threads that is bounded by the weight of what lies in it, not by its number."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """The other side has given up."""


class WeightedQueue(Generic[T]):
    """Blocks the producer while more than `limit` lies in it; one item of any weight always fits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self._cancelled = False

    def put(self, item: T, weight: int) -> None:
        """Add; raises Cancelled once the consumer has given up."""
        with self._changed:
            while self._items and self._weight + weight > self._limit and not self._cancelled:
                self._changed.wait()
            if self._cancelled:
                raise Cancelled
            self._items.append((item, weight))
            self._weight += weight
            self._changed.notify_all()

    def end(self, failure: BaseException | None = None) -> None:
        """Nothing more will come; a `failure` is raised at the consumer after what has come."""
        with self._changed:
            self._ended = True
            self._failure = failure
            self._changed.notify_all()

    def cancel(self) -> None:
        """Nothing more will be taken."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._weight = 0
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        """Whether nothing lies in it just now."""
        with self._changed:
            return not self._items

    def get(self, timeout: float | None = None) -> T:
        """The next item. Raises TimeoutError, StopIteration at the end, Cancelled, or the failure."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._ended or self._cancelled, timeout):
                raise TimeoutError
            if self._cancelled:
                raise Cancelled
            if not self._items:
                raise self._failure or StopIteration
            item, weight = self._items.popleft()
            self._weight -= weight
            self._changed.notify_all()
            return item
