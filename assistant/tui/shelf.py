"""What the screen reads from the library by itself: conversations, neighbours, names to complete.

Everything here is called in a thread beside the screen, so that a slow disk holds up no key press.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.answer.screen import place
from assistant.paths import find_library
from corpora.errors import NothingToDo
from corpora.records import Citation, Passage, ScoredPassage, Span

if TYPE_CHECKING:
    from assistant.chat.records import Session, Turn
    from assistant.chat.sessions import Sessions
    from corpora.store import Library

_PATHS = 5_000  # of documents, to complete globs from
_PAST = 300  # conversations in a list


@dataclass(frozen=True, slots=True)
class Facts:
    """The library as it is now."""

    root: Path
    documents: int
    passages: int


@dataclass(frozen=True, slots=True)
class Around:
    """A passage with what stands before and after it in its document.

    `changed` says that the document is no longer as it was when it was cited. `file` is the file on disk
    and `kind` its type.
    """

    before: Passage | None
    after: Passage | None
    changed: bool
    file: Path
    kind: str


class Shelf:
    """An open library, or none yet. `named` is what `--library` says."""

    def __init__(self, named: Path | None) -> None:
        self._named = named
        self._library: Library | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the library."""
        with self._lock:
            if self._library is not None:
                self._library.close()
                self._library = None

    def facts(self) -> Facts | None:
        """What is there; None before there is a library."""
        if find_library(self._named) is None:
            return None
        library = self._opened()
        documents, passages = library.counts()
        return Facts(library.root, documents, passages)

    @property
    def sessions(self) -> Sessions:
        """The conversations. Raises NothingToDo before there is a library."""
        from assistant.chat.sessions import Sessions

        return Sessions(self._opened())

    def turns(self, session: Session) -> list[Turn]:
        """What was said in a conversation, oldest first."""
        return self.sessions.turns(session.id)

    def past(self, query: str) -> list[tuple[Session, Turn | None]]:
        """Conversations that hold the words, the last one first; without words all of them."""
        if query.strip():
            return self.sessions.search(query, _PAST)
        return [(session, None) for session in self.sessions.list(_PAST)]

    def around(self, passage: Passage) -> Around:
        """The neighbours of a passage, by its place in the document as it is now."""
        library = self._opened()
        file = library.root / passage.path
        document = library.document(passage.path)
        if document is None:
            return Around(None, None, True, file, passage.kind)
        row = {one.ordinal: one for one in library.passages_of(document.id)}
        now = next((one for one in row.values() if one.id == passage.id), None)
        if now is None or now.text != passage.text:
            return Around(None, None, True, file, passage.kind)
        return Around(row.get(now.ordinal - 1), row.get(now.ordinal + 1), False, file, document.kind)

    def paths(self) -> list[str]:
        """Paths of documents, and globs of their folders, to complete `/in` from."""
        paths = [document.path for document in self._opened().documents()[:_PATHS]]
        folders = {f"{path.rsplit('/', 1)[0]}/**" for path in paths if "/" in path}
        return [*sorted(folders), *paths]

    def adapters(self) -> list[str]:
        """Names of adapters, for `/adapter`."""
        from finetune.adapters.store import in_library, shipped

        return [one.name for one in (*in_library(self._opened()), *shipped())]

    def _opened(self) -> Library:
        from corpora.store import Library  # after the first paint: it brings SQLite

        with self._lock:
            if self._library is None:
                folder = find_library(self._named)
                if folder is None:
                    raise NothingToDo("There is no library yet.", hint="/ingest FOLDER")
                self._library = Library.open(folder, named=self._named is not None)
            return self._library


@dataclass(frozen=True, slots=True)
class Source:
    """A passage to look at: its number as it is shown, and the spans of its text that are cited."""

    number: int
    passage: Passage
    spans: tuple[Span, ...]
    line: int  # of the first citation, else of the passage
    score: str

    @property
    def place(self) -> str:
        """`path:line` of what is cited, or `path p.N` where the document has pages; not cleaned."""
        return place(self.passage.path, self.passage.page, self.line)


def sources_of(turn: Turn, score: Callable[[ScoredPassage], str]) -> list[Source]:
    """The passages of an answer, cited ones first, each with its cited spans and its score in words."""
    if turn.answer is None:
        return []
    cited: dict[str, list[Citation]] = {}
    for citation in turn.answer.citations:
        cited.setdefault(citation.passage_id, []).append(citation)
    found = []
    for hit in turn.answer.passages:
        passage, own = hit.passage, cited.get(hit.passage.id, [])
        spans = tuple(Span(one.start - passage.start, one.end - passage.start) for one in own)
        line = min((one.line_start for one in own), default=passage.line_start)
        number = own[0].marker if own else hit.rank
        found.append(Source(number, passage, spans, line, score(hit)))
    return sorted(found, key=lambda source: (not source.spans, source.number))
