"""Puts a document's text together piece by piece, with its headings, pages and blocks."""

from __future__ import annotations

from dataclasses import replace

from corpora.records import Extracted, Mark, Span


class HeadingPath:
    """The open headings from the outermost in, as "Guide > Install > Linux"."""

    def __init__(self, top: str | None = None) -> None:
        self._top = top
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> str | None:
        """The path once `title` of `level` (1 is the outermost) has begun."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self._open.append((level, " ".join(title.split())))
        return self.path

    @property
    def path(self) -> str | None:
        """The headings joined by " > ", or None outside of all.

        A first heading that is part of the page's title ("Duck" of "Duck - Wikipedia") stands for it.
        """
        titles = [title for _, title in self._open if title]
        if self._top and not (titles and titles[0] in self._top):
            titles.insert(0, self._top)
        return " > ".join(titles) or None


class TextBuilder:
    """Text with marks and blocks; offsets are kept right while pieces are appended."""

    def __init__(self, top_heading: str | None = None) -> None:
        self._parts: list[str] = []
        self.length = 0
        self.marks: list[Mark] = []
        self.blocks: list[Span] = []
        self.hidden = 0
        self.headings = HeadingPath(top_heading)
        if top_heading:
            self.mark(heading=top_heading)

    def add(self, text: str) -> None:
        """Append `text` as it is."""
        if text:
            self._parts.append(text)
            self.length += len(text)

    def blank_line(self) -> None:
        """End the paragraph: an empty line before what comes next, none at the very start."""
        if self.length:
            self.add("\n" if self._parts[-1].endswith("\n") else "\n\n")

    def paragraph(self, text: str) -> None:
        """Append `text` as a paragraph of its own."""
        if text.strip():
            if self.length:
                self.add("\n\n")
            self.add(text.strip("\n"))

    def heading(self, level: int, title: str) -> None:
        """Append `title` as a line of its own; what follows lies under it."""
        if title.strip():
            if self.length:
                self.add("\n\n")
            self.mark(heading=self.headings.enter(level, title))
            self.add(title.strip())

    def block(self, text: str) -> None:
        """Append a table or code block as a paragraph that should stay whole."""
        if text.strip():
            self.paragraph(text)
            kept = len(text.strip("\n"))
            self.blocks.append(Span(self.length - kept, self.length))

    def mark(self, *, page: int | None = None, heading: str | None = None) -> None:
        """From here on the text lies on `page` and under `heading`."""
        mark = Mark(self.length, page, heading)
        if self.marks and self.marks[-1].start == self.length:
            self.marks[-1] = mark
        else:
            self.marks.append(mark)

    def append(self, part: Extracted) -> None:
        """Append another document's text as a paragraph; its headings go below the open ones."""
        if not part.text.strip():
            self.hidden += part.hidden_removed
            return
        if self.length:
            self.add("\n\n")
        outer, shift = self.headings.path, self.length
        for mark in part.marks:
            if self.marks and self.marks[-1].start == mark.start + shift:
                self.marks.pop()
            joined = " > ".join(name for name in (outer, mark.heading) if name) or None
            self.marks.append(replace(mark, start=mark.start + shift, heading=joined))
        self.blocks.extend(Span(span.start + shift, span.end + shift) for span in part.blocks)
        self.hidden += part.hidden_removed
        self.add(part.text)

    def build(self, kind: str, notes: tuple[str, ...] = ()) -> Extracted:
        """The finished document."""
        text, marks, blocks = "".join(self._parts), tuple(self.marks), tuple(self.blocks)
        return Extracted(text, kind, marks, blocks, self.hidden, notes)
