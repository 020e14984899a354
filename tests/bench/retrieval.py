"""Dense, lexical, hybrid and plain rank fusion side by side, and the weight that the fusion gives to words.

    python tests/bench/retrieval.py [--data ../shared/data] [--cache DIR] [--sets cranfield ...]

Passages are made by the project's own chunking (the title as heading) and ranked by its own two indexes and
fusion; a document's score is that of its best passage. The weight of the lexical side is chosen for each set
on the other sets of its encoder: of the weights whose mean nDCG@10 is within one standard error of the best,
the one nearest to 1. The power of the coverage was chosen once, on the English sets and on xquad-en,
expmrc-squad, hotpot, policyqa, mtrag-un and pubmedqa; the Chinese sets had no part in it. Writes
results/retrieval.json. Vectors are kept in --cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpora.chunking import split
from corpora.records import Extracted, Mark, indexed_text
from index.dense import DenseIndex, Segment
from index.encoders import load_encoder
from index.encoders.embedded import EmbeddedEncoder
from index.fusion import COVERAGE_POWER, LEXICAL_WEIGHT, dense_score, known_floor, lexical_score
from index.lexical import LexicalIndex
from index.metrics import ndcg, recall, reciprocal_rank
from index.retriever import DEPTH

SETS = {
    "all-minilm-l6-v2": ["cranfield", "cisi", "vaswani", "clapnq", "covid-qa", "squad2-retrieval"],
    "multilingual-e5-small": ["dureader-checklist", "cmrc", "drcd", "xquad-zh", "cail-rc", "expmrc-cmrc"],
}
WEIGHTS = [round(0.1 * step, 1) for step in range(2, 26)]
RRF_K = 60


@dataclass(frozen=True)
class Candidates:
    """What both sides found for one question: passages by rowid, with both scores in [0, 1]."""

    owners: list[str]
    dense: NDArray[np.float64]
    lexical: NDArray[np.float64]
    relevant: frozenset[str]

    def ranking(self, scores: NDArray[np.float64]) -> list[str]:
        """Documents, best first, by their best passage; those without a score are left out."""
        order = np.argsort(-scores, kind="stable")
        return list(dict.fromkeys(self.owners[at] for at in order if scores[at] > -np.inf))

    def fused(self, weight: float) -> list[str]:
        return self.ranking((self.dense + weight * self.lexical**COVERAGE_POWER) / (1 + weight))

    def by_rank(self) -> list[str]:
        """Plain reciprocal rank fusion (Cormack et al., 2009) of the two sides' lists of passages."""
        dense_rank = np.argsort(np.argsort(-self.dense, kind="stable"), kind="stable") + 1
        lexical_rank = np.argsort(np.argsort(-self.lexical, kind="stable"), kind="stable") + 1
        scores = np.where(dense_rank <= DEPTH, 1 / (RRF_K + dense_rank), 0)
        return self.ranking(scores + np.where(self.lexical > 0, 1 / (RRF_K + lexical_rank), 0))

    def lexical_only(self) -> list[str]:
        return self.ranking(np.where(self.lexical > 0, self.lexical, -np.inf))


def read_set(
    data: Path, name: str, encoder: EmbeddedEncoder
) -> tuple[list[str], list[str], list[str], list[frozenset[str]]]:
    """Indexed texts of the passages, their documents, the questions, their gold documents."""
    texts, owners = [], []
    for line in (data / "qa" / f"{name}.docs.jsonl").read_text("utf-8").split("\n")[:-1]:
        row = json.loads(line)
        heading = row["title"] or None
        extracted = Extracted(row["text"], "txt", marks=(Mark(0, None, heading),))
        for piece in split(extracted, count_tokens=encoder.count_tokens, max_tokens=encoder.max_tokens):
            texts.append(indexed_text(piece.heading, row["text"][piece.start : piece.end]))
            owners.append(row["doc_id"])
    asked = (data / "qa" / f"{name}.questions.jsonl").read_text("utf-8").split("\n")[:-1]
    rows = [row for row in map(json.loads, asked) if row["doc_ids"]]
    return texts, owners, [row["question"] for row in rows], [frozenset(row["doc_ids"]) for row in rows]


def embedded(cache: Path, encoder: EmbeddedEncoder, texts: list[str], *, query: bool) -> NDArray[np.float32]:
    """The vectors of texts, computed once."""
    key = hashlib.sha256("\0".join([encoder.fingerprint, str(query), *texts]).encode()).hexdigest()[:24]
    path = cache / f"{key}.npy"
    if path.is_file():
        found: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return found
    vectors = encoder.encode_queries(texts) if query else encoder.encode_passages(texts)
    np.save(path, vectors, allow_pickle=False)
    return vectors


def candidates(data: Path, cache: Path, name: str, encoder: EmbeddedEncoder) -> list[Candidates]:
    """Both sides' best passages for each question of a set, exactly as the retriever takes them."""
    texts, owners, questions, relevant = read_set(data, name, encoder)
    passages = embedded(cache, encoder, texts, query=False)
    queries = embedded(cache, encoder, questions, query=True)
    rowids = np.arange(len(texts), dtype=np.int64)
    dense = DenseIndex([Segment.build(rowids, passages)], np.empty(0, np.int64))
    lexical = LexicalIndex(None, create=True)
    lexical.change(enumerate(texts))
    floor = known_floor(encoder.name) or 0.0
    found = []
    for question, vector, gold in zip(questions, queries, relevant, strict=True):
        near, _ = dense.search(vector, DEPTH)
        hits = lexical.search(question, DEPTH)
        union = np.union1d(near[:DEPTH], hits.rowids)
        bm25 = np.zeros(len(union))
        bm25[np.searchsorted(union, hits.rowids)] = hits.scores
        cosines = (passages[union] @ vector).astype(np.float64)
        coverage = lexical_score(bm25, hits.ceiling)
        found.append(Candidates([owners[at] for at in union], dense_score(cosines, floor), coverage, gold))
    return found


def measures(rankings: list[list[str]], questions: list[Candidates]) -> dict[str, float]:
    pairs = [(ranking, question.relevant) for ranking, question in zip(rankings, questions, strict=True)]
    return {
        "ndcg@10": round(float(np.mean([ndcg(ranking, gold, 10) for ranking, gold in pairs])), 4),
        "recall@5": round(float(np.mean([recall(ranking, gold, 5) for ranking, gold in pairs])), 4),
        "recall@10": round(float(np.mean([recall(ranking, gold, 10) for ranking, gold in pairs])), 4),
        "mrr": round(float(np.mean([reciprocal_rank(ranking, gold) for ranking, gold in pairs])), 4),
    }


def by_weight(questions: list[Candidates]) -> NDArray[np.float64]:
    """nDCG@10 of each question (rows) at each of `WEIGHTS`."""
    return np.array([[ndcg(q.fused(weight), q.relevant, 10) for weight in WEIGHTS] for q in questions])


def chosen_weight(sets: list[NDArray[np.float64]]) -> float:
    """The weight nearest to 1 whose mean over sets is within a standard error of the best weight's."""
    means = np.mean([scores.mean(axis=0) for scores in sets], axis=0)
    best = int(means.argmax())
    # Of the mean over sets of the differences to the best weight, question by question.
    allowed = []
    for at, weight in enumerate(WEIGHTS):
        errors = [(scores[:, at] - scores[:, best]).std() / np.sqrt(len(scores)) for scores in sets]
        if means[best] - means[at] <= np.sqrt(np.sum(np.square(errors))) / len(sets):
            allowed.append(weight)
    return min(allowed, key=lambda weight: abs(weight - 1.0))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    repository = Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=Path, default=repository.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "assistant-bench")
    parser.add_argument("--sets", nargs="*", default=[name for names in SETS.values() for name in names])
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, object]] = {}
    print(
        f"{'nDCG@10':20} {'dense':>7} {'lexical':>7} {'RRF':>7} {'hybrid':>7} {'held-out':>8} {'weight':>6}"
    )
    for encoder_name, names in SETS.items():
        used = [name for name in names if name in arguments.sets]
        encoder = load_encoder(encoder_name)
        assert isinstance(encoder, EmbeddedEncoder)
        found, curves = {}, {}
        for name in used:
            begun = time.perf_counter()
            found[name] = candidates(arguments.data, arguments.cache, name, encoder)
            curves[name] = by_weight(found[name])
            print(f"  {name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        for name in used:
            others = [curves[other] for other in used if other != name]
            weight = chosen_weight(others) if others else LEXICAL_WEIGHT
            results[name] = {
                "encoder": encoder_name,
                "questions": len(found[name]),
                "dense": measures([q.ranking(q.dense) for q in found[name]], found[name]),
                "lexical": measures([q.lexical_only() for q in found[name]], found[name]),
                "rrf": measures([q.by_rank() for q in found[name]], found[name]),
                "hybrid": measures([q.fused(LEXICAL_WEIGHT) for q in found[name]], found[name]),
                "hybrid_held_out": measures([q.fused(weight) for q in found[name]], found[name]),
                "held_out_weight": weight,
                "ndcg@10_by_weight": dict(
                    zip(map(str, WEIGHTS), curves[name].mean(axis=0).round(4).tolist(), strict=True)
                ),
            }
            show(name, results[name])
    summary = summarised(results)
    report = {
        "depth": DEPTH,
        "lexical_weight": LEXICAL_WEIGHT,
        "coverage_power": COVERAGE_POWER,
        "summary": summary,
        "sets": results,
    }
    target = Path(__file__).parent / "results" / "retrieval.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps(summary))
    return 0


def show(name: str, result: dict[str, object]) -> None:
    columns = [result[side]["ndcg@10"] for side in ("dense", "lexical", "rrf", "hybrid", "hybrid_held_out")]  # type: ignore[index]
    print(
        f"{name:20}" + "".join(f" {value:7.4f}" for value in columns) + f"  {result['held_out_weight']:6}",
        flush=True,
    )


def summarised(results: dict[str, dict[str, object]]) -> dict[str, float]:
    """Means over sets, and how far hybrid falls below the better side where it does worst."""

    def value(name: str, side: str) -> float:
        return float(results[name][side]["ndcg@10"])  # type: ignore[index]

    sides = ("dense", "lexical", "rrf", "hybrid", "hybrid_held_out")
    summary = {
        f"mean_{side}": round(float(np.mean([value(name, side) for name in results])), 4) for side in sides
    }
    for side in ("rrf", "hybrid", "hybrid_held_out"):
        margins = [value(name, side) - max(value(name, "dense"), value(name, "lexical")) for name in results]
        summary[f"worst_margin_{side}"] = round(min(margins), 4)
    return summary


if __name__ == "__main__":
    sys.exit(main())
