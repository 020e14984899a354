"""An answer on a terminal: the text as it becomes certain, then its sources with their quotes."""

from __future__ import annotations

import sys
from pathlib import Path

from assistant.terminal import clean, clean_line, file_link, shortened, style
from corpora.records import Answer, Citation, Passage

_QUOTE_LENGTH = 240  # characters shown; the whole quote is in --json
_NEAREST = 3


class AnswerScreen:
    """Writes one answer to standard output; on a terminal it streams, elsewhere it prints at the end."""

    def __init__(self, root: Path, *, links: bool) -> None:
        self._root = root
        self._links = links
        self._streamed = False
        self._out = sys.stdout

    def show(self, text: str) -> None:
        """A certain piece of the answer; only on a terminal."""
        if text and self._out.isatty():
            self._streamed = True
            self._out.write(clean(text))
            self._out.flush()

    def finish(self, answer: Answer) -> None:
        """What is left to say: the text where it was not streamed, sources, and what to make of it."""
        if answer.refused:
            self._refusal(answer)
            return
        if answer.kind == "extractive":
            self._line(style("Quoted from your documents:", "2", self._out))
        self._line("" if self._streamed else clean(answer.answer or ""))
        if answer.unsupported:
            part = "Parts of this answer are" if answer.citations else "This answer is"
            self._line(style(f"{part} not supported by your documents.", "33", self._out))
        if answer.citations:
            self._line("")
            self._line(style("Sources", "1", self._out))
            for citation in sorted(answer.citations, key=lambda c: (c.marker, c.start)):
                self._source(citation)
        if answer.passages_left_out:
            found = len(answer.passages)
            note = f"The model read {found - answer.passages_left_out} of the {found} passages found."
            self._line(style(note, "2", self._out))

    def _refusal(self, answer: Answer) -> None:
        self._line(style(answer.answer or "", "33", self._out))
        if answer.passages:
            self._line("")
            self._line(style("Nearest passages", "2", self._out))
            for hit in answer.passages[:_NEAREST]:
                where = self._link(hit.passage.path, hit.passage.page, hit.passage.line_start)
                self._line(f"  {where}  {style(shortened(hit.passage.text, 100), '2', self._out)}")

    def _source(self, citation: Citation) -> None:
        where = self._link(citation.path, citation.page, citation.line_start)
        self._line(f"  [{citation.marker}] {where}")
        self._line("      " + style(f"“{shortened(citation.quote, _QUOTE_LENGTH)}”", "2", self._out))

    def _link(self, path: str, page: int | None, line: int) -> str:
        label = place(path, page, line)
        if not self._links:
            return clean_line(label)
        return file_link(label, str(self._root / path), self._out)

    def _line(self, text: str) -> None:
        """A line whose untrusted parts are clean already."""
        self._out.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")
        self._out.flush()


def place(path: str, page: int | None, line: int) -> str:
    """`path p.N` where the document has pages, else `path:line`."""
    return f"{path} p.{page}" if page is not None else f"{path}:{line}"


def passage_place(passage: Passage) -> str:
    """Where a passage begins."""
    return place(passage.path, passage.page, passage.line_start)
