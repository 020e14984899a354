"""Questions put to plain base, incumbent and candidate in turn, so that a clock may end it anywhere."""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from corpora.records import Answerer
from finetune.evaluation.gate import Contest, Runs
from finetune.evaluation.questions import EvalQuestion
from finetune.evaluation.run import evaluate
from finetune.evaluation.scores import Score
from index.sync_options import NoProgress, Progress

Role = Literal["base", "incumbent", "candidate"]
ROLES: tuple[Role, ...] = ("base", "incumbent", "candidate")
_ALONE_SHARE = 0.1
_Way = Literal["retrieval", "closed_book"]


@dataclass(frozen=True, slots=True)
class System:
    """One of the three, asked with the passages of the library and alone."""

    retrieval: Answerer
    closed_book: Answerer


@dataclass(frozen=True, slots=True)
class Paper:
    """A set of questions, such as "held-out" or a file of the user's."""

    name: str
    questions: tuple[EvalQuestion, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What came of it: the contests over what was asked, and how much of it there was time for."""

    contests: tuple[Contest, ...]
    asked: int
    of: int
    stopped: bool

    @property
    def cut_short(self) -> bool:
        """Whether questions were left for want of time."""
        return self.asked < self.of


@dataclass(slots=True)
class _Marks:
    """The scores of one system on one paper."""

    retrieval: list[Score] = field(default_factory=list)
    closed_book: list[Score] = field(default_factory=list)

    def runs(self) -> Runs:
        return Runs(tuple(self.retrieval), tuple(self.closed_book))


def hold(
    papers: Sequence[Paper],
    systems: Mapping[Role, System],
    *,
    closed_book: int,
    left: Callable[[], float],
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
    seed: int = 0,
) -> Held:
    """Ask all systems the questions of `papers`, and `closed_book` of them without retrieval as well.

    Without an "incumbent" the base answers now, and stands for it. Every question is put to all systems
    before the next one. When the seconds that are `left` do not suffice for another question, what is asked
    so far counts: the papers are mixed in an order that `seed` decides, so that it is a fair sample. A tenth
    of the time is kept for the questions without retrieval.
    """
    order = list(_mixed(papers, seed))
    marks = {(paper.name, role): _Marks() for paper in papers for role in systems}
    bar = progress or NoProgress()
    bar.start("gate", len(order) + min(closed_book, len(order)))
    asked = {"retrieval": 0, "closed_book": 0}
    kept = _ALONE_SHARE * max(left(), 0.0) if closed_book else 0.0
    parts: tuple[tuple[_Way, Sequence[tuple[str, EvalQuestion]], float], ...] = (
        ("retrieval", order, kept if math.isfinite(kept) else 0.0),
        ("closed_book", order[:closed_book], 0.0),
    )
    for way, some, reserve in parts:
        slowest: deque[float] = deque(maxlen=8)
        for paper, question in some:
            if stop() or left() - reserve <= max(slowest, default=0.0):
                break
            began = time.monotonic()
            for role, system in systems.items():
                _ask(marks[paper, role], system, way, question)
            slowest.append(time.monotonic() - began)
            bar.advance(1, question.question)
            asked[way] += 1
    contests = tuple(_contest(paper, marks, systems) for paper in papers)
    return Held(contests, asked["retrieval"], len(order), stop())


def _ask(marks: _Marks, system: System, way: _Way, question: EvalQuestion) -> None:
    answerer = system.retrieval if way == "retrieval" else system.closed_book
    for outcome in evaluate([question], answerer, retrieval=way == "retrieval"):
        if outcome.score is not None:
            (marks.retrieval if way == "retrieval" else marks.closed_book).append(outcome.score)


def _mixed(papers: Sequence[Paper], seed: int) -> Iterator[tuple[str, EvalQuestion]]:
    """All questions, each paper's spread evenly over the whole."""
    places: list[tuple[float, str, EvalQuestion]] = []
    for paper in papers:
        questions = list(paper.questions)
        random.Random(f"{seed}:{paper.name}").shuffle(questions)  # noqa: S311 - a draw, no secret
        places += [
            ((number + 0.5) / len(questions), paper.name, question)
            for number, question in enumerate(questions)
        ]
    places.sort(key=lambda place: place[:2])
    return ((name, question) for _, name, question in places)


def _contest(
    paper: Paper, marks: Mapping[tuple[str, Role], _Marks], systems: Mapping[Role, System]
) -> Contest:
    base = marks[paper.name, "base"].runs()
    incumbent = marks[paper.name, "incumbent"].runs() if "incumbent" in systems else base
    return Contest(paper.name, base, incumbent, marks[paper.name, "candidate"].runs())
