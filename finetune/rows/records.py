"""What rows are built from and what comes out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, Protocol

from corpora.examples import Example, Split
from corpora.prompt import Language
from corpora.records import Message, ScoredPassage

RowKind = Literal[
    "grounded",  # the gold passages among hard distractors; the answer cites them
    "missing",  # the gold passages left out; the right answer is the refusal
    "neighbour",  # over passages beside the gold one, which do not hold the answer; refusal
    "near-miss",  # about another name, year or number, of which no passage speaks; refusal
    "out-of-domain",  # a question from elsewhere, over what the retriever brings; refusal
    "follow-up",  # the second question of two, its subject only in what was said before
    "closed-book",  # a question that rests on no passage, asked as `--no-retrieval` does
    "replay",  # a general instruction as plain chat, without passages
]


@dataclass(frozen=True, slots=True)
class RowMix:
    """How rows are mixed. `k` passages a row, found by `mode` with at most `per_source` of one document.

    `missing` is the probability that an example's own row lacks its gold passages. The other kinds come in
    addition, each with its probability for an example, where one can be made (near misses and follow-ups
    seldom). `replay` is the share of general instructions among the training rows. RAFT (arXiv 2403.10131)
    found the gold passage in 40 to 100 % of rows best, and 80 % a good choice; here about a fifth of the
    rows are refusals.
    """

    k: int = 6
    mode: str = "hybrid"
    per_source: int | None = None
    missing: float = 0.15
    neighbour: float = 0.05
    near_miss: float = 0.3
    out_of_domain: float = 0.03
    follow_up: float = 0.5
    replay: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for a share that is none."""
        shares = (self.missing, self.neighbour, self.near_miss, self.out_of_domain, self.follow_up)
        if not all(0 <= share <= 1 for share in shares) or not 0 <= self.replay < 1 or self.k < 1:
            raise ValueError("probabilities lie in [0, 1], replay in [0, 1), and k is at least 1")


@dataclass(frozen=True, slots=True)
class GeneralTask:
    """A general instruction with its answer, from no document."""

    id: str
    instruction: str
    input: str
    output: str
    language: Language


@dataclass(frozen=True, slots=True)
class OutsideQuestion:
    """A question from another domain, with the answer by which a library that knows it is recognised."""

    question: str
    answer: str
    language: Language


@dataclass(frozen=True, slots=True)
class Stock:
    """What may be mixed in from outside of the library."""

    tasks: tuple[GeneralTask, ...] = ()
    questions: tuple[OutsideQuestion, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One prompt and what the model should have said to it.

    `question` is the one that is asked here, and `answer` the right answer to it: None means a refusal.
    `passage_ids` are shown, in that order: the first is [1]. `gold_passage_ids` are those of them that the
    answer rests on. `example` is where the row comes from (None for questions and tasks from elsewhere).
    """

    kind: RowKind
    split: Split
    language: Language
    messages: tuple[Message, ...]
    completion: Message
    question: str
    answer: str | None
    passage_ids: tuple[str, ...] = ()
    gold_passage_ids: tuple[str, ...] = ()
    example: Example | None = None

    @property
    def id(self) -> str:
        """The same for the same words from the same example (16 hex digits)."""
        said = [[turn.role, turn.content] for turn in (*self.messages, self.completion)]
        key = json.dumps([self.kind, self.example_id, said], ensure_ascii=False)
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @property
    def example_id(self) -> str | None:
        """The example that it was made from."""
        return self.example.id if self.example else None

    @property
    def quote(self) -> str | None:
        """The first quote of that example."""
        return self.example.quotes[0].text if self.example and self.example.quotes else None

    @property
    def path(self) -> str | None:
        """The document of that quote."""
        return self.example.quotes[0].path if self.example and self.example.quotes else None


class PassageSource(Protocol):
    """The part of the retriever that is needed here."""

    def search(
        self,
        query: str,
        k: int = 8,
        mode: str = "hybrid",
        glob: str | None = None,
        kind: str | None = None,
        per_source: int | None = None,
    ) -> list[ScoredPassage]: ...
