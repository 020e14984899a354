"""Answers on the shared SQuAD slice: `python tests/bench/answers.py [--limit N] [--mode ...]`.

A library is built from the eight articles of squad2. Asked are answerable questions of these articles,
questions that their paragraph does not answer, and questions of articles that are not indexed (xquad-en
and expmrc-squad, by title).

    open   retrieval over the library; answerable and not-indexed questions
    gold   the question's own paragraph is all there is; answerable and unanswerable questions

Modes: extractive; generated, where the model reads the one best sentence, as `ask` lets the untuned
embedded model; generated-from-passages, where it reads all k, as any other model does.

EM and F1 are SQuAD's (Rajpurkar et al. 2018; the official normalisation), markers and quotation marks
removed; a refused answerable question scores 0. Refusal precision and recall are given for each kind of
question that should be refused. A citation is right when its quote holds one of the gold answers ("holds
answer"), and near when its quote is from the gold paragraph. Results: `tests/bench/results/answers.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import string
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.answer.build import MAX_NEW_TOKENS
from assistant.answer.engine import AnswerEngine
from assistant.answer.floor import Floor
from assistant.chat_models import load_chat_model
from corpora.records import Answer, Passage, ScoredPassage
from corpora.store import Library
from index.encoders import load_encoder
from index.ingest import IngestOptions, ingest
from index.retriever import Retriever

HERE = Path(__file__).resolve()
RESULTS = HERE.parent / "results" / "answers.json"
MODES = ("extractive", "generated", "generated-from-passages")
ENCODER = "all-minilm-l6-v2"
Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def normalised(text: str) -> list[str]:
    low = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", low).split()


def f1(given: str, gold: str) -> float:
    ours, theirs = normalised(given), normalised(gold)
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def bare(answer: str) -> str:
    return re.sub(r"\s*\[\d+\]|[“”]", "", answer).strip()


class GoldPassage:
    """A retriever that finds the one paragraph it was given."""

    def __init__(self) -> None:
        self.paragraph: Row = {}

    def search(self, query: str, **_: Any) -> list[ScoredPassage]:
        text = self.paragraph["text"]
        passage = Passage(
            1, "gold", self.paragraph["doc_id"], self.paragraph["title"] + ".md", "md", 0, 0, len(text), 1, 1,
            None, None, text,
        )  # fmt: skip
        return [ScoredPassage(1, 1.0, passage, 1.0, 1.0)]


class Model:
    """A loaded chat model as the engine takes it."""

    adapter = None
    english_only = False
    examples = True

    def __init__(self, name: str, *, reads_one_sentence: bool) -> None:
        self.name = name
        self.reads_one_sentence = reads_one_sentence
        self.chat = load_chat_model(name, max_new_tokens=MAX_NEW_TOKENS)


def judge(answered: Sequence[tuple[Row, Answer]], docs: dict[str, Row]) -> dict[str, float]:
    """Scores over answerable questions."""
    exact, overlap, holds = [], [], []
    right, near, cited = 0, 0, 0
    for row, answer in answered:
        text = "" if answer.refused else bare(answer.answer or "")
        exact.append(any(normalised(text) == normalised(gold) for gold in row["answers"]))
        overlap.append(max(f1(text, gold) for gold in row["answers"]))
        holds.append(any(" ".join(normalised(gold)) in " ".join(normalised(text)) for gold in row["answers"]))
        gold_text = "".join(docs[row["doc_ids"][0]]["text"].split())
        for citation in answer.citations:
            quote = " ".join(normalised(citation.quote))
            cited += 1
            right += any(" ".join(normalised(gold)) in quote for gold in row["answers"])
            near += "".join(citation.quote.split()) in gold_text
    answers = [answer for _, answer in answered]
    given = [answer for answer in answers if not answer.refused]
    return {
        "n": len(answered),
        "em": mean(exact),
        "f1": mean(overlap),
        "contains answer": mean(holds),
        "refused": mean([answer.refused for answer in answers]),
        "unsupported, of those given": mean([answer.unsupported for answer in given]),
        "citations": cited,
        "citation holds answer": round(right / max(cited, 1), 3),
        "citation in gold paragraph": round(near / max(cited, 1), 3),
        "dropped markers": sum(answer.dropped_citations for answer in answers),
    }


def refusals(answerable: Sequence[Answer], other: Sequence[Answer]) -> dict[str, float]:
    """Precision and recall of refusing, `other` being what should be refused."""
    hit, wrong = sum(a.refused for a in other), sum(a.refused for a in answerable)
    return {
        "n": len(other),
        "recall": round(hit / max(len(other), 1), 3),
        "precision": round(hit / max(hit + wrong, 1), 3),
        "flagged unsupported when not refused": mean([a.unsupported for a in other if not a.refused]),
    }


def only(answered: Sequence[tuple[Row, Answer]]) -> list[Answer]:
    return [answer for _, answer in answered]


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(len(values), 1), 3)


def questions(folder: Path, limit: int) -> tuple[list[Row], list[Row], list[Row], dict[str, Row]]:
    """Answerable, unanswerable and not-indexed questions, and the paragraphs of the first two."""
    docs = {row["doc_id"]: row for row in read(folder / "squad2.docs.jsonl")}
    titles = {row["title"] for row in docs.values()}
    rows = read(folder / "squad2.questions.jsonl")
    other: list[Row] = []
    for name in ("xquad-en", "expmrc-squad"):
        title_of = {row["doc_id"]: row["title"] for row in read(folder / f"{name}.docs.jsonl")}
        other += [
            r for r in read(folder / f"{name}.questions.jsonl") if title_of[r["doc_ids"][0]] not in titles
        ]
    rng = random.Random(29)
    picked = []
    for group in ([r for r in rows if r["answerable"]], [r for r in rows if r["answerable"] is False], other):
        rng.shuffle(group)
        picked.append(group[:limit])
    return picked[0], picked[1][: limit // 2], picked[2][: limit // 2], docs


def run(mode: str, model: Model | None, retriever: Retriever, folder: Path, given: argparse.Namespace) -> Row:
    answerable, unanswerable, not_indexed, docs = questions(folder / "qa", given.limit)
    floor = Floor.for_encoder(ENCODER, retriever)
    gold = GoldPassage()
    engines = {
        "open": AnswerEngine(retriever, model=model, floor=floor, k=given.k),
        "gold": AnswerEngine(gold, model=model, floor=None, k=1),
    }

    def ask(setting: str, rows: Sequence[Row]) -> list[tuple[Row, Answer]]:
        answered = []
        for row in rows:
            gold.paragraph = docs.get(row["doc_ids"][0], {})
            answered.append((row, engines[setting].answer(row["question"], extractive=mode == "extractive")))
        return answered

    begun = time.perf_counter()
    opened, outside = ask("open", answerable), ask("open", not_indexed)
    near, denied = ask("gold", answerable), ask("gold", unanswerable)
    seconds = time.perf_counter() - begun
    return {
        "open": judge(opened, docs),
        "open, refusal of not indexed": refusals(only(opened), only(outside)),
        "gold": judge(near, docs),
        "gold, refusal of unanswerable": refusals(only(near), only(denied)),
        "seconds a question": round(seconds / max(len(opened + outside + near + denied), 1), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=HERE.parents[3] / "shared" / "data")
    parser.add_argument(
        "--limit", type=int, default=100, help="answerable questions; half as many of the others"
    )
    parser.add_argument("--mode", nargs="+", choices=MODES, default=MODES[:2])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("-k", type=int, default=6)
    given = parser.parse_args()
    encoder = load_encoder(ENCODER)
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory() as work, Library.create(Path(work) / ".assistant") as library:
        options = IngestOptions(choose=lambda _sample: ENCODER, load=lambda _name: encoder)
        ingest(library, [given.shared / "articles-en"], options)
        retriever = Retriever(library, encoder)
        for mode in given.mode:
            model = (
                Model(given.model, reads_one_sentence=mode == "generated") if mode != "extractive" else None
            )
            label = mode if model is None else f"{mode} {given.model} k={given.k}"
            results[label] = run(mode, model, retriever, given.shared, given)
            print(json.dumps({label: results[label]}, indent=1), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
