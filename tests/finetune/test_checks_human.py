"""Human questions are good ones: hardly any may fall to a check. Measured rates are half of the limits."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora.prompt import Language
from corpora.records import Passage
from finetune.candidates import Candidate, Claimed
from finetune.checks.locating import locate
from finetune.checks.privacy import check_privacy
from finetune.checks.reading import calibration_rows
from finetune.checks.records import Fault
from finetune.checks.seen import ROUGE_L, _read, two_questions
from finetune.checks.support import check_support
from finetune.checks.wording import check_demonstrative, check_form, check_giveaway, check_length
from finetune.rouge import rouge_l
from index.evidence.sentences import sentences

SETS: list[tuple[str, Language]] = [("squad2", "en"), ("xquad-en", "en"), ("cmrc", "zh"), ("xquad-zh", "zh")]
Check = Callable[[Candidate], Fault | None]


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "qa" / name).read_text("utf-8").splitlines()]


def human(folder: Path, name: str, language: Language) -> list[Candidate]:
    """Answerable questions; the quote is the sentence that holds the answer."""
    docs = {row["doc_id"]: row["text"] for row in rows(folder, f"{name}.docs.jsonl")}
    made = []
    for row in rows(folder, f"{name}.questions.jsonl"):
        if not row["answers"] or not row["question"]:
            continue
        text, answer = docs[row["doc_ids"][0]], row["answers"][0]
        at = text.find(answer)
        held = [
            span for span in sentences(text) if at >= 0 and span.start <= at and at + len(answer) <= span.end
        ]
        passage = Passage(1, "p", row["doc_ids"][0], "a.md", "md", 0, 0, len(text), 1, 1, None, None, text)
        claimed = tuple(Claimed(passage, text[span.start : span.end]) for span in held[:1])
        made.append(Candidate("self-qa", "span", language, row["question"], answer, claimed, "t", "1"))
    return made


def grounded(candidate: Candidate) -> Fault | None:
    if not candidate.claimed:
        return None
    quote = locate(candidate.claimed[0], {candidate.claimed[0].passage.document_id: "s"})
    return check_support(candidate, [quote]) if quote else Fault("quote_not_found")


@pytest.mark.parametrize(("name", "language"), SETS)
def test_few_human_questions_are_rejected(shared_data: Path, name: str, language: Language) -> None:
    candidates = human(shared_data, name, language)
    limits: list[tuple[Check, float]] = [
        (check_length, 0.01),
        (check_form, 0.01),
        (check_demonstrative, 0.03),  # those that fall do point at what they do not name
        (check_giveaway, 0.01),
        (grounded, 0.01),
        (check_privacy, 0.001),
    ]
    for check, limit in limits:
        rejected = [one.question for one in candidates if check(one) is not None]
        assert len(rejected) <= limit * len(candidates), (check, len(rejected), rejected[:5])


@pytest.mark.parametrize(("name", "language"), SETS)
def test_different_questions_about_one_passage_survive(
    shared_data: Path, name: str, language: Language
) -> None:
    by_passage = defaultdict(list)
    for one in human(shared_data, name, language):
        if one.claimed:
            by_passage[one.claimed[0].passage.document_id].append(_read(one.question, one.answer, "train"))
    pairs = [pair for asked in by_passage.values() for pair in itertools.combinations(asked, 2)]
    pairs = [(a, b) for a, b in pairs if a.answer != b.answer]
    fallen = [
        (a.text, b.text) for a, b in pairs if rouge_l(a.text, b.text) >= ROUGE_L and not two_questions(a, b)
    ]
    assert len(fallen) <= 0.006 * len(pairs), fallen[:5]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_calibration_pairs_are_of_other_articles_and_swapped_answers_are_wrong(
    shared_data: Path, language: Language
) -> None:
    taught = {path.stem for path in (shared_data / "articles-en").iterdir()}
    found = calibration_rows(language)
    assert len(found) >= 60
    for row in found:
        assert row.passage.path.removesuffix(".md") not in taught
        assert row.answer in row.passage.text and row.swapped in row.passage.text
        assert row.answer != row.swapped and row.swapped not in row.question
