"""Systems side by side: for the terminal and the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.summary import Measure, Summary

# Heading of a column -> measure; the first has its interval with it.
_COLUMNS = {
    "F1": "f1",
    "answerable": "answerable_f1",
    "rightly refused": "refusal_recall",
    "wrongly": "over_refusal",
    "citations": "citation_precision",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The measures of one system on one set of questions, asked in one way."""

    questions: str
    system: str
    way: str
    summary: Summary

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "questions": self.questions,
            "system": self.system,
            "way": self.way,
            **self.summary.row(),
        }


def table(standings: Sequence[Standing]) -> list[str]:
    """Lines of equal build, with a heading before each set of questions."""
    lines: list[str] = []
    for name in dict.fromkeys(one.questions for one in standings):
        some = [one for one in standings if one.questions == name]
        lines.append(f"{name}: {max(one.summary.n for one in some)} questions")
        rows = [["", "", *_COLUMNS]]
        rows += [[one.system, one.way, *_cells(one.summary)] for one in some]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _cells(summary: Summary) -> list[str]:
    found = [summary.measures[name] for name in _COLUMNS.values()]
    return [
        _with_interval(found[0]),
        *("-" if one.value is None else f"{one.value:.2f}" for one in found[1:]),
    ]


def _with_interval(measure: Measure) -> str:
    if measure.value is None:
        return "-"
    if measure.low is None or measure.high is None:
        return f"{measure.value:.2f}"
    return f"{measure.value:.2f} [{measure.low:.2f}, {measure.high:.2f}]"
