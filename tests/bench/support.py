"""Measures the support check of citations: `python tests/bench/support.py [--shared FOLDER]`.

Positive: a human answer sentence and the passage that it was written from (clapnq, answers of full
sentences; expmrc-squad and expmrc-cmrc, short answers). Negative: the same claim against the most similar
other passage, and the claim made wrong: another number, a name of another passage, a negation.
Reports how many of each are accepted, and for positives how often the span meets the human evidence.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from pathlib import Path
from typing import Any

from assistant.answer import support
from index.evidence.sentences import sentences
from index.evidence.words import question_words, words

SETS = ("clapnq", "expmrc-squad", "expmrc-cmrc")


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


def claims(row: dict[str, Any]) -> list[str]:
    answer = row["answers"][0]
    return [answer[s.start : s.end] for s in sentences(answer)]


def made_wrong(claim: str, others: list[str], rng: random.Random) -> dict[str, str]:
    """Wrong versions of a claim, by kind; a kind that does not apply is left out."""
    wrong = {}
    if re.search(r"\d", claim):
        wrong["number"] = re.sub(r"\d(?=\D*$)", lambda m: str((int(m[0]) + 3) % 10), claim, count=1)
    names = re.findall(r"(?<=[a-z,] )[A-Z][a-z]{3,}", claim)
    if names and others:
        wrong["name"] = claim.replace(rng.choice(names), rng.choice(others))
    verb = re.search(r"\b(is|was|are|were|has|had|can|will)\b", claim)
    if verb:
        wrong["negation"] = claim[: verb.end()] + " not" + claim[verb.end() :]
    return wrong


def measure(folder: Path, name: str) -> dict[str, Any]:
    rng = random.Random(11)
    docs = {row["doc_id"]: row for row in rows(folder, f"{name}.docs.jsonl")}
    questions = [row for row in rows(folder, f"{name}.questions.jsonl") if row["answers"]]
    contents = {doc_id: words(doc["text"]).terms for doc_id, doc in docs.items()}
    seen: dict[str, list[int]] = {}
    meets: list[bool] = []

    def check(kind: str, claim: str, question: str, doc_id: str) -> support.Evidence | None:
        found = support.find_evidence(
            support.read_claim(claim, question), docs[doc_id]["text"], docs[doc_id]["title"]
        )
        seen.setdefault(kind, []).append(found is not None)
        return found

    for row in questions:
        gold, question = row["doc_ids"][0], row["question"]
        text = docs[gold]["text"]
        asked = question_words(question).terms
        distractor = max((d for d in docs if d != gold), key=lambda d: len(contents[d] & asked))
        others = re.findall(r"(?<=[a-z,] )[A-Z][a-z]{3,}", docs[distractor]["text"])
        for claim in claims(row):
            found = check("gold passage", claim, question, gold)
            if found is not None:
                quote = text[found.span.start : found.span.end]
                meets.append(any(e in quote or quote in e for e in row["evidence"]))
            check("other passage", claim, question, distractor)
            for kind, wrong in made_wrong(claim, others, rng).items():
                check(f"wrong {kind}", wrong, question, gold)
    return {
        kind: {"n": len(values), "accepted": round(sum(values) / len(values), 3)}
        for kind, values in seen.items()
    } | {"span meets human evidence": round(sum(meets) / max(len(meets), 1), 3)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    folder = parser.parse_args().shared / "qa"
    for name in SETS:
        print(name, json.dumps(measure(folder, name), ensure_ascii=False))


if __name__ == "__main__":
    main()
