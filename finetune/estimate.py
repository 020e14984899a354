"""What a run will cost before it begins, and what it has cost so far."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

from corpora.records import Message
from finetune.teacher import Ask, Reply

_PROBE_WORDS = 120
_PROBE_REPLY = 12  # tokens


@dataclass(frozen=True, slots=True)
class Workload:
    """Calls of a teacher with the tokens that they are expected to read and to write."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Workload) -> Workload:
        return Workload(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def times(self, factor: float) -> Workload:
        """As much of it, `factor` times: from a sample to the whole."""
        return Workload(
            round(self.calls * factor),
            round(self.prompt_tokens * factor),
            round(self.completion_tokens * factor),
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """Tokens a second that a model of this machine reads and writes, all rows of a batch together."""

    reading: float
    writing: float

    def seconds(self, workload: Workload) -> float:
        """How long `workload` takes."""
        return workload.prompt_tokens / self.reading + workload.completion_tokens / self.writing


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take; `seconds` is None where the teacher is elsewhere and its pace not known."""

    teacher: str
    workload: Workload
    seconds: float | None

    def line(self) -> str:
        """One line for people."""
        tokens = self.workload.prompt_tokens, self.workload.completion_tokens
        text = (
            f"about {self.workload.calls:,} calls of {self.teacher}, {short(tokens[0])} tokens in, "
            f"{short(tokens[1])} out"
        )
        return text if self.seconds is None else f"{text}, {duration(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Totals:
    """What a teacher has done: `calls` were made, `failed` of them for nothing; `cached` were not needed."""

    calls: int = 0
    failed: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def plus(self, replies: Iterable[Reply], seconds: float) -> Totals:
        """With the calls that gave `replies`."""
        calls, failed, read, written = self.calls, self.failed, self.prompt_tokens, self.completion_tokens
        for reply in replies:
            calls += 1
            failed += reply.text is None
            read += reply.usage.prompt_tokens
            written += reply.usage.completion_tokens
        return Totals(calls, failed, self.cached, read, written, self.seconds + seconds)

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def line(self) -> str:
        """One line for people."""
        parts = [f"{self.calls:,} calls", f"{self.cached:,} from the cache"]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{short(self.prompt_tokens)} tokens in, {short(self.completion_tokens)} out"]
        return ", ".join(parts)


class Eta:
    """How long some work will go on, from how it went so far; work from a cache is not taken for speed."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = self._counted = 0
        self._seconds = 0.0
        self._last = time.monotonic()

    def advance(self, units: int, *, cached: bool = False) -> float | None:
        """`units` more are done. Seconds left, None while there is nothing to tell by."""
        now = time.monotonic()
        self._done += units
        if not cached:
            self._counted += units
            self._seconds += now - self._last
        self._last = now
        if not self._counted:
            return None
        return self._seconds / self._counted * max(0, self._total - self._done)


class Prober(Protocol):
    """A model of this machine (`finetune.chat_teacher.BatchModel`)."""

    def generate_batch(self, asks: Sequence[Ask]) -> list[Reply]: ...


def measure_pace(model: Prober, rows: int) -> Pace:
    """The pace of `model` on this machine now, by two short batches of `rows`: some seconds of work."""
    numbers = " ".join(str(1000 + 7 * n) for n in range(_PROBE_WORDS))
    model.generate_batch(_probe("warm", 1, 2))
    began = time.perf_counter()
    read = model.generate_batch(_probe(numbers, rows, 1))
    reading = time.perf_counter() - began
    began = time.perf_counter()
    both = model.generate_batch(_probe(numbers, rows, _PROBE_REPLY))
    writing = max(time.perf_counter() - began - reading, 1e-3)
    more = sum(reply.usage.completion_tokens for reply in both) - rows
    return Pace(
        reading=max(1.0, sum(reply.usage.prompt_tokens for reply in read) / max(reading, 1e-3)),
        writing=max(0.1, max(more, 1) / writing),
    )


def estimate(teacher: str, workload: Workload, pace: Pace | None) -> Estimate:
    """What `workload` will take; without a pace, in tokens and calls only."""
    return Estimate(teacher, workload, None if pace is None else pace.seconds(workload))


def short(number: float) -> str:
    """`1.2M`, `34k`, `560`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            value = number / size
            return f"{value:.1f}{letter}" if value < 10 else f"{value:.0f}{letter}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _probe(text: str, rows: int, reply: int) -> list[Ask]:
    # Each row begins with its own number, so that the batch shares no prefix and the work is not less.
    return [
        Ask((Message("user", f"{n} {text}\nGo on counting by seven."),), max_new_tokens=reply)
        for n in range(rows)
    ]
