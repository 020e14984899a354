"""The passages that a row may show: the retriever brings them, and the split of the row must allow them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from corpora.examples import Example, Split
from corpora.records import Passage
from corpora.store import Library
from finetune.rows.evidence import holds_answer, holds_quote, supports
from finetune.rows.records import PassageSource, RowMix
from finetune.splits import SHARES, readable

_DEPTH = 50  # passages looked at for a question; the retriever has twice as many candidates anyway
_DOCUMENTS_KEPT = 32


class Shelf:
    """Passages of one library for rows of one mix. A passage of a held-out document never leaves it."""

    def __init__(
        self, retriever: PassageSource, library: Library, splits: Mapping[str, Split], mix: RowMix
    ) -> None:
        self._retriever = retriever
        self._library = library
        self._mix = mix
        documents = library.documents()
        self._readable = {split: readable(split, documents, splits) for split in SHARES}
        self._splits = splits
        self._kept: OrderedDict[str, list[Passage]] = OrderedDict()

    def document(self, document_id: str) -> list[Passage]:
        """All passages of one document, in its order."""
        if document_id not in self._kept:
            self._kept[document_id] = self._library.passages_of(document_id)
            if len(self._kept) > _DOCUMENTS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(document_id)
        return self._kept[document_id]

    def usable(self, example: Example) -> bool:
        """Whether all of the example's documents are those of its split and may be read in it."""
        return all(
            self._splits.get(quote.document_id) == example.split
            and quote.document_id in self._readable[example.split]
            for quote in example.quotes
        )

    def gold(self, example: Example) -> list[Passage] | None:
        """The passages that hold the example's quotes, None when one is gone."""
        found: dict[str, Passage] = {}
        for quote in example.quotes:
            passage = next((p for p in self.document(quote.document_id) if p.id == quote.passage_id), None)
            if passage is None or passage.text.find(quote.text) < 0:
                return None
            found[passage.id] = passage
        return list(found.values())

    def found(self, question: str, split: Split) -> list[Passage]:
        """What the retriever brings for a question and rows of `split` may show, best first."""
        mix = self._mix
        hits = self._retriever.search(question, max(_DEPTH, 4 * mix.k), mix.mode, per_source=mix.per_source)
        allowed = self._readable[split]
        return [hit.passage for hit in hits if hit.passage.document_id in allowed]

    def distractors(self, example: Example) -> list[Passage]:
        """The k best passages for the example's question that do not answer it as well, best first."""
        found = self.found(example.question, example.split)
        return self._first(example, found, supports)

    def silent(self, example: Example, passages: Sequence[Passage]) -> list[Passage]:
        """The first k of `passages` in which the example's answer cannot be read."""
        return self._first(example, passages, holds_answer)

    def _first(
        self, example: Example, passages: Sequence[Passage], answers: Callable[[Passage, str, str], bool]
    ) -> list[Passage]:
        ids = {quote.passage_id for quote in example.quotes}
        answer = example.answer
        fit = (
            passage
            for passage in passages
            if passage.id not in ids
            and not holds_quote(passage, example.quotes)
            and not (answer is not None and answers(passage, example.question, answer))
        )
        return list(islice(fit, self._mix.k))

    def beside(self, example: Example) -> list[Passage]:
        """The other passages of the document of the first quote, nearest to the gold one first."""
        first = example.quotes[0]
        passages = self.document(first.document_id)
        place = next((p.ordinal for p in passages if p.id == first.passage_id), 0)
        others = [passage for passage in passages if passage.id != first.passage_id]
        return sorted(others, key=lambda passage: (abs(passage.ordinal - place), passage.ordinal))
