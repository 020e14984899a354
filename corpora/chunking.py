"""Documents into passages: exact spans of the text, none longer than the encoder reads.

1. The text is tiled by its sections (marks), protected blocks, and atoms (paragraphs, lines, sentences).
2. Atoms are counted in batches; one that fits no passage is cut finer, down to characters.
3. The best cuts are chosen by total fit over estimated token counts (sums over atoms).
4. Every passage is counted as the encoder will see it; the few that are too long are cut again.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from corpora.chunking_boundaries import Atom, Cut, atoms, cut_beside_block, finer, protected
from corpora.chunking_cuts import best_cuts
from corpora.chunking_sections import Headings, common_heading, counting, may_share, sections
from corpora.records import Extracted, TokenCounter, indexed_text

# Padding and words that a tokenizer maps to one unknown token cost next to nothing: bound characters too.
_CHARACTERS_PER_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage of a document: `text[start:end]`, on lines `line_start` to `line_end` (1-based).

    `page` is that of its start; `heading` that of its start, or of the parent where tiny sections share it.
    """

    start: int
    end: int
    line_start: int
    line_end: int
    page: int | None
    heading: str | None


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A passage before it is counted; `start` lies before its atoms if it repeats the end of another."""

    atoms: tuple[Atom, ...]
    start: int
    end: int
    heading: str | None
    repeats_to: int = -1  # the end of what is repeated, -1 for nothing


def split(
    extracted: Extracted, *, count_tokens: TokenCounter, max_tokens: int, overlap: int = 0
) -> list[Piece]:
    """Passages in order; every character that is not white space lies in at least one.

    `count_tokens` gives a text's tokens as the encoder sees it, special tokens included; for each piece
    `count_tokens([indexed_text(heading, text[start:end])])[0] <= max_tokens`. `overlap` is the most tokens
    of whole sentences that a passage repeats from the one before. Raises ValueError where max_tokens cannot
    hold even one character, or overlap is negative or over half of max_tokens.
    """
    if not 0 <= overlap <= max_tokens // 2:
        raise ValueError(f"overlap must be between 0 and half of max_tokens, not {overlap}")
    empty, letter = count_tokens(["", "a"])
    fixed = max(0, min(empty, letter - 1))
    if fixed >= max_tokens:
        raise ValueError(f"max_tokens must be over {fixed}, the tokens of an empty text, not {max_tokens}")
    if not extracted.text.strip():
        return []
    return _Splitter(extracted, count_tokens, max_tokens, overlap, fixed).split()


class _Splitter:
    """The work on one document; `room` and all counts are without the `fixed` tokens of every text."""

    def __init__(
        self, extracted: Extracted, count_tokens: TokenCounter, max_tokens: int, overlap: int, fixed: int
    ) -> None:
        self.text = extracted.text
        self.kind = extracted.kind
        self.blocks = [(block.start, block.end) for block in extracted.blocks]
        self.sections = sections(extracted)
        self.count = counting(count_tokens, fixed)
        self.max_tokens = max_tokens
        self.overlap = overlap
        self.room = max_tokens - fixed
        self.characters = max_tokens * _CHARACTERS_PER_TOKEN
        self.headings = Headings(self.count, max_tokens // 4)

    def split(self) -> list[Piece]:
        self.headings.prepare(section.heading for section in self.sections)
        drafts: list[_Draft] = []
        for run in self._runs(self._measured(self._tiled())):
            room = min(self._room_in(atom.section) for atom in run)
            drafts.extend(self._drafts(run, room - self.overlap))
        done = self._checked(drafts)
        while late := {after for before, after in pairwise(done) if after.start <= before.start}:
            # A passage was cut again, and the next one now repeats more than the whole of its last part.
            kept = [draft for draft in done if draft not in late]
            done = sorted(
                kept + self._checked([self._draft(list(draft.atoms)) for draft in late]),
                key=lambda draft: draft.end,
            )
        lines = [match.start() for match in re.finditer("\n", self.text)]
        return [self._piece(draft, lines) for draft in done]

    def _tiled(self) -> list[Atom]:
        """Atoms that cover all visible characters, in order; a protected block is one atom."""
        found: list[Atom] = []
        next_block = 0
        for number, section in enumerate(self.sections):
            while next_block < len(self.blocks) and self.blocks[next_block][1] <= section.start:
                next_block += 1
            inside = self.blocks[next_block : bisect_left(self.blocks, (section.end, 0))]
            cut = Cut.SECTION
            for start, end, block in protected(inside, self.text, section.start, section.end):
                if block:
                    found.append(Atom(start, end, cut, number, block=True))
                else:
                    found.extend(atoms(self.text, Atom(start, end, cut, number), self.kind, self.max_tokens))
                cut = cut_beside_block(self.text, end)
        return found

    def _measured(self, found: list[Atom]) -> list[Atom]:
        """Set the tokens of atoms, cutting those that fit no passage until all do."""
        pending, whole = found, set[int]()
        while pending:
            small = [atom for atom in pending if atom.end - atom.start <= self.characters]
            counts = self.count([self.text[atom.start : atom.end] for atom in small])
            for atom, tokens in zip(small, counts, strict=True):
                atom.tokens = tokens
            whole |= self._whole_blocks(small)
            kept: list[Atom] = []
            pending = []
            for atom in found:
                if self._fits(atom) or atom.start in whole:
                    kept.append(atom)
                else:
                    parts = finer(self.text, atom, self.kind, self.max_tokens)
                    pending.extend(parts)
                    kept.extend(parts)
            found = kept
        return found

    def _fits(self, atom: Atom) -> bool:
        length = atom.end - atom.start
        return length == 1 or (length <= self.characters and atom.tokens <= self._room_in(atom.section))

    def _whole_blocks(self, measured: list[Atom]) -> set[int]:
        """Starts of the blocks that seem a little too long beside their heading, but are not."""
        doubtful = []
        for atom in measured:
            room = self._room_in(atom.section)
            if atom.block and room < atom.tokens <= room * 1.25 + 8:
                doubtful.append(self._draft([atom]))
        counts = zip(doubtful, self._tokens(doubtful), strict=True)
        return {draft.atoms[0].start for draft, tokens in counts if tokens <= self.room}

    def _room_in(self, section: int) -> int:
        """Tokens left for the text of a passage in this section beside its heading and a line break."""
        heading, tokens = self.headings.fit(self.sections[section].heading)
        return self.room - tokens - (1 if heading else 0)

    def _runs(self, found: list[Atom]) -> Iterator[list[Atom]]:
        """Atoms between the section marks that no passage crosses."""
        parts = [list(part) for _, part in groupby(found, key=lambda atom: atom.section)]
        tiny = [sum(atom.tokens for atom in part) * 6 <= self.max_tokens for part in parts]
        run: list[Atom] = []
        for number, part in enumerate(parts):
            if run and not may_share(
                self.sections[run[-1].section],
                self.sections[part[0].section],
                before_tiny=tiny[number - 1],
                after_tiny=tiny[number],
            ):
                yield run
                run = []
            run.extend(part)
        if run:
            yield run

    def _drafts(self, run: list[Atom], tokens: int) -> Iterator[_Draft]:
        """Passages of a run by total fit; a passage of several atoms has at most `tokens`, by estimate."""
        before = 0
        for first, last in best_cuts(run, tokens, self.characters):
            draft = self._draft(run[first:last])
            start = self._overlap_start(run, before, first) if self.overlap else first
            if start < first:
                repeats_to = self._stripped(run[first - 1 : first])[1]
                draft = replace(draft, start=self._stripped(run[start:first])[0], repeats_to=repeats_to)
            yield draft
            before = first

    def _overlap_start(self, run: list[Atom], before: int, first: int) -> int:
        """The earliest atom of the passage before (it starts at `before`) that may be repeated."""
        start, tokens = first, 0
        for number in range(first - 1, before, -1):
            atom = run[number]
            tokens += atom.tokens
            if tokens > self.overlap or atom.block or atom.section != run[first].section:
                break
            if atom.cut <= Cut.LEAD_IN:
                start = number
        return start

    def _draft(self, run: list[Atom]) -> _Draft:
        start, end = self._stripped(run)
        shared = common_heading(self.sections[atom.section].heading for atom in run)
        return _Draft(tuple(run), start, end, self.headings.fit(shared)[0])

    def _stripped(self, run: list[Atom]) -> tuple[int, int]:
        """The span of a run without white space around it."""
        first, last = self.text[run[0].start : run[0].end], self.text[run[-1].start : run[-1].end]
        return run[0].end - len(first.lstrip()), run[-1].start + len(last.rstrip())

    def _tokens(self, drafts: list[_Draft]) -> list[int]:
        return self.count([indexed_text(one.heading, self.text[one.start : one.end]) for one in drafts])

    def _checked(self, drafts: list[_Draft]) -> list[_Draft]:
        """All of `drafts`, counted exactly, in order; what is too long is cut again until it is not."""
        done: list[_Draft] = []
        while drafts:
            repeating = [draft for draft in drafts if draft.repeats_to >= 0]
            repeated = self.count([self.text[draft.start : draft.repeats_to] for draft in repeating])
            counts = zip(repeating, repeated, strict=True)
            excessive = {draft.start for draft, tokens in counts if tokens > self.overlap}
            again: list[_Draft] = []
            for draft, tokens in zip(drafts, self._tokens(drafts), strict=True):
                if draft.repeats_to >= 0 and (tokens > self.room or draft.start in excessive):
                    again.append(self._draft(list(draft.atoms)))
                elif tokens > self.room:
                    again.extend(self._cut_again(draft, tokens))
                else:
                    done.append(draft)
            drafts = again
        return _ordered(done)

    def _cut_again(self, draft: _Draft, tokens: int) -> Iterator[_Draft]:
        """A passage of `tokens` tokens that must be shorter, as at least two, or without its heading."""
        run = list(draft.atoms)
        if len(run) == 1 and draft.end - draft.start > 1:
            run = self._measured(finer(self.text, run[0], self.kind, self.max_tokens))
        if len(run) > 1:
            estimate = sum(atom.tokens for atom in run)
            yield from self._drafts(run, min(estimate - 1, estimate * self.room // tokens))
        elif draft.heading:
            yield replace(draft, heading=None)
        else:
            raise ValueError(f"max_tokens is too small for the character {self.text[draft.start]!r}")

    def _piece(self, draft: _Draft, lines: list[int]) -> Piece:
        section = self.sections[draft.atoms[0].section]
        first, last = bisect_left(lines, draft.start) + 1, bisect_left(lines, draft.end) + 1
        return Piece(draft.start, draft.end, first, last, section.page, draft.heading)


def _ordered(drafts: list[_Draft]) -> list[_Draft]:
    return sorted(drafts, key=lambda draft: draft.end)
