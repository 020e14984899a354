"""Accepted examples in, training rows out: by the same retriever and in the same prompt as answers.

The prompt is the one that a tuned model is served with: without the answered questions that an untuned one
is shown, which would cost 250 tokens in every row.

Every usable example gives one row of its own, and some more by the mix. Each draw comes from a generator
seeded with the mix's seed, the example and the kind of row, so that what is added later changes nothing.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from corpora.errors import UsageError
from corpora.examples import Example, Kind
from corpora.prompt import MessageCounter, RenderedPrompt, language_of, render, render_closed_book, reply
from corpora.records import Message, Passage
from corpora.store import ExampleStore, Library
from finetune.rows.evidence import folded, holds_answer, speaks_of
from finetune.rows.follow_up import elided
from finetune.rows.near_miss import near_misses
from finetune.rows.records import OutsideQuestion, PassageSource, RowKind, RowMix, Stock, TrainingRow
from finetune.rows.replay import general_messages, replayed
from finetune.rows.shelf import Shelf

_INSTRUCTIONS: Final[frozenset[Kind]] = frozenset(("instruction", "grounded-instruction"))
_OUTSIDE_TRIED = 5


def build_rows(
    examples: Sequence[Example],
    retriever: PassageSource,
    library: Library,
    mix: RowMix,
    *,
    count_tokens: MessageCounter,
    limit: int,
    stock: Stock | None = None,
    left_out: Counter[str] | None = None,
) -> Iterator[TrainingRow]:
    """The rows of `examples` (accepted ones count, others are passed over), in their order, then replay.

    `limit` is the number of tokens of a prompt with its completion. `stock` is what may be mixed in from
    outside of the library. `left_out` counts examples without a row: "gone" (a passage is no longer there),
    "leakage" (its documents are in several splits, or held out twice), "no_passages" (nothing is found to
    refuse over), "too_long".
    """
    stock = stock or Stock()
    splits = ExampleStore(library).splits()
    shelf = Shelf(retriever, library, splits, mix)
    builder = _Builder(shelf, mix, count_tokens, limit, left_out if left_out is not None else Counter())
    accepted = [example for example in examples if example.status == "accepted"]
    general = grounded = 0
    for example, earlier in _with_earlier(accepted):
        for row in builder.rows(example, earlier, stock.questions):
            if row.split == "train":
                general, grounded = general + (row.kind == "replay"), grounded + (row.kind != "replay")
            yield row
    yield from replayed(stock.tasks, mix, general, grounded, builder.fits)


def _with_earlier(examples: Sequence[Example]) -> Iterator[tuple[Example, list[Example]]]:
    """Each example with the others of the same document (by its first quote)."""
    together: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if example.quotes:
            together[example.quotes[0].document_id].append(example)
    for example in examples:
        yield example, together[example.quotes[0].document_id] if example.quotes else []


class _Builder:
    """Makes the rows of one example after another."""

    def __init__(
        self,
        shelf: Shelf,
        mix: RowMix,
        count_tokens: MessageCounter,
        limit: int,
        left_out: Counter[str],
    ) -> None:
        self._shelf, self._mix = shelf, mix
        self._count, self._limit = count_tokens, limit
        self._left_out = left_out
        self._asked: set[str] = set()

    def rows(
        self, example: Example, together: Sequence[Example], outside: Sequence[OutsideQuestion]
    ) -> Iterator[TrainingRow]:
        """The example's own row first."""
        gold = self._shelf.gold(example)
        if gold is None or not self._shelf.usable(example):
            self._left_out["gone" if gold is None else "leakage"] += 1
            return
        own = self._own(example, gold)
        if own is None:
            unanswerable = example.answer is None and example.kind not in _INSTRUCTIONS
            self._left_out["no_passages" if unanswerable else "too_long"] += 1
            return
        yield own
        if own.kind not in ("grounded", "missing") or example.answer is None:
            return
        more = (
            self._neighbour(example) if self._drawn(example, "neighbour") else None,
            self._near_miss(example, gold) if self._drawn(example, "near-miss") else None,
            self._outside(example, outside) if self._drawn(example, "out-of-domain") else None,
            self._follow_up(example, gold, together) if self._drawn(example, "follow-up") else None,
        )
        yield from (row for row in more if row is not None)

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether a whole row is within the limit."""
        return self._count(messages) <= self._limit

    def _own(self, example: Example, gold: Sequence[Passage]) -> TrainingRow | None:
        if example.kind in _INSTRUCTIONS:
            return self._plain(example)
        if example.answer is None:
            return self._missing(example)
        if not gold:
            return self._plain(example)
        missing = self._missing(example) if self._drawn(example, "missing") else None
        return missing or self._grounded(example, gold)

    # -- the kinds ---------------------------------------------------------------------------------

    def _plain(self, example: Example) -> TrainingRow | None:
        """Without passages: a task as plain chat, a question as `--no-retrieval` asks it."""
        completion = reply(example.answer, (), example.language)
        if example.kind in _INSTRUCTIONS or example.input or example.history:
            messages = general_messages(example.question, example.input, example.history)
            kind: RowKind = "replay"
        else:
            try:
                prompt = render_closed_book(example.question, count_tokens=self._count, limit=self._limit)
            except UsageError:
                return None
            messages, kind = prompt.messages, "closed-book"
        if not self.fits((*messages, completion)):
            return None
        return TrainingRow(
            kind=kind,
            split=example.split,
            language=example.language,
            messages=messages,
            completion=completion,
            question=example.question,
            answer=example.answer,
            example=example,
        )

    def _grounded(self, example: Example, gold: Sequence[Passage]) -> TrainingRow | None:
        others = self._shelf.distractors(example)
        return self._row(example, "grounded", gold=gold, others=others, answer=example.answer)

    def _missing(self, example: Example) -> TrainingRow | None:
        found = self._shelf.found(example.question, example.split)
        return self._row(example, "missing", others=self._shelf.silent(example, found))

    def _neighbour(self, example: Example) -> TrainingRow | None:
        """Half of the passages from beside the gold one, so that their number gives nothing away."""
        near = self._shelf.silent(example, self._shelf.beside(example))[: (self._mix.k + 1) // 2]
        if not near:
            return None
        ids = {passage.id for passage in near}
        found = self._shelf.silent(example, self._shelf.found(example.question, example.split))
        rest = [passage for passage in found if passage.id not in ids]
        return self._row(example, "neighbour", others=[*near, *rest])

    def _near_miss(self, example: Example, gold: Sequence[Passage]) -> TrainingRow | None:
        document = self._shelf.document(example.quotes[0].document_id)
        rng = self._random(example, "near-miss words")
        choices = near_misses(
            example.question, gold, document, lambda text: self._shelf.found(text, example.split), rng
        )
        for question, found in choices:
            return self._row(example, "near-miss", others=found, question=question)
        return None

    def _outside(self, example: Example, outside: Sequence[OutsideQuestion]) -> TrainingRow | None:
        """In place of the example, of which nothing but its split remains; each question once."""
        rng = self._random(example, "out-of-domain question")
        for asked in rng.sample(outside, min(_OUTSIDE_TRIED, len(outside))):
            if asked.question in self._asked:
                continue
            found = self._shelf.found(asked.question, example.split)
            near = any(
                speaks_of(passage, asked.question) or holds_answer(passage, asked.question, asked.answer)
                for passage in found
            )
            if not near:
                self._asked.add(asked.question)
                row = self._row(example, "out-of-domain", others=found, question=asked.question, history=())
                return replace(row, example=None) if row else None
        return None

    def _follow_up(
        self, example: Example, gold: Sequence[Passage], together: Sequence[Example]
    ) -> TrainingRow | None:
        """After another example of the document, whose answer does not give this one away."""
        if example.answer is None or example.history:
            return None
        before = [
            other for other in together if other.id != example.id and other.answer and not other.history
        ]
        self._random(example, "follow-up order").shuffle(before)
        texts = [passage.text for passage in self._shelf.document(example.quotes[0].document_id)]
        for other in before:
            told = folded(f"{other.question} {other.answer}")
            question = elided(other.question, example.question, texts, example.language)
            if question is None or folded(example.answer) in told or other.language != example.language:
                continue
            said = (Message("user", other.question), Message("assistant", other.answer or ""))
            others = self._shelf.distractors(example)
            return self._row(
                example,
                "follow-up",
                gold=gold,
                others=others,
                question=question,
                answer=example.answer,
                history=said,
            )
        return None

    # -- one row -----------------------------------------------------------------------------------

    def _row(
        self,
        example: Example,
        kind: RowKind,
        *,
        gold: Sequence[Passage] = (),
        others: Sequence[Passage],
        question: str | None = None,
        answer: str | None = None,
        history: Sequence[Message] | None = None,
    ) -> TrainingRow | None:
        """`gold` and the best of `others`, k in all, shuffled; fewer where more do not fit."""
        question = example.question if question is None else question
        said = example.history if history is None else history
        history = [turn for turn in said if turn.role != "system"]  # the prompt has its own
        room = max(0, self._mix.k - len(gold))
        for taken in range(min(room, len(others)), -1, -1):
            shown = [*gold, *others[:taken]]
            if not shown:
                return None
            self._random(example, f"{kind} order").shuffle(shown)
            markers = [number for number, one in enumerate(shown, 1) if one in gold]
            completion = reply(answer, markers if answer is not None else (), language_of(question))
            prompt = self._prompt(question, shown, history, completion)
            if prompt is not None:
                return TrainingRow(
                    kind=kind,
                    split=example.split,
                    language=prompt.language,
                    messages=prompt.messages,
                    completion=completion,
                    question=question,
                    answer=answer,
                    passage_ids=tuple(passage.id for passage in shown),
                    gold_passage_ids=tuple(passage.id for passage in shown if passage in gold),
                    example=example,
                )
        return None

    def _prompt(
        self, question: str, shown: Sequence[Passage], history: Sequence[Message], completion: Message
    ) -> RenderedPrompt | None:
        """The prompt if it holds all passages and leaves room for the completion."""
        limit = self._limit - self._count((completion,))
        try:
            prompt = render(
                question, shown, count_tokens=self._count, limit=limit, history=history, examples=False
            )
        except UsageError:
            return None
        return None if prompt.left_out else prompt

    def _drawn(self, example: Example, kind: RowKind) -> bool:
        chances: dict[str, float] = {
            "missing": self._mix.missing,
            "neighbour": self._mix.neighbour,
            "near-miss": self._mix.near_miss,
            "out-of-domain": self._mix.out_of_domain,
            "follow-up": self._mix.follow_up,
        }
        return self._random(example, kind).random() < chances[kind]

    def _random(self, example: Example, what: str) -> random.Random:
        return random.Random(f"{self._mix.seed}:{example.id}:{what}")  # noqa: S311 - a draw, no secret
