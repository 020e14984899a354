"""The rows of a run, and the questions that judge it: training never sees what the gate asks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal, TypeVar

from corpora.errors import NothingToDo
from corpora.store import ExampleStore
from finetune.evaluation.contest import Paper
from finetune.evaluation.forgetting import drawn, reserved
from finetune.evaluation.questions import EvalQuestion
from finetune.rows.records import RowMix, Stock
from finetune.tuning.budget import Offer

if TYPE_CHECKING:
    from assistant.runtime import Runtime
    from corpora.examples import Example
    from corpora.records import ScoredPassage
    from finetune.rows.records import PassageSource
    from finetune.tuning.data import TuningData
    from finetune.tuning.encode import ChatEncoder, EncodedRow

T = TypeVar("T")
_Use = Literal["training", "threshold", "gate"]

HELD_OUT = "held-out"
SAMPLE = 40  # examples whose rows tell the length of all
_LEAST_PASSAGES = 2
_SEARCHES_KEPT = 1024  # of 50 passages, a kilobyte each: 50 MB
_THRESHOLD_ROWS = 96
_THRESHOLD_SHARE = 0.25  # of the questions from elsewhere that the gate does not ask
_MOST_ASKED = 300  # more tell little more
_INSTRUCTIONS = ("instruction", "grounded-instruction")


@dataclass(frozen=True, slots=True)
class Material:
    """What the library has to teach and to ask: accepted examples by what they are for, in their order."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    languages: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, runtime: Runtime) -> Material:
        """Of an open library; accepted examples only."""
        accepted = ExampleStore(runtime.library).find(status="accepted")
        by_split = {
            split: tuple(one for one in accepted if one.split == split)
            for split in ("train", "validation", "test")
        }
        languages = sorted({example.language for example in accepted})
        return cls(**by_split, languages=tuple(languages))

    def checked(self) -> Material:
        """This, if there is anything to train on. Raises NothingToDo."""
        if not self.train:
            raise NothingToDo(
                "The library has no accepted examples to train on.",
                hint="assistant generate",
                code="no_examples",
            )
        return self


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes rows of the library's examples with its live retriever."""

    runtime: Runtime
    retriever: PassageSource
    chat: ChatEncoder
    max_length: int
    seed: int

    @classmethod
    def of(cls, runtime: Runtime, chat: ChatEncoder, max_length: int, seed: int) -> Builder:
        """With the retriever that serves answers; its encoder is loaded when a question needs it."""
        return cls(runtime, _LiveRetriever(runtime), chat, max_length, seed)

    def data(self, examples: Sequence[Example], passages: int) -> TuningData:
        """The rows of a run over `examples`."""
        from finetune.tuning.data import library_data

        return library_data(
            examples,
            self.retriever,
            self.runtime.library,
            self.mix(passages),
            self.chat,
            max_length=self.max_length,
            stock=_stock(examples, "training"),
        )

    def mix(self, passages: int) -> RowMix:
        """The mix of the settings that serve answers."""
        settings = self.runtime.settings
        return RowMix(k=passages, mode=settings.mode, per_source=settings.per_source or None, seed=self.seed)

    def offers(self, material: Material, passages: int, fixed: bool) -> tuple[Offer, ...]:
        """What rows of `passages` passages and of fewer would be, from a sample of the examples."""
        sample = evenly(material.train, SAMPLE, self.seed)
        found = []
        least = passages if fixed else min(_LEAST_PASSAGES, passages)
        for count in range(passages, least - 1, -1):
            rows = self.data(sample, count).train
            tokens = sum(len(row.input_ids) for row in rows) / max(len(rows), 1)
            scaled = round(len(rows) * len(material.train) / max(len(sample), 1))
            found.append(Offer(count, scaled, tokens))
        return tuple(found)

    def threshold_rows(self, material: Material, passages: int) -> tuple[EncodedRow, ...]:
        """Rows of the validation split, half of them to be refused, for choosing the threshold.

        They are not those by which training is stopped, so that their mix does not bear on it.
        """
        from finetune.tuning.data import library_data

        mix = replace(
            self.mix(passages), missing=0.4, near_miss=1.0, out_of_domain=0.3, follow_up=0.0, replay=0.0
        )
        data = library_data(
            material.validation,
            self.retriever,
            self.runtime.library,
            mix,
            self.chat,
            max_length=self.max_length,
            stock=Stock(questions=_stock(material.validation, "threshold").questions),
        )
        return evenly(data.validation, _THRESHOLD_ROWS, self.seed)

    def held_out(self, material: Material, passages: int) -> Paper:
        """The questions of the test split, each once, and such beside them as must be refused.

        Refused must be questions that just miss what a test document says, and questions from elsewhere
        that no training row asks.
        """
        from finetune.rows.build import build_rows

        questions = [
            EvalQuestion(example.id, example.question, (example.answer,))
            for example in material.test
            if example.answer and example.kind not in _INSTRUCTIONS and not example.history
        ]
        mix = replace(
            self.mix(passages), missing=0.0, neighbour=0.0, near_miss=1.0, out_of_domain=0.4, follow_up=0.0
        )
        stock = Stock(questions=_stock(material.test, "gate").questions)
        rows = build_rows(
            material.test,
            self.retriever,
            self.runtime.library,
            mix,
            count_tokens=self.chat.count_tokens,
            limit=self.max_length,
            stock=stock,
        )
        unanswerable = [row for row in rows if row.kind in ("near-miss", "out-of-domain")]
        questions += [EvalQuestion(row.id, row.question, ()) for row in unanswerable]
        questions += [
            EvalQuestion(example.id, example.question, ()) for example in material.test if not example.answer
        ]
        unique = {question.question: question for question in questions}
        return Paper(HELD_OUT, evenly(tuple(unique.values()), _MOST_ASKED, self.seed))


class _LiveRetriever:
    """The retriever of the settings, built at the first search: a file of the user's needs none.

    Rows are built several times over, with fewer passages each time; what was found last is kept.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._search = lru_cache(maxsize=_SEARCHES_KEPT)(self._found)

    @cached_property
    def _retriever(self) -> PassageSource:
        from index.retriever import Retriever

        settings = self._runtime.settings
        reranker = None
        if settings.reranker is not None:
            from index.rerank import CrossEncoder

            reranker = CrossEncoder(settings.reranker, offline=settings.offline)
        encoder = None if settings.mode == "lexical" else self._runtime.encoder()
        return Retriever(self._runtime.library, encoder, reranker=reranker)

    def search(
        self,
        query: str,
        k: int = 8,
        mode: str = "hybrid",
        glob: str | None = None,
        kind: str | None = None,
        per_source: int | None = None,
    ) -> list[ScoredPassage]:
        """As the retriever of answers."""
        return list(self._search(query, k, mode, glob, kind, per_source))

    def _found(
        self, query: str, k: int, mode: str, glob: str | None, kind: str | None, per_source: int | None
    ) -> tuple[ScoredPassage, ...]:
        return tuple(self._retriever.search(query, k, mode, glob, kind, per_source))


def evenly(items: Sequence[T], count: int, seed: int) -> tuple[T, ...]:
    """At most `count` of `items`, drawn by `seed`, in their order."""
    if len(items) <= count:
        return tuple(items)
    places = random.Random(f"{seed}:some").sample(range(len(items)), count)  # noqa: S311 - a draw, no secret
    return tuple(items[place] for place in sorted(places))


def as_planned(data: TuningData, rows: int, validation: int, seed: int) -> TuningData:
    """`data` with no more rows than the budget allows."""
    return replace(
        data, train=evenly(data.train, rows, seed), validation=evenly(data.validation, validation, seed)
    )


def _stock(examples: Sequence[Example], use: _Use) -> Stock:
    """What the package brings to mix in, divided: what the gate or the threshold asks is never taught."""
    from finetune.rows.shipped import shipped

    stock = shipped({example.language for example in examples})
    return Stock(
        tasks=tuple(task for task in stock.tasks if reserved(task.id.partition(":")[2]) == (use == "gate")),
        questions=tuple(one for one in stock.questions if _use_of(one.question) == use),
    )


def _use_of(question: str) -> _Use:
    """Always the same one for the same question."""
    if reserved(question):
        return "gate"
    return "threshold" if drawn(f"threshold:{question}") < _THRESHOLD_SHARE else "training"
