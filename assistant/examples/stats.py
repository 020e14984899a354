"""The tally of examples, and how far each document is taught."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assistant.tally import Covered, coloured, coverage_lines, tally_lines, width
from assistant.terminal import clean_line
from corpora.store import ExampleStore, Library

_DOCUMENTS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers of examples; `rejected` and `retired` by reason, the last three of accepted ones."""

    accepted: int
    dropped: int
    rejected: Mapping[str, int]
    retired: Mapping[str, int]
    methods: Mapping[str, int]
    kinds: Mapping[str, int]
    splits: Mapping[str, int]
    documents: tuple[Covered, ...]

    def row(self) -> dict[str, Any]:
        """The JSON of `data stats`."""
        return {
            "accepted": self.accepted,
            "rejected": dict(self.rejected),
            "retired": dict(self.retired),
            "dropped": self.dropped,
            "methods": dict(self.methods),
            "kinds": dict(self.kinds),
            "splits": dict(self.splits),
            "passages": sum(one.passages for one in self.documents),
            "covered": sum(one.covered for one in self.documents),
            "documents": [
                {
                    "path": one.path,
                    "split": one.split,
                    "passages": one.passages,
                    "covered": one.covered,
                    "accepted": one.accepted,
                }
                for one in self.documents
            ],
        }


def stats(library: Library) -> Stats:
    """Count what the library holds. An accepted example covers the passages of its quotes."""
    store = ExampleStore(library)
    with library.snapshot():
        counts, accepted = store.counts(), store.find("accepted")
        documents, splits = library.documents(), store.splits()
    by_status: dict[str, Counter[str]] = defaultdict(Counter)
    for count in counts:
        by_status[count.status][count.reason or "-"] += count.n
    covered: dict[str, set[str]] = defaultdict(set)
    starts: dict[str, list[int]] = defaultdict(list)
    for example in accepted:
        for quote in example.quotes:
            covered[quote.document_id].add(quote.passage_id)
            starts[quote.document_id].append(quote.start)
    return Stats(
        accepted=len(accepted),
        dropped=by_status["dropped"].total(),
        rejected=_sorted(by_status["rejected"]),
        retired=_sorted(by_status["retired"]),
        methods=_sorted(Counter(str(example.method) for example in accepted)),
        kinds=_sorted(Counter(str(example.kind) for example in accepted)),
        splits=_sorted(Counter(str(example.split) for example in accepted)),
        documents=tuple(
            Covered(
                path=document.path,
                split=splits.get(document.id),
                passages=document.passages,
                covered=len(covered[document.id]),
                accepted=len(starts[document.id]),
                places=tuple(start / max(1, document.characters) for start in sorted(starts[document.id])),
            )
            for document in documents
        ),
    )


def show(found: Stats) -> None:
    """The stats for people: what there is, the rejects with bars, the documents as strips."""
    from finetune.checks.records import MEANING

    columns = width()
    total = sum(found.rejected.values())
    head = [f"accepted {found.accepted}, rejected {total}"]
    head += [f"retired {sum(found.retired.values())}"] if found.retired else []
    head += [f"dropped {found.dropped}"] if found.dropped else []
    lines = textwrap.wrap(", ".join(head), columns)
    for name, counts in (("by split", found.splits), ("by method", found.methods), ("by kind", found.kinds)):
        if counts:
            parts = ", ".join(f"{n} {clean_line(key)}" for key, n in counts.items())
            lines += textwrap.wrap(f"{name}: {parts}", columns, break_on_hyphens=False)
    if found.rejected:
        meaning: Mapping[str, str] = {str(reason): words for reason, words in MEANING.items()}
        lines += ["", "Rejected", *map(coloured, tally_lines(found.rejected, columns, meaning))]
    if found.documents:
        passages = sum(one.passages for one in found.documents)
        covered = sum(one.covered for one in found.documents)
        shown = found.documents[:_DOCUMENTS_SHOWN]
        title = f"Taught: {covered} of {passages} passages; a line is a document, from start to end"
        lines += ["", *textwrap.wrap(title, columns)]
        lines += map(coloured, coverage_lines(shown, columns))
        if len(found.documents) > len(shown):
            rest = f"… and {len(found.documents) - len(shown)} more documents; --json lists all"
            lines += textwrap.wrap(rest, columns)
    # Not `emit_text`: the colours are ours, and what is not has been cleaned.
    sys.stdout.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace").decode("utf-8"))
    sys.stdout.flush()


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
