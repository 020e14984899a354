"""What the checks are worth, and how fast examples come: `python tests/bench/generate.py [--part P]`.

Quality: candidates of the rule writer and of the embedded model as question writer over the shared English
articles, and human questions of the same articles. For each group: the share whose own passage is among the
first six (gold retrieval), the token F1 of the embedded model's answer from the gold passage (round trip),
and the share that its likelihood score lets pass. "off" is every candidate, "on" those that all checks keep;
each row "without X" keeps what only X rejects too. The retrieval check is one of the checks and one of the
measures, so its own row is no evidence for it.

Speed: accepted examples a minute and calls of the teacher for each, replies written 16 at a time and one by
one, in the same run, from a fresh copy of the same library.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reader_checks import candidate, read

from assistant.chat_models import load_chat_model
from assistant.chat_models.local import LocalChatModel
from assistant.teaching import LibraryReplies
from corpora.store import Library
from finetune.answer_first.writer import AnswerFirst
from finetune.candidates import Candidate
from finetune.chat_teacher import ChatTeacher, teacher_fingerprint, teacher_name
from finetune.checks import Checked, Checks
from finetune.checks.reading import Gate, Pair
from finetune.courses import PassageCourse
from finetune.generate import Generation
from finetune.reader import LikelihoodReader, Reader
from index.encoders import load_encoder
from index.ingest import IngestOptions, ingest
from index.retriever import Retriever
from index.sync_options import Hooks

HERE = Path(__file__).resolve()
SEED = 20261122


class Bench:
    """The shared English articles in a library of their own, with the embedded model as reader."""

    def __init__(self, shared: Path, work: Path) -> None:
        self.shared, self.folder = shared, work / ".assistant"
        self.encoder = load_encoder("all-minilm-l6-v2")
        options = IngestOptions(choose=lambda sample: self.encoder.name, load=lambda name: self.encoder)
        self.library = Library.create(self.folder)
        ingest(self.library, [shared / "articles-en"], options)
        model = load_chat_model("smollm2-135m")
        assert isinstance(model, LocalChatModel)
        self.model = model
        self.retriever = Retriever(self.library, self.encoder)
        self.teacher = self.teacher_of(self.library)
        room = model.context_tokens - 64
        self.reader = Reader(self.teacher, count_tokens=model.count_tokens, limit=room)
        self.likelihood = LikelihoodReader(model, count_tokens=model.count_tokens, limit=room)

    def teacher_of(self, library: Library, batch_size: int = 16) -> ChatTeacher:
        return ChatTeacher(
            self.model,
            name=teacher_name(self.model),
            fingerprint=teacher_fingerprint(self.model),
            cache=LibraryReplies(library),
            batch_size=batch_size,
        )

    def rules(self, n: int) -> list[Candidate]:
        passages = self.library.passages([rowid for rowid, _, _ in self.library.passage_keys()])
        made = [one for written in AnswerFirst().write(passages) for one in written[:3]]
        return random.Random(SEED).sample(made, min(n, len(made)))

    def human(self, n: int) -> list[Candidate]:
        docs = {row["doc_id"]: row for row in read(self.shared / "qa" / "squad2.docs.jsonl")}
        rows = read(self.shared / "qa" / "squad2.questions.jsonl")
        rows = [row for row in rows if row["answers"] and row["question"]]
        titles = {Path(document.path).stem: document.id for document in self.library.documents()}
        found: list[Candidate] = []
        for row in random.Random(SEED).sample(rows, len(rows)):
            doc = docs[row["doc_ids"][0]]
            known = titles.get(doc["title"].replace("/", "_").replace(" ", "_"))
            passages = self.library.passages_of(known) if known else []
            one = candidate(row, doc["text"], passages, "en")
            if one is not None:
                found.append(one)
            if len(found) == n:
                break
        return found

    def swapped(self, made: Sequence[Candidate]) -> list[Candidate]:
        """The same with the answer of another one about the same document: known to be wrong."""
        rng = random.Random(SEED)
        found = []
        for one in made:
            where = one.claimed[0].passage.document_id
            others = [o for o in made if o.claimed[0].passage.document_id == where and o.answer != one.answer]
            if others:
                found.append(replace(one, answer=rng.choice(others).answer))
        return found

    def examined(self, made: Sequence[Candidate]) -> list[Checked]:
        checks = Checks(
            self.retriever,
            self.encoder,
            hashes=lambda: {document.id: document.sha256 for document in self.library.documents()},
            splits=dict,
        )
        seen = checks.seen([])
        return [seen.admit(one, "train") for one in checks.examine(made)]

    def measured(self, made: Sequence[Candidate]) -> list[dict[str, Any]]:
        """The measures of every candidate, whatever the checks say, and what they say."""
        checked = self.examined(made)
        pairs = [Pair(c.question, c.answer or "", tuple(x.passage for x in c.claimed)) for c in made]
        f1, likely = self.reader.scores(pairs), self.likelihood.scores(pairs)
        rows = []
        for one, reading, likelihood in zip(checked, f1, likely, strict=True):
            wanted = {claimed.passage.id for claimed in one.candidate.claimed}
            hits = {hit.passage.id for hit in self.retriever.search(one.candidate.question, 6)}
            reason = one.reason
            if reason is None and (likelihood or 0.0) < LikelihoodReader.threshold:
                reason = "not_answered"
            scores = {"retrieved": wanted <= hits, "f1": reading or 0.0, "likely": likelihood or 0.0}
            rows.append({"reason": reason, **scores})
        return rows


def shown(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    measures = {
        "retrieved": [float(one["retrieved"]) for one in rows],
        "round_trip_f1": [one["f1"] for one in rows],
        "likelihood_passes": [float(one["likely"] >= LikelihoodReader.threshold) for one in rows],
    }
    means = {key: round(statistics.mean(values), 3) if values else None for key, values in measures.items()}
    print(f"{name:34}{len(rows):6}" + "".join(f"{mean!s:>12}" for mean in means.values()), flush=True)
    return {"group": name, "n": len(rows), **means}


def quality(bench: Bench, n: int) -> list[dict[str, Any]]:
    print(f"{'':34}{'n':>6}{'retrieved':>12}{'F1':>12}{'likely':>12}")
    table = []
    human = bench.human(n)
    groups = {"rules": bench.rules(n), "human": human, "human, answers swapped": bench.swapped(human)}
    for name, made in groups.items():
        rows = bench.measured(made)
        table.append(shown(f"{name}: checks off", rows))
        table.append(shown(f"{name}: checks on", [one for one in rows if one["reason"] is None]))
        for reason in sorted({one["reason"] for one in rows if one["reason"]}):
            kept = [one for one in rows if one["reason"] in (None, reason)]
            table.append(shown(f"{name}: without {reason}", kept))
    return table


def speed(bench: Bench, work: Path, limit: int) -> list[dict[str, Any]]:
    table = []
    for batch_size in (16, 1):
        folder = work / f"speed{batch_size}" / ".assistant"
        shutil.copytree(bench.folder, folder)
        with Library.open(folder, writable=True) as library:
            table.append(_timed(bench, library, batch_size, limit))
        print(json.dumps(table[-1]), flush=True)
    return table


def _timed(bench: Bench, library: Library, batch_size: int, limit: int) -> dict[str, Any]:
    teacher = bench.teacher_of(library, batch_size)
    room = bench.model.context_tokens - 64
    reader = Reader(teacher, count_tokens=bench.model.count_tokens, limit=room)
    gates = [
        Gate(bench.likelihood, frozenset({"en"}), frozenset({"en"})),
        Gate(reader, frozenset({"en"}), frozenset()),
    ]
    checks = Checks(
        Retriever(library, bench.encoder),
        bench.encoder,
        hashes=lambda: {document.id: document.sha256 for document in library.documents()},
        splits=dict,
        gates=gates,
    )
    course = PassageCourse(library, "bench", "self-qa", [AnswerFirst()], 3)
    began = time.perf_counter()
    report = Generation(library, [course], checks, limit, Hooks()).run({})
    seconds = time.perf_counter() - began
    return {
        "batch": batch_size,
        "accepted": report.accepted,
        "rejected": sum(report.rejected.values()),
        "accepted_a_minute": round(60 * report.accepted / seconds, 1),
        "calls_an_accepted": round(teacher.totals.calls / max(1, report.accepted), 2),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=HERE.parents[3] / "shared" / "data")
    parser.add_argument("--part", choices=("quality", "speed", "both"), default="both")
    parser.add_argument("-n", type=int, default=150, help="candidates of each group")
    parser.add_argument("--limit", type=int, default=60, help="accepted examples of a speed run")
    parser.add_argument("--json", type=Path, default=HERE.parent / "results" / "generate.json")
    given = parser.parse_args()
    known = json.loads(given.json.read_text("utf-8")) if given.json.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(given.shared, Path(work))
        if given.part != "speed":
            known["quality"] = quality(bench, given.n)
        if given.part != "quality":
            known["speed"] = speed(bench, Path(work), given.limit)
    given.json.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
