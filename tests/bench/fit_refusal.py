"""Fits the retrieval floor: `python tests/bench/fit_refusal.py en zh [--limit N]`.

Articles of several human question sets are dealt into libraries of two sizes; each question is asked of the
library that holds its article (the library answers) and of one that does not (it must refuse). Articles are
grouped by title over all sets, so that no article is in two libraries. A logistic regression over
`assistant.answer.floor.Features` is cross-validated over articles: what is reported was decided by weights
and a threshold that never saw the article. The threshold lets `ANSWERABLE_RECALL` of the answerable
questions pass. Writes `assistant/answer/floor.json` and `tests/bench/results/refusal-floor.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.answer.floor import FIELDS, features
from corpora.store import Library
from index.encoders import load_encoder
from index.ingest import IngestOptions, ingest
from index.retriever import Retriever

ANSWERABLE_RECALL = 0.98
FOLDS = 5
SETS = {
    "en": ("all-minilm-l6-v2", ("squad2", "xquad-en", "expmrc-squad", "clapnq")),
    "zh": ("multilingual-e5-small", ("cmrc", "drcd", "dureader-checklist", "xquad-zh")),
}
SIZES = (2, 16)  # libraries that the articles are dealt into
K = 6
HERE = Path(__file__).resolve()
RESULTS = HERE.parent / "results" / "refusal-floor.json"
FLOOR = HERE.parents[2] / "assistant" / "answer" / "floor.json"

Row = dict[str, Any]
Floats = NDArray[np.float64]


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def part(title: str, parts: int) -> int:
    return int(hashlib.sha256(title.encode()).hexdigest(), 16) % parts


def articles(folder: Path, names: Sequence[str]) -> tuple[dict[str, list[str]], list[Row]]:
    """Texts by article, and answerable questions with the article that answers each."""
    texts: dict[str, list[str]] = {}
    questions: list[Row] = []
    for name in names:
        docs = {row["doc_id"]: row for row in read(folder / f"{name}.docs.jsonl")}
        title_of = {key: row["title"] or key for key, row in docs.items()}
        for key, row in docs.items():
            known = texts.setdefault(title_of[key], [])
            if row["text"] not in known:
                known.append(row["text"])
        questions += [
            {"question": row["question"], "title": title_of[row["doc_ids"][0]], "set": name}
            for row in read(folder / f"{name}.questions.jsonl")
            if row["answerable"] and row["answers"] and row["question"].strip()
        ]
    return texts, questions


def observe(
    texts: dict[str, list[str]], questions: list[Row], encoder: Any, size: int, work: Path
) -> list[Row]:
    """Features of every question in its own library and in the next one."""
    retrievers = []
    for number in range(size):
        folder = work / f"{size}-{number}"
        (folder / "docs").mkdir(parents=True)
        for title, paragraphs in texts.items():
            if part(title, size) == number:
                name = hashlib.sha256(title.encode()).hexdigest()[:16]
                (folder / "docs" / f"{name}.md").write_text(
                    f"# {title}\n\n" + "\n\n".join(paragraphs), "utf-8"
                )
        library = Library.create(folder / ".assistant")
        options = IngestOptions(choose=lambda _sample: encoder.name, load=lambda _name: encoder)
        report = ingest(library, [folder / "docs"], options)
        if report.skipped or not report.passages:
            raise SystemExit(f"not everything was read: {report}")
        retrievers.append(Retriever(library, encoder))
    rows = []
    for question in questions:
        own = part(question["title"], size)
        for number, answerable in ((own, 1), ((own + 1) % size, 0)):
            found = retrievers[number].search(question["question"], k=K)
            seen = features(question["question"], found, retrievers[number])
            rows.append({**question, "size": size, "answerable": answerable, **dataclasses.asdict(seen)})
    return rows


def matrix(rows: Sequence[Row], fields: Sequence[str]) -> Floats:
    return np.array([[1.0, *(row[field] for field in fields)] for row in rows])


def fit(rows: Sequence[Row], fields: Sequence[str]) -> Floats:
    """Weights (bias first) of a logistic regression with a little ridge, by Newton's method."""
    x, y = matrix(rows, fields), np.array([row["answerable"] for row in rows], float)
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 0.1 * np.eye(x.shape[1])
        step = np.linalg.solve(hessian, x.T @ (y - p) - 0.1 * weights)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def scores(rows: Sequence[Row], fields: Sequence[str], weights: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-matrix(rows, fields) @ weights))
    return result


def threshold(rows: Sequence[Row], probability: Floats) -> float:
    positive = probability[np.array([row["answerable"] == 1 for row in rows])]
    return float(np.quantile(positive, 1 - ANSWERABLE_RECALL))


def judge(rows: Sequence[Row], refused: NDArray[np.bool_]) -> dict[str, float]:
    """Refusals both ways."""
    answerable = np.array([row["answerable"] == 1 for row in rows])
    return {
        "n": len(rows),
        "answered when answerable": round(float((~refused)[answerable].mean()), 4),
        "refused when not": round(float(refused[~answerable].mean()), 4),
        "refusal precision": round(float((~answerable)[refused].mean()), 4),
    }


def cross_validated(rows: list[Row], fields: Sequence[str]) -> tuple[NDArray[np.bool_], Floats]:
    refused, probability = np.zeros(len(rows), bool), np.zeros(len(rows))
    folds = np.array([part("fold " + row["title"], FOLDS) for row in rows])
    for fold in range(FOLDS):
        train = [row for row, at in zip(rows, folds, strict=True) if at != fold]
        held = np.flatnonzero(folds == fold)
        weights = fit(train, fields)
        probability[held] = scores([rows[i] for i in held], fields, weights)
        refused[held] = probability[held] < threshold(train, scores(train, fields, weights))
    return refused, probability


def auc(rows: Sequence[Row], probability: Floats) -> float:
    order = np.argsort(np.argsort(probability)) + 1.0
    y = np.array([row["answerable"] == 1 for row in rows])
    positives, negatives = int(y.sum()), int((~y).sum())
    return float((order[y].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def report(rows: list[Row], fields: Sequence[str]) -> dict[str, Any]:
    refused, probability = cross_validated(rows, fields)
    result: dict[str, Any] = {"all": judge(rows, refused) | {"auc": round(auc(rows, probability), 4)}}
    for key in ("set", "size"):
        for value in sorted({row[key] for row in rows}):
            chosen = np.array([row[key] == value for row in rows])
            result[f"{key} {value}"] = judge(
                [r for r, c in zip(rows, chosen, strict=True) if c], refused[chosen]
            )
    return result


def entry(rows: list[Row], fields: Sequence[str]) -> dict[str, Any]:
    weights = fit(rows, fields)
    return {
        "weights": dict(zip(fields, np.round(weights[1:], 4).tolist(), strict=True)),
        "bias": round(float(weights[0]), 4),
        "threshold": round(threshold(rows, scores(rows, fields, weights)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("languages", nargs="+", choices=sorted(SETS))
    parser.add_argument("--shared", type=Path, default=HERE.parents[3] / "shared" / "data")
    parser.add_argument("--limit", type=int, default=1200, help="questions a language and library size")
    parser.add_argument("--rows", type=Path, help="keep what was observed in this folder, and use it again")
    given = parser.parse_args()
    observed: dict[str, list[Row]] = {}
    for language in given.languages:
        name, sets = SETS[language]
        kept = given.rows / f"{language}.json" if given.rows else None
        if kept and kept.is_file():
            observed[language] = json.loads(kept.read_text("utf-8"))
            continue
        texts, questions = articles(given.shared / "qa", sets)
        random.Random(13).shuffle(questions)
        encoder = load_encoder(name)
        with tempfile.TemporaryDirectory() as work:
            observed[language] = [
                row
                for size in SIZES
                for row in observe(texts, questions[: given.limit], encoder, size, Path(work))
            ]
        if kept:
            kept.write_text(json.dumps(observed[language], ensure_ascii=False), "utf-8")
    without_cosine = [field for field in FIELDS if field != "cosine"]
    fitted = json.loads(FLOOR.read_text("utf-8"))
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    for language, rows in observed.items():
        fitted[SETS[language][0]] = entry(rows, FIELDS)
        results[language] = report(rows, FIELDS)
    everything = [row for rows in observed.values() for row in rows]
    fitted["any"] = entry(everything, without_cosine)
    results["any encoder"] = report(everything, without_cosine)
    FLOOR.write_text(json.dumps(fitted, indent=1) + "\n", "utf-8")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps({"floor": fitted, "results": results}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
