"""Does a passage support what a sentence of the answer says? A lexical stand-in for entailment.

A window of one to three neighbouring sentences supports a claim when it holds the claim's numbers and
names, denies what the claim denies, and shares enough of its words; a claim too short to stand alone
("in 1874") must also meet the words of the question there. This cannot see who did what to whom within a
sentence, nor follow a paraphrase: it errs towards dropping a citation. The thresholds are measured by
`tests/bench/support.py` on human answers with marked evidence and on the same answers made wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from corpora.records import Span
from index.evidence.sentences import sentences
from index.evidence.words import Words, negated, question_words, share, words

CLAIM_SHARE = 0.7  # of a claim's words, in the window
QUESTION_SHARE = 0.4  # of the question's words, in the window or the claim, for a short claim
SHORT_CLAIM = 4  # words; shorter claims lean on the question
_FRAGMENT = 2  # words; fewer are no sentence
_LONGEST_WINDOW = 3  # sentences

_CHOICE = re.compile(r"\b(?:or|which|whether)\b|还是|還是|或")
_CLAUSE = re.compile(
    r"[.!?](?=\s)|[。！？\n,;:，；：、—–()（）]|\b(?:but|although|though|while|whereas|which|because|however)\b|但"
)
_ANAPHOR = re.compile(
    r"(?:He|She|It|They|His|Her|Hers|Its|Their|This|These|That|Those|Such|The|There|Here|Both)\b"
    r"|(?:In|At) this\b|[他她它其这這那该該此]"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer, read once, with the question that it answers."""

    question: str
    said: Words
    asked: Words
    denies: bool

    @property
    def echoes(self) -> bool:
        """Whether it only gives words of the question back, which offered no choice between them."""
        new = (self.said.terms - self.asked.terms) | (self.said.numbers - self.asked.numbers)
        return self.short and not new and not _CHOICE.search(self.question)

    @property
    def short(self) -> bool:
        """Whether it says too little to be checked without its question."""
        return len(self.said.terms) + len(self.said.numbers) < SHORT_CLAIM


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span of a passage's text that supports a claim; `score` ranks spans of one claim, in [0, 1]."""

    span: Span
    score: float


def read_claim(text: str, question: str) -> Claim:
    """`text` (without markers) as something that can be checked."""
    said = words(text)
    # "In 1874" answers a question that denies by denying.
    denies = negated(text) != (len(said.terms) < _FRAGMENT and negated(question))
    return Claim(question, said, question_words(question), denies)


def says_nothing(claim: Claim) -> bool:
    """Whether there is nothing in the claim that evidence could be found for ("Yes.", "[...]")."""
    return not claim.said.terms and not claim.said.numbers


def find_evidence(claim: Claim, text: str, title: str) -> Evidence | None:
    """The best window of a passage's `text` that supports `claim`, None where none does.

    `title` (path and heading) says what the passage is about where its sentences only say "it".
    """
    if says_nothing(claim) or claim.echoes:
        return None
    about = words(title)
    spans = sentences(text)
    best: Evidence | None = None
    for first in range(len(spans)):
        for last in range(first, min(first + _LONGEST_WINDOW, len(spans))):
            span = Span(spans[first].start, spans[last].end)
            if last > first and not _continues(text, spans[first + 1 : last + 1]):
                break
            score = _score(claim, text[span.start : span.end], about) - 0.03 * (last - first)
            if score > 0 and (best is None or score > best.score):
                best = Evidence(span, score)
    return best


def _continues(text: str, following: list[Span]) -> bool:
    """Whether each sentence refers back to the one before it, so that they may be read as one."""
    return all(_ANAPHOR.match(text[span.start : span.end]) for span in following)


def _score(claim: Claim, window: str, about: Words) -> float:
    """How well `window` supports the claim; 0 or less where it does not."""
    there = words(window)
    if not claim.said.numbers <= there.numbers:
        return 0.0
    known = there.terms | (about.terms if _leans_on_title(claim, there, window) else frozenset())
    if not claim.said.names <= known:
        return 0.0
    said = share(claim.said.terms, known)
    if said < (1.0 if len(claim.said.terms) <= 2 else CLAIM_SHARE):
        return 0.0
    asked = share(
        claim.asked.terms | claim.asked.numbers, known | there.numbers | claim.said.terms | about.terms
    )
    if claim.short and asked < QUESTION_SHARE:
        return 0.0
    if negated(_clause(claim, window)) != claim.denies:
        return 0.0
    return 0.6 * said + 0.4 * asked


def _clause(claim: Claim, window: str) -> str:
    """The clause that shares most with the claim, then with the question, then speaks against the claim."""

    def shared(part: str) -> tuple[int, int, bool]:
        read = words(part)
        there = read.terms | read.numbers
        said = len(there & (claim.said.terms | claim.said.numbers))
        return said, len(there & claim.asked.terms), negated(part) != claim.denies

    return max(_CLAUSE.split(window), key=shared)


def _leans_on_title(claim: Claim, there: Words, window: str) -> bool:
    """Whether the window speaks of the passage's subject by a pronoun, or of nobody else."""
    return bool(_ANAPHOR.match(window)) or not there.names - claim.said.names - claim.asked.names
