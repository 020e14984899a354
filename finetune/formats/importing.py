"""Files of training rows into the library: bad lines are named, good ones kept.

Where a row names quotes, each must stand in a document of this library, at its place or anywhere else;
a row with a quote that does not is kept as rejected ("quote_not_found"): what it teaches cannot be checked
here. The split of a row with quotes is that of its document, whatever the file says.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from corpora.examples import Example, Quote, Split
from corpora.records import Document, Passage
from corpora.store import ExampleStore, Library, Writer, example_id
from finetune.candidates import Claimed
from finetune.checks.locating import locate
from finetune.formats.lines import Line
from finetune.formats.reading import NamedQuote, ReadRow, read_row
from finetune.splits import assign_splits

_BATCH = 500  # rows a transaction


@dataclass(slots=True)
class ImportReport:
    """Examples by what became of them, and rows that gave none.

    `present` were in the library before; `derived` rows belong to an example that another row of the file
    gave, or to none; `bad` lines could not be read.
    """

    added: int = 0
    present: int = 0
    derived: int = 0
    bad: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, object]:
        """As JSON."""
        return {
            "added": self.added,
            "present": self.present,
            "rejected": dict(sorted(self.rejected.items())),
            "derived": self.derived,
            "bad": self.bad,
        }


class Importer:
    """Puts rows into one library; `on_bad` hears of each bad line (place, reason)."""

    def __init__(self, library: Library, on_bad: Callable[[str, str], None]) -> None:
        self._library = library
        self._store = ExampleStore(library)
        self._on_bad = on_bad
        self._report = ImportReport()
        self._seen: set[str] = set()

    def run(self, lines: Iterable[Line], advance: Callable[[int], None] = lambda _: None) -> ImportReport:
        """Import all lines; `advance` hears how many were dealt with."""
        places: _Places | None = None
        waiting = iter(lines)
        while batch := list(islice(waiting, _BATCH)):
            rows = [row for line in batch if (row := self._read(line)) is not None]
            with self._library.write() as writer:
                if places is None:
                    places = self._settled(writer)
                self._add(writer, [_example(row, places) for row in rows])
            advance(len(batch))
        return self._report

    def _settled(self, writer: Writer) -> _Places:
        documents = self._library.documents()
        splits = assign_splits(documents, self._store.splits())
        self._store.set_splits(writer, splits)
        return _Places(self._library, documents, splits)

    def _read(self, line: Line) -> ReadRow | None:
        try:
            if line.problem is not None:
                raise ValueError(line.problem)
            row = read_row(line.value)
        except ValueError as error:
            self._report.bad += 1
            self._on_bad(line.place, str(error))
            return None
        if row is None:
            self._report.derived += 1
        return row

    def _add(self, writer: Writer, examples: Iterable[Example]) -> None:
        for example in examples:
            if example.id in self._seen:
                self._report.derived += 1
                continue
            self._seen.add(example.id)
            added = self._store.add(writer, [example])
            if example.reason is not None:
                self._report.rejected[example.reason] += 1
            elif added:
                self._report.added += 1
            else:
                self._report.present += 1


class _Places:
    """Where quotes stand in the documents of a library."""

    def __init__(self, library: Library, documents: Iterable[Document], splits: Mapping[str, Split]) -> None:
        self._library = library
        self.splits = splits
        self._by_path = {document.path: document for document in documents}
        self._by_hash = {document.sha256: document for document in self._by_path.values()}
        self._open = ""
        self._passages: list[Passage] = []
        self._letters = ""

    def quote(self, named: NamedQuote) -> Quote | None:
        """The quote in this library: in the document of its path, else in one of the same bytes."""
        document = self._by_path.get(named.path) or self._by_hash.get(named.sha256 or "")
        if document is None:
            return None
        if self._open != document.id:
            self._open = document.id
            self._passages = self._library.passages_of(document.id)
            self._letters = _letters(self._library.text(document.id))
        if _letters(named.text) not in self._letters:  # no need to look at each passage
            return None
        near = named.start or 0
        versions = {document.id: document.sha256}
        for passage in sorted(self._passages, key=lambda one: _distance(one, named.start, named.end)):
            found = locate(Claimed(passage, named.text, near - passage.start), versions)
            if found is not None:
                return found
        return None


def _letters(text: str) -> str:
    """Letters and digits alone, as far as quotes are compared by them (`finetune.checks.locating`)."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in plain if char.isalnum())


def _distance(passage: Passage, start: int | None, end: int | None) -> int:
    """0 for a passage that holds the span; the first passage is nearest to no span at all."""
    if start is None or end is None:
        return passage.start + 1
    return max(0, passage.start - start, end - passage.end)


def _example(row: ReadRow, places: _Places) -> Example:
    located = [places.quote(named) for named in row.quotes]
    quotes = tuple(quote for quote in located if quote is not None)
    splits = {places.splits[quote.document_id] for quote in quotes}
    reason = "quote_not_found" if None in located else "leakage" if len(splits) > 1 else None
    if reason is not None:
        quotes = ()
    return Example(
        id=example_id(row.method, row.question, row.input, row.answer, quotes),
        status="accepted" if reason is None else "rejected",
        reason=reason,
        method=row.method,
        kind=row.kind,
        language=row.language,
        question=row.question,
        input=row.input,
        answer=row.answer,
        quotes=quotes,
        history=row.history,
        split=splits.pop() if len(splits) == 1 and reason is None else row.split or "train",
        teacher=row.teacher,
        prompt_version=row.prompt_version,
        scores=dict(row.scores),
    )
