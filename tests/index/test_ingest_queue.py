"""The queue between the threads of an ingest: bounded by weight, ended, failed and cancelled cleanly."""

from __future__ import annotations

import threading
import time

import pytest

from index.sync_queue import Cancelled, WeightedQueue


def test_items_come_in_order_to_the_end() -> None:
    queue: WeightedQueue[int] = WeightedQueue(10)
    for item in range(3):
        queue.put(item, 1)
    queue.end()
    assert [queue.get(), queue.get(), queue.get()] == [0, 1, 2]
    with pytest.raises(StopIteration):
        queue.get()


def test_a_producer_waits_while_too_much_lies_in_it_but_one_item_always_fits() -> None:
    queue: WeightedQueue[str] = WeightedQueue(10)
    queue.put("huge", 1000)
    passed = threading.Event()

    def produce() -> None:
        queue.put("next", 1)
        passed.set()

    threading.Thread(target=produce, daemon=True).start()
    assert not passed.wait(0.2)
    assert queue.get() == "huge"
    assert passed.wait(5)
    assert queue.get() == "next"
    assert queue.empty


def test_a_failure_arrives_after_what_came_before_it() -> None:
    queue: WeightedQueue[int] = WeightedQueue(10)
    queue.put(1, 1)
    queue.end(OSError("gone"))
    assert queue.get() == 1
    with pytest.raises(OSError, match="gone"):
        queue.get()


def test_cancelling_frees_a_producer_that_waits() -> None:
    queue: WeightedQueue[int] = WeightedQueue(1)
    queue.put(1, 1)
    freed = threading.Event()

    def produce() -> None:
        with pytest.raises(Cancelled):
            queue.put(2, 1)
        freed.set()

    threading.Thread(target=produce, daemon=True).start()
    queue.cancel()
    assert freed.wait(5)


def test_an_empty_queue_times_out() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        WeightedQueue(1).get(0.1)
    assert time.monotonic() - began < 5
