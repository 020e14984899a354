"""Train, validation and test by document: a document's passages never lie on both sides.

About 80/10/10 by passages. Once assigned, a document keeps its split for good, so that no later run teaches
what an earlier one tested. Documents of the same bytes go together.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpora.examples import Split
from corpora.records import Document

SHARES: Mapping[Split, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
_HELD_OUT_AT_MOST = 0.2  # of all passages: a larger document is not chosen to be the only one of its split
# What a split may read: training sees no held-out text, and nothing before the test sees the test's.
_READABLE: Mapping[Split, frozenset[Split]] = {
    "train": frozenset({"train"}),
    "validation": frozenset({"train", "validation"}),
    "test": frozenset({"train", "validation", "test"}),
}


@dataclass(frozen=True, slots=True)
class _Group:
    """Documents of the same bytes."""

    key: str  # decides the order
    ids: tuple[str, ...]
    passages: int


def assign_splits(documents: Sequence[Document], existing: Mapping[str, Split]) -> dict[str, Split]:
    """The split of each of `documents`, by id. Those in `existing` keep theirs; `existing` may know more.

    One document is train, two are train and test, and from three on every split has one, as far as new
    documents are there to fill it. The order is that of the hashed ids, so that it is the same anywhere.
    """
    assigned = {document.id: existing[document.id] for document in documents if document.id in existing}
    new: list[_Group] = []
    for group in _groups(documents):
        known = {assigned[one] for one in group.ids if one in assigned}
        if known:
            # Assigned apart and equal since: what comes now is held out with the strictest of them.
            split = next(name for name in ("test", "validation", "train") if name in known)
            assigned |= {one: split for one in group.ids if one not in assigned}
        else:
            new.append(group)
    sizes: dict[Split, int] = dict.fromkeys(SHARES, 0)
    for document in documents:
        if document.id in assigned:
            sizes[assigned[document.id]] += document.passages
    for group, split in _placed(new, sizes, total=sum(document.passages for document in documents)):
        assigned |= dict.fromkeys(group.ids, split)
    return assigned


def readable(split: Split, documents: Sequence[Document], splits: Mapping[str, Split]) -> frozenset[str]:
    """Ids of the documents whose text may stand in rows of `split`.

    A document without a split is in none; neither is one whose bytes another split holds out as well.
    """
    allowed = _READABLE[split]
    barred = {
        document.sha256
        for document in documents
        if document.id not in splits or splits[document.id] not in allowed
    }
    return frozenset(document.id for document in documents if document.sha256 not in barred)


def _groups(documents: Sequence[Document]) -> list[_Group]:
    same: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        same[document.sha256].append(document)
    groups = [
        _Group(
            key=min(hashlib.sha256(one.id.encode()).hexdigest() for one in members),
            ids=tuple(sorted(one.id for one in members)),
            passages=sum(one.passages for one in members),
        )
        for members in same.values()
    ]
    return sorted(groups, key=lambda group: group.key)


def _placed(new: Sequence[_Group], sizes: Mapping[Split, int], total: int) -> list[tuple[_Group, Split]]:
    """A split for each new group: first one for each split that has none, then where most is missing."""
    sizes = dict(sizes)
    waiting = list(new)
    placed: list[tuple[_Group, Split]] = []

    def place(group: _Group, split: Split) -> None:
        waiting.remove(group)
        placed.append((group, split))
        sizes[split] += group.passages

    order: tuple[Split, ...] = ("train", "test", "validation")
    wanted = [split for split in order if not sizes[split]][: len(new)]
    for split in wanted:
        if split != "train":
            place(_held_out(waiting, total), split)
    for group in list(waiting):
        split = max(order, key=lambda name: SHARES[name] * total - sizes[name])
        place(group, "train" if not sizes["train"] else split)
    return placed


def _held_out(groups: Sequence[_Group], total: int) -> _Group:
    """The first group that is no large part of everything, else the smallest."""
    small = (group for group in groups if group.passages <= _HELD_OUT_AT_MOST * total)
    return next(small, min(groups, key=lambda group: (group.passages, group.key)))
