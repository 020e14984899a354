"""Instruction data from a library: candidates are written, checked, and stored a window at a time.

A window (a few passages, or a round) is settled in one transaction, together with the note that it is done.
All that decides what comes next is read from the library, so a run that was killed goes on to the same end
as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from corpora.examples import Example, Split
from corpora.store import ExampleStore, Library
from corpora.store.guard import TEACHING
from finetune.candidates import Candidate
from finetune.checks import Checked, Checks, Seen
from finetune.courses import Course
from finetune.examples import split_of, to_example
from finetune.plan import Unit
from finetune.splits import assign_splits
from index.sync_options import Hooks

JOB = "generate"


@dataclass(frozen=True, slots=True)
class GenerateReport:
    """What a run came to, its earlier part included where it went on after an interruption.

    `rejected` counts by reason; `passages` were worked on; `left` says whether there is more to do.
    """

    accepted: int
    rejected: Mapping[str, int]
    passages: int
    stopped: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class _Job:
    """What is noted down at the start: a run with the same settings goes on, another begins anew."""

    settings: Mapping[str, object]
    first_number: int  # examples with a higher number are of this run
    taught_before: int  # passages that were done when it began


class Generation:
    """One run over some courses; `limit` counts accepted examples."""

    def __init__(
        self, library: Library, courses: Sequence[Course], checks: Checks, limit: int | None, hooks: Hooks
    ) -> None:
        self._library, self._courses, self._checks = library, courses, checks
        self._limit, self._hooks = limit, hooks
        self._store = ExampleStore(library)

    def run(self, settings: Mapping[str, object]) -> GenerateReport:
        """Work until all is done, the limit is reached or the user asks to stop.

        `settings` is what makes a run another one: seed, limit, quotas. Raises Busy where another run holds
        the library.
        """
        began = time.perf_counter()
        with self._library.guard(on_wait=self._hooks.say, lock=TEACHING):
            self._settle_splits()
            job = self._begin(settings)
            seen = self._checks.seen(self._store.find(status="accepted"))
            stopped = self._work(job, seen)
            if not stopped:
                with self._library.write() as writer:
                    writer.set_job(JOB, None)
            counts = dict(self._counts(job))
        return GenerateReport(
            accepted=counts.pop("accepted", 0),
            rejected=counts,
            passages=self._passages_done() - job.taught_before,
            stopped=stopped,
            seconds=time.perf_counter() - began,
        )

    def _settle_splits(self) -> None:
        splits = assign_splits(self._library.documents(), self._store.splits())
        with self._library.write() as writer:
            self._store.set_splits(writer, splits)

    def _begin(self, settings: Mapping[str, object]) -> _Job:
        wanted = {**settings, "limit": self._limit, "scopes": [course.scope for course in self._courses]}
        noted = self._library.job(JOB)
        if noted is not None:
            job = _Job(**json.loads(noted))
            if job.settings == wanted:
                return job
        job = _Job(wanted, self._store.last_number(), self._passages_done())
        with self._library.write() as writer:
            writer.set_job(JOB, json.dumps(asdict(job)))
        return job

    def _passages_done(self) -> int:
        return sum(self._store.taught_passages(course.scope) for course in self._courses)

    def _hashes(self) -> dict[str, str]:
        return {document.id: document.sha256 for document in self._library.documents()}

    def _counts(self, job: _Job) -> Mapping[str, int]:
        return self._store.counts_after(job.first_number, {course.method for course in self._courses})

    def _work(self, job: _Job, seen: Seen) -> bool:
        """Every course in turn, up to its share of the limit; True if asked to stop.

        The shares add up from the first course on, so that what one leaves is for the next, and a run that
        goes on after an interruption sees the same bounds.
        """
        total = sum(course.weight for course in self._courses)
        weight = 0.0
        for course in self._courses:
            weight += course.weight
            room = None
            if self._limit is not None:
                accepted = self._counts(job).get("accepted", 0)
                room = max(0, math.ceil(self._limit * weight / total) - accepted)
            if self._work_on(course, seen, room):
                return True
        return self._hooks.stop()

    def _work_on(self, course: Course, seen: Seen, room: int | None) -> bool:
        done = self._store.taught(course.scope)
        self._hooks.progress.start(
            f"Teaching ({course.method})", course.total(done) if room is None else room
        )
        splits = self._store.splits()
        quota = course.quota(self._limit)
        if room == 0:
            return False
        for window in course.windows(done, room):
            if self._hooks.stop():
                return True
            desk = _Desk(self._checks, seen, splits, self._hashes(), quota)
            before = self._store.accepted_of([unit.name for unit in window], course.method)
            settled = desk.settle(course.write(window), [before.get(unit.name, 0) for unit in window], room)
            self._commit(course, [window[at] for at in settled.finished], settled.examples)
            done.update(window[at].name for at in settled.finished)
            accepted = sum(example.status == "accepted" for example in settled.examples)
            self._hooks.progress.advance(len(window) if room is None else accepted, "")
            if room is not None:
                room -= accepted
                if room <= 0:
                    return False
        return False

    def _commit(self, course: Course, units: Sequence[Unit], examples: Sequence[Example]) -> None:
        with self._library.write() as writer:
            current = dict(writer.connection.execute("SELECT id, sha256 FROM documents"))
            fresh = [e for e in examples if all(current.get(q.document_id) == q.sha256 for q in e.quotes)]
            self._store.add(writer, fresh)
            done = {u.name: u.document_id for u in units if u.document_id is None or u.document_id in current}
            self._store.add_taught(writer, course.scope, done)


@dataclass(frozen=True, slots=True)
class _Settled:
    """What became of a window: its examples, and the places of the units that are done."""

    examples: list[Example]
    finished: list[int]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where the candidates of one window go through the checks, the best of each unit first."""

    checks: Checks
    seen: Seen
    splits: Mapping[str, Split]
    hashes: Mapping[str, str]  # sha256 by document id
    quota: int | None

    def settle(
        self, written: Sequence[Sequence[Candidate]], before: Sequence[int], room: int | None
    ) -> _Settled:
        """Take from each unit as many as it may still give, until none may or has any, or `room` is full.

        `before` tells how many each has given to an earlier run, which ended in its midst.
        """
        queues = [deque(candidates) for candidates in written]
        given = list(before)
        examples: list[Example] = []
        while batch := [
            (at, queue.popleft())
            for at, queue in enumerate(queues)
            for _ in range(self._wanted(len(queue), given[at]))
        ]:
            checked = self.checks.examine([candidate for _, candidate in batch])
            for (at, _), one in zip(batch, checked, strict=True):
                if (
                    room is not None and sum(given) - sum(before) == room
                ):  # what is left of these is for another run
                    return _Settled(examples, [at for at, queue in enumerate(queues) if not queue])
                example = self._admit(one)
                given[at] += example.status == "accepted"
                examples.append(example)
        return _Settled(examples, list(range(len(queues))))

    def _wanted(self, left: int, given: int) -> int:
        return left if self.quota is None else min(left, max(0, self.quota - given))

    def _admit(self, checked: Checked) -> Example:
        split = split_of(checked.candidate, self.splits)
        return to_example(self.seen.admit(checked, split), split, self.hashes)
