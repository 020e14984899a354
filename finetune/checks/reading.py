"""Checks that ask a model, and when they may reject.

A model's opinion counts only where it was shown to be worth something: on human question-answer pairs of a
language, each once with its own answer and once with another answer of the same passage, its scores must
tell good from bad with an area under the ROC curve of 0.75 or more. The area is that of its verdicts, the
scores cut at the threshold, as it is the verdicts that reject: a score may rank well (SmolLM2-135M, token F1:
0.76) though its threshold lets most human answers fall (verdicts: 0.64). This is measured once for each
reader and kept in the library; below that, scores are kept as advice and reject nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from corpora.prompt import Language
from corpora.records import Passage
from corpora.store.example_rows import JudgeRecord
from finetune.checks.records import Fault, Reason
from finetune.measures import area_under_roc

if TYPE_CHECKING:
    from corpora.store import ExampleStore, Library

LOWEST_AUC = 0.75
_ANSWERED = 0.9  # of the calibration pairs; with fewer replies nothing is measured


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with the answer that is claimed for it, and the passages that it was written from."""

    question: str
    answer: str
    passages: tuple[Passage, ...]


class PairScorer(Protocol):
    """A model that says how well an answer fits its question and passages."""

    @property
    def check(self) -> Reason:
        """The reason of its rejects."""

    @property
    def score(self) -> str:
        """What its score is called among an example's scores."""

    @property
    def threshold(self) -> float:
        """The lowest score that passes."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever its scores could (hex, 16 digits)."""

    def scores(self, pairs: Sequence[Pair]) -> list[float | None]:
        """Of each pair, in [0, 1]; None where the model could not be asked."""


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A human pair and a wrong answer: one that another question about the same passage has."""

    question: str
    answer: str
    swapped: str
    passage: Passage


@dataclass(frozen=True, slots=True)
class Gate:
    """A scorer with the languages in which it was measured, and those in which it may reject.

    It is asked about no other language.
    """

    scorer: PairScorer
    measured: frozenset[Language]
    trusted: frozenset[Language]

    def fault(self, score: float | None, language: Language) -> Fault | None:
        """What a score makes of a pair. Where the model may reject, what it did not see is not kept."""
        if language not in self.trusted:
            return None
        if score is None:
            return Fault(self.scorer.check, "no reply")
        if score < self.scorer.threshold:
            return Fault(self.scorer.check, f"{self.scorer.score} {score:.2f} < {self.scorer.threshold:.2f}")
        return None


@lru_cache(maxsize=2)
def calibration_rows(language: Language) -> tuple[CalibrationRow, ...]:
    """The human pairs of a language (see `corpora/calibration/NOTICE.md`)."""
    source = files("corpora") / "calibration" / f"{language}.jsonl"
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    return tuple(
        CalibrationRow(row["question"], row["answer"], row["swapped"], _passage(row)) for row in rows
    )


def measure(scorer: PairScorer, language: Language, limit: int | None = None) -> JudgeRecord | None:
    """How well the verdicts of `scorer` tell kept from swapped answers, by the first `limit` rows.

    None where it gave too few replies that can be read to judge it by.
    """
    good, bad = measured_scores(scorer, language, limit)
    rows = len(calibration_rows(language)[:limit])
    if len(good) < _ANSWERED * rows:
        return None
    auc = area_under_roc(verdicts(scorer, good), verdicts(scorer, bad))
    return JudgeRecord(scorer.fingerprint, record_name(scorer, language), auc, len(good))


def measured_scores(
    scorer: PairScorer, language: Language, limit: int | None = None
) -> tuple[list[float], list[float]]:
    """The scores of kept and of swapped answers, of the rows where both could be taken."""
    rows = calibration_rows(language)[:limit]
    kept = [Pair(row.question, row.answer, (row.passage,)) for row in rows]
    swapped = [Pair(row.question, row.swapped, (row.passage,)) for row in rows]
    scores = scorer.scores([*kept, *swapped])
    both = zip(scores[: len(rows)], scores[len(rows) :], strict=True)
    taken = [(good, bad) for good, bad in both if good is not None and bad is not None]
    return [good for good, _ in taken], [bad for _, bad in taken]


def verdicts(scorer: PairScorer, scores: Sequence[float]) -> list[float]:
    """1.0 for each score that passes, 0.0 for each that does not."""
    return [float(score >= scorer.threshold) for score in scores]


def record_name(scorer: PairScorer, language: Language) -> str:
    """Under which check the record of a scorer is kept: one for each language."""
    return f"{scorer.check}-{scorer.score}-{language}"


def is_measured(model: str) -> bool:
    """Whether the package holds records of the model called so (an adapter behind a plus sign)."""
    return any(row["model"] == model for row in _records())


def _shipped(fingerprint: str, name: str) -> JudgeRecord | None:
    """What `tests/bench/reader.py --write` measured of an embedded model: no new library waits for it."""
    for row in _records():
        if (row["reader"], row["check"]) == (fingerprint, name):
            return JudgeRecord(row["reader"], row["check"], float(row["auc"]), int(row["n"]))
    return None


@lru_cache(maxsize=1)
def _records() -> list[dict[str, Any]]:
    source = files("finetune") / "checks" / "measured.json"
    records: list[dict[str, Any]] = json.loads(source.read_text("utf-8"))
    return records


def open_gate(
    library: Library,
    store: ExampleStore,
    scorer: PairScorer,
    languages: Sequence[Language],
    say: Callable[[str], None],
) -> Gate:
    """A gate for `scorer`, measured now in those `languages` of which the library holds no record.

    Where it could not be measured it may reject nothing, and is measured again by the next run.
    """
    trusted: set[Language] = set()
    for language in languages:
        name = record_name(scorer, language)
        record = store.judge(scorer.fingerprint, name) or _shipped(scorer.fingerprint, name)
        if record is None:
            say(
                f"{scorer.score} ({language}): measuring, once, how well the model tells right from wrong ..."
            )
            record = measure(scorer, language)
            if record is None:
                say(f"{scorer.score} ({language}): too few readable replies; its scores are advice only")
                continue
            with library.write() as writer:
                store.set_judge(writer, record)
        may = record.auc >= LOWEST_AUC
        if may:
            trusted.add(language)
        verdict = "it may reject" if may else "its scores are advice only"
        say(f"{scorer.score} ({language}): AUC {record.auc:.2f} on {record.n} human pairs; {verdict}")
    return Gate(scorer, frozenset(languages), frozenset(trusted))


def _passage(row: dict[str, str]) -> Passage:
    text = row["passage"]
    lines = 1 + text.count("\n")
    path = f"{row['title']}.md"
    return Passage(0, row["id"], row["id"], path, "md", 0, 0, len(text), 1, lines, None, None, text)
