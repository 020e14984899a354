"""From a checked candidate to an example, and where it belongs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from corpora.examples import Example, Quote, Split
from corpora.records import Passage
from corpora.store import example_id
from finetune.candidates import Candidate
from finetune.checks import Checked


def split_of(candidate: Candidate, splits: Mapping[str, Split]) -> Split:
    """The split of the candidate's documents; by the hash of its question where it has none."""
    for claimed in candidate.claimed:
        if claimed.passage.document_id in splits:
            return splits[claimed.passage.document_id]
    if candidate.claimed:
        return "train"
    digest = hashlib.blake2b(candidate.question.encode("utf-8", "replace"), digest_size=2).digest()
    tenth = int.from_bytes(digest) % 10
    return "test" if tenth == 9 else "validation" if tenth == 8 else "train"


def to_example(checked: Checked, split: Split, hashes: Mapping[str, str]) -> Example:
    """The example that a candidate becomes: accepted where no check gave a reason.

    `hashes` gives the sha256 of each document by its id. Where no quote was located, the whole passage
    stands for it, so that a reject too goes when its document does.
    """
    candidate = checked.candidate
    quotes = checked.quotes or tuple(_whole(claimed.passage, hashes) for claimed in candidate.claimed)
    return Example(
        id=example_id(candidate.method, candidate.question, candidate.input, candidate.answer, quotes),
        status="accepted" if checked.reason is None else "rejected",
        reason=checked.reason,
        method=candidate.method,
        kind=candidate.kind,
        language=candidate.language,
        question=candidate.question,
        input=candidate.input,
        answer=candidate.answer,
        quotes=quotes,
        history=candidate.history,
        split=split,
        teacher=candidate.teacher,
        prompt_version=candidate.prompt_version,
        scores=checked.scores,
    )


def _whole(passage: Passage, hashes: Mapping[str, str]) -> Quote:
    return Quote(
        passage.document_id,
        passage.path,
        hashes.get(passage.document_id, ""),
        passage.id,
        passage.start,
        passage.end,
        passage.text,
    )
