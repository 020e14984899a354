"""Markers and citations: every `[n]` of an answer is tied to an exact span of passage n, or dropped.

A marker vouches for the words before it in its sentence, back to the previous marker; where those are not
supported by its passage but the whole sentence is, that counts too. A sentence that keeps no marker gets
one where a passage supports it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from corpora.records import Citation, Passage, Span
from index.evidence.sentences import sentences
from index.evidence.support import Evidence, find_evidence, read_claim, says_nothing

MARKER = re.compile(r"\[(\d{1,3}(?:\s?[,，、;]\s?\d{1,3})*)\]|【(\d{1,3}(?:\s?[,，、;]\s?\d{1,3})*)】")
_MARKERS = rf"(?:\s*(?:{MARKER.pattern}))+"
_ENDING = r"[.!?。！？\"'”’」』)）\s]*\Z"
_FINAL = re.compile(_ENDING)
_UNTIED = re.compile(rf"(?:\s+|(?<![A-Za-z0-9_)\]]))(?:\[\d{{1,3}}\]\s*)+(?={_ENDING})")


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A piece of the answer with only verified markers in `text`; `dropped` markers were not."""

    text: str
    citations: tuple[Citation, ...]
    dropped: int
    supported: bool  # also where there is nothing to support


@dataclass(slots=True)
class CitationChecker:
    """Checks the pieces of one answer against the passages of its prompt.

    The model's `[n]` is `passages[n - 1]`, and is shown as `[numbers[n - 1]]`.
    """

    question: str
    passages: Sequence[Passage]
    numbers: Sequence[int]
    citations: list[Citation] = field(default_factory=list)
    dropped: int = 0
    supported: bool = True

    def check(self, piece: str) -> str:
        """`piece` with verified markers only; what was found is kept in this object."""
        checked = check_sentence(piece, self.question, self.passages, self.numbers)
        self.citations += [citation for citation in checked.citations if citation not in self.citations]
        self.dropped += checked.dropped
        self.supported = self.supported and checked.supported
        return checked.text


def split_answer(text: str) -> list[str]:
    """Pieces of an answer, a sentence each with the markers behind it; joined they are `text` again."""
    pieces: list[str] = []
    start = 0
    for span in sentences(text):
        if span.start < start:  # lies within markers that went to the sentence before
            continue
        markers = re.match(_MARKERS, text[span.start :])
        if markers and pieces:
            pieces[-1] += text[start : span.start + markers.end()]
            start = span.start + markers.end()
            if start >= span.end:
                continue
        pieces.append(text[start : span.end])
        start = span.end
    if pieces:
        pieces[-1] += text[start:]
        return pieces
    return [text] if text else []


def check_sentence(
    piece: str, question: str, passages: Sequence[Passage], numbers: Sequence[int]
) -> CheckedSentence:
    """One piece of an answer, checked (see the module's text and `CitationChecker`)."""
    bare = MARKER.sub("", piece)
    whole = read_claim(bare, question)
    if says_nothing(whole):
        markers = sum(len(_numbers(found)) for found in MARKER.finditer(piece))
        return CheckedSentence(_without_markers(piece), (), markers, True)
    kept: list[Citation] = []
    dropped = 0
    text, end = "", 0
    for found in MARKER.finditer(piece):
        segment = piece[end : found.start()]
        verified: list[int] = []
        for number in _numbers(found):
            citation = _cite(number, MARKER.sub("", segment), bare, question, passages)
            if citation is None or number in verified:
                dropped += 1
            else:
                verified.append(number)
                kept.append(replace(citation, marker=numbers[number - 1]))
        shown = "".join(f"[{numbers[number - 1]}]" for number in verified)
        blank = " " if shown and segment.strip() else ""
        text += segment.rstrip() + blank + shown
        end = found.end()
    text += piece[end:]
    if not kept:
        citation = _search(bare, question, passages)
        if citation is not None:
            citation = replace(citation, marker=numbers[citation.marker - 1])
            return CheckedSentence(_with_marker(text, citation.marker), (citation,), dropped, True)
    return CheckedSentence(text, tuple(kept), dropped, bool(kept))


def without_untied(piece: str) -> str:
    """`piece`, a sentence written without passages, without the markers at its end: they cite nothing.

    Brackets elsewhere stay, as in `a[0]`.
    """
    return _UNTIED.sub("", piece)


def make_citation(marker: int, passage: Passage, span: Span) -> Citation:
    """The citation of a span of a passage's text, in the document's own offsets and lines."""
    before = passage.text[: span.start]
    quote = passage.text[span.start : span.end]
    line = passage.line_start + before.count("\n")
    return Citation(
        marker=marker,
        passage_id=passage.id,
        path=passage.path,
        page=passage.page,
        line_start=line,
        line_end=line + quote.count("\n"),
        start=passage.start + span.start,
        end=passage.start + span.end,
        quote=quote,
        verified=True,
    )


def title_of(passage: Passage) -> str:
    """What a passage says of itself: its path and its heading."""
    return f"{re.sub(r'[_/.-]', ' ', passage.path)} {passage.heading or ''}"


def _cite(
    number: int, segment: str, whole: str, question: str, passages: Sequence[Passage]
) -> Citation | None:
    if not 1 <= number <= len(passages):
        return None
    passage = passages[number - 1]
    for words in dict.fromkeys((segment, whole)):
        found = find_evidence(read_claim(words, question), passage.text, title_of(passage))
        if found is not None:
            return make_citation(number, passage, found.span)
    return None


def _search(bare: str, question: str, passages: Sequence[Passage]) -> Citation | None:
    """The passage that supports a sentence without a marker best; the higher ranked of equals."""
    claim = read_claim(bare, question)
    best: tuple[Evidence, int] | None = None
    for number, passage in enumerate(passages, start=1):
        found = find_evidence(claim, passage.text, title_of(passage))
        if found is not None and (best is None or found.score > best[0].score + 1e-9):
            best = (found, number)
    return None if best is None else make_citation(best[1], passages[best[1] - 1], best[0].span)


def _numbers(found: re.Match[str]) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", found[1] or found[2])]


def _without_markers(piece: str) -> str:
    return re.sub(_MARKERS, "", piece)


def _with_marker(text: str, marker: int) -> str:
    """`text` with `[marker]` before its final punctuation."""
    final = _FINAL.search(text)
    at = final.start() if final else len(text)
    return f"{text[:at]} [{marker}]{text[at:]}"
