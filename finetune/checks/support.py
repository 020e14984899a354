"""Does the evidence say what the answer says? Every number and name of it, and enough of its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from corpora.examples import Quote
from finetune.candidates import Candidate
from finetune.checks.locating import holds
from finetune.checks.records import QUESTIONS, Fault
from index.evidence.sentences import sentences
from index.evidence.support import find_evidence, read_claim, says_nothing

_PART = re.compile(r"\s*(?:[;；、,，\n]|\band\b|\bor\b|[和及与]|以及)\s*")
_TITLE = re.compile(r"[_/.-]")
_CUT = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer may rest on: the text of its quotes and what their passages are called."""

    text: str
    title: str


def evidence_of(candidate: Candidate, quotes: Sequence[Quote]) -> Evidence:
    """The evidence of a candidate whose quotes were located."""
    titles = (
        f"{_TITLE.sub(' ', claimed.passage.path)} {claimed.passage.heading or ''}"
        for claimed in candidate.claimed
    )
    return Evidence("\n\n".join(quote.text for quote in quotes), " ".join(dict.fromkeys(titles)))


def check_support(candidate: Candidate, quotes: Sequence[Quote]) -> Fault | None:
    """Whether the quotes hold the answer, or each of its parts, or say each of its sentences.

    A refusal claims nothing. What stands in a quote word for word is supported at once; an answer that is
    a list is when each item stands there.
    """
    answer = candidate.answer
    if candidate.kind not in QUESTIONS or answer is None or not quotes:
        return None
    evidence = evidence_of(candidate, quotes)
    if holds(evidence.text, answer):
        return None
    items = [item for item in _PART.split(answer.strip(" .。")) if item]
    if len(items) > 1 and all(holds(evidence.text, item) for item in items):
        return None
    for span in sentences(answer):
        sentence = answer[span.start : span.end]
        claim = read_claim(sentence, candidate.question)
        if says_nothing(claim) or find_evidence(claim, evidence.text, evidence.title) is None:
            return Fault("unsupported", f"not in the evidence: {_CUT.sub(' ', sentence)[:80]}")
    return None
