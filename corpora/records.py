"""The records that cross borders: plain, frozen, without behaviour.

All offsets are 0-based character offsets into a document's extracted text, end exclusive; lines and
pages are 1-based. `text == extracted[start:end]` holds for every passage and every quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

SkipCode = Literal[
    "unsupported",  # not a type we read
    "empty",  # no bytes, or no visible text in a type that needs no text layer
    "no_text_layer",  # pages without text: a scan
    "encrypted",  # password protected
    "damaged",  # cannot be parsed as what it is
    "bomb",  # expands past the byte budget
    "too_large",  # the file itself is over the size limit
    "timeout",  # the parser ran out of CPU or wall time
    "out_of_memory",  # the parser ran out of memory
    "crashed",  # the parser's process died
    "undecodable",  # text in no encoding that we can tell
    "unreadable",  # permission denied or an I/O error
    "not_a_file",  # FIFO, socket, device
    "outside_root",  # a symbolic link that leaves the folder given
    "vanished",  # gone or changed while it was being read
]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of characters, `start` inclusive, `end` exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mark:
    """From `start` on, until the next mark, the text lies on `page` and under `heading`.

    `page` is the page of a PDF or the slide of a presentation, else None. `heading` is the path of
    headings joined by " > ", the sheet's name for a spreadsheet, else None.
    """

    start: int
    page: int | None = None
    heading: str | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a reader makes of one file. `marks` and `blocks` are sorted by start.

    `kind` is the type as `--type` takes it: txt md rst html pdf docx pptx xlsx odt rtf csv json jsonl
    epub eml ipynb code. `blocks` are tables and code blocks, not to be cut where they fit a passage.
    """

    text: str
    kind: str
    marks: tuple[Mark, ...] = ()
    blocks: tuple[Span, ...] = ()
    hidden_removed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a file gave no text: a code for programs and one line for people."""

    code: SkipCode
    reason: str


@dataclass(frozen=True, slots=True)
class Document:
    """One ingested file as the library knows it. `path` is relative to the folder holding the library."""

    id: str
    path: str
    kind: str
    sha256: str
    size: int
    mtime_ns: int
    characters: int
    passages: int
    hidden_removed: int
    notes: tuple[str, ...]
    stale: str | None  # why the stored version is older than the file, else None
    ingested_at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit that is retrieved and cited.

    `rowid` is the key of its vector in the caches (never reused); `id` is what users and exports see.
    """

    rowid: int
    id: str
    document_id: str
    path: str
    kind: str
    ordinal: int
    start: int
    end: int
    line_start: int
    line_end: int
    page: int | None
    heading: str | None
    text: str


def indexed_text(heading: str | None, text: str) -> str:
    """What the encoder and the word index see of a passage: its heading, then its text."""
    return f"{heading}\n{text}" if heading else text


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A passage that was found. `score` is the fused score in [0, 1]; rank is 1-based.

    `dense` is the cosine with the query and `lexical` the BM25 score, None where that side missed it.
    """

    rank: int
    score: float
    passage: Passage
    dense: float | None = None
    lexical: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker of the answer and the exact span that supports it; quote == extracted[start:end]."""

    marker: int
    passage_id: str
    path: str
    page: int | None
    line_start: int
    line_end: int
    start: int
    end: int
    quote: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that went in and came out of the language model."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the time of one answer went."""

    retrieve: float = 0.0
    generate: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with its evidence; the JSON of `ask` is made from exactly this."""

    question: str
    answer: str | None
    kind: Literal["generated", "extractive"]
    refused: bool
    refusal: Literal["floor", "model"] | None
    unsupported: bool
    dropped_citations: int
    citations: tuple[Citation, ...]
    passages: tuple[ScoredPassage, ...]
    passages_left_out: int
    model: str | None
    adapter: str | None
    usage: Usage = field(default_factory=Usage)
    seconds: Seconds = field(default_factory=Seconds)

    @classmethod
    def blank(cls, question: str, passages: Sequence[ScoredPassage] = ()) -> Answer:
        """An answer that says nothing yet, from `passages`."""
        return cls(
            question=question,
            answer=None,
            kind="generated",
            refused=False,
            refusal=None,
            unsupported=False,
            dropped_citations=0,
            citations=(),
            passages=tuple(passages),
            passages_left_out=0,
            model=None,
            adapter=None,
        )


class Answerer(Protocol):
    """Anything that answers a question from a library (implemented by the `assistant` storey)."""

    def answer(self, question: str) -> Answer: ...


class TokenCounter(Protocol):
    """Counts the tokens of each text as the encoder (or the language model) will see them."""

    def __call__(self, texts: Sequence[str], /) -> Sequence[int]: ...
