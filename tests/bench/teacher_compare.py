"""Who asks better, the rules or the question adapter? `teacher.py compare DATA ARTICLES --adapter FOLDER`.

On articles that the adapter was not trained on (`grounding_data.BARRED`):

    asked     the adapter, the plain base (shown examples) and the rules each ask for the answers that people
              asked for; their questions are compared with those of the people
    library   ARTICLES are ingested, and each writer makes its candidates from passages of the held-out ones:
              the rules, the adapter alone, and both in one `AnswerFirst`, through the checks of `generate`

and questions side by side, to be read. Results: `tests/bench/results/teacher.json`, where "read" is how
many of the accepted ones were found good in reading. The rules won, so no such adapter is shipped.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from grounding_data import HELD_OUT
from teacher_data import Human, held_out

from assistant.chat_models import load_chat_model
from assistant.chat_models.local import LocalChatModel
from assistant.reading_back import scorers
from assistant.teaching import LibraryReplies
from corpora.records import Passage
from corpora.store import Library
from finetune.answer_first.asked import Asked
from finetune.answer_first.english import made_clear, questions
from finetune.answer_first.question_writer import ModelQuestionWriter
from finetune.answer_first.sources import sources
from finetune.answer_first.writer import AnswerFirst, _candidate, _ranked, _worded
from finetune.candidates import Candidate
from finetune.chat_teacher import ChatTeacher, teacher_fingerprint, teacher_name
from finetune.checks import Checked, Checks
from finetune.checks.reading import Gate, Pair
from finetune.measures import f1
from finetune.rouge import rouge_l
from index.encoders import load_encoder
from index.ingest import IngestOptions, ingest
from index.retriever import Retriever

BASE, ENCODER = "smollm2-135m", "all-minilm-l6-v2"
PER_PASSAGE = 3  # as `generate` takes them by default
RESULTS = Path(__file__).resolve().parent / "results" / "teacher.json"
_SAME = 0.5  # token F1 from which on two answers are taken for the same


class Bench:
    """The articles in a library, and the models."""

    def __init__(self, articles: Path, adapter: str, work: Path) -> None:
        self.encoder = load_encoder(ENCODER)
        self.library = Library.create(work / ".assistant")
        options = IngestOptions(choose=lambda _: ENCODER, load=lambda _: self.encoder)
        ingest(self.library, [articles], options)
        self.plain = _model("none")
        self.adapter = self.writer(_model(adapter), examples=False)
        self.base = self.writer(self.plain, examples=True)

    def teacher(self, model: LocalChatModel) -> ChatTeacher:
        return ChatTeacher(
            model,
            name=teacher_name(model),
            fingerprint=teacher_fingerprint(model),
            cache=LibraryReplies(self.library),
        )

    def writer(self, model: LocalChatModel, *, examples: bool) -> ModelQuestionWriter:
        return ModelQuestionWriter(self.teacher(model), examples=examples)

    def passages(self, n: int, seed: int) -> list[Passage]:
        """`n` of the held-out articles."""
        found = [
            passage
            for document in self.library.documents()
            if Path(document.path).stem in HELD_OUT
            for passage in self.library.passages_of(document.id)
        ]
        return random.Random(seed).sample(found, min(n, len(found)))

    def checked(self, made: Sequence[Candidate]) -> list[Checked]:
        """Through the checks of `generate`; what the plain base finds likely decides with them."""
        found = scorers(self.plain, self.teacher(self.plain), None)
        likelihood = next(one for one in found if one.score == "likelihood")
        checks = Checks(
            Retriever(self.library, self.encoder),
            self.encoder,
            hashes=lambda: {document.id: document.sha256 for document in self.library.documents()},
            splits=dict,
            gates=[Gate(likelihood, frozenset({"en"}), frozenset({"en"}))],
        )
        seen = checks.seen([])
        return [seen.admit(one, "train") for one in checks.examine(made)]

    def round_trip(self, made: Sequence[Candidate]) -> list[float]:
        """Token F1 of what the grounding adapter answers from the passage."""
        model = _model("grounding")
        reader = next(one for one in scorers(model, self.teacher(model), None) if one.score == "round_trip")
        pairs = [Pair(one.question, one.answer or "", (one.claimed[0].passage,)) for one in made]
        return [score or 0.0 for score in reader.scores(pairs)]


def _model(adapter: str) -> LocalChatModel:
    model = load_chat_model(BASE, adapter=adapter)
    assert isinstance(model, LocalChatModel)
    return model


# -- the answers that people asked for -------------------------------------------------------------


def asked_alike(bench: Bench, humans: Sequence[Human], show: int) -> dict[str, Any]:
    """Each writer's question for the answer of each human question, and how like it they are."""
    chosen = [one.chosen for one in humans]
    said: dict[str, list[str | None]] = {
        "rules": [_by_rule(one) for one in humans],
        "base": [_clear(q, one) for q, one in zip(bench.base.questions(chosen), humans, strict=True)],
        "adapter": [_clear(q, one) for q, one in zip(bench.adapter.questions(chosen), humans, strict=True)],
    }
    by_both = [all(one) for one in zip(said["rules"], said["adapter"], strict=True)]
    table: dict[str, Any] = {"human_questions": len(humans), "asked_by_rules_and_adapter": sum(by_both)}
    for name, found in said.items():
        every = [(q, one.question) for q, one in zip(found, humans, strict=True) if q]
        both = [(q, one.question) for q, one, here in zip(found, humans, by_both, strict=True) if q and here]
        table[name] = {
            "asked": round(len(every) / max(len(humans), 1), 3),
            "f1": _mean(f1(q, gold) for q, gold in every),
            "rouge_l": _mean(rouge_l(q, gold) for q, gold in every),
            "f1_where_both_asked": _mean(f1(q, gold) for q, gold in both),
            "rouge_l_where_both_asked": _mean(rouge_l(q, gold) for q, gold in both),
        }
        print(f"asked, {name}: {json.dumps(table[name])}", flush=True)
    for place in random.Random(1).sample(range(len(humans)), min(show, len(humans))):
        print(f"\n{humans[place].chosen.answer!r}\n  human    {humans[place].question}")
        for name, found in said.items():
            print(f"  {name:8} {found[place] or '-'}")
    return table


def _clear(question: str | None, human: Human) -> str | None:
    """The question as `generate` would have it: clear alone, or none."""
    if question is None:
        return None
    source = next(one for one in sources(_passage(human)) if one.text == human.chosen.sentence)
    start = source.passage.text.find(human.chosen.answer, source.start)
    clear = made_clear(Asked(question, start, start + len(human.chosen.answer), "model", 1.0), source)
    return clear.question if clear else None


def _by_rule(human: Human) -> str | None:
    """The best question of the rules whose answer is about the human one."""
    found = [
        (f1(source.passage.text[one.start : one.end], human.chosen.answer), one.weight, one.question)
        for source in sources(_passage(human))
        if source.text == human.chosen.sentence
        for one in questions(source)
    ]
    best = max(found, default=(0.0, 0.0, ""))
    return best[2] if best[0] >= _SAME else None


def _passage(human: Human) -> Passage:
    text = human.chosen.passage
    return Passage(1, "x", "x", "x.md", "md", 0, 0, len(text), 1, 1, None, human.chosen.title, text)


# -- passages of a library -------------------------------------------------------------------------


def library_table(bench: Bench, passages: Sequence[Passage], show: int) -> dict[str, Any]:
    """Candidates of each writer, and what the checks make of them."""
    ways: dict[str, Callable[[], list[list[Candidate]]]] = {
        "rules": lambda: AnswerFirst().write(passages),
        "adapter": lambda: [_alone(one, bench.adapter) for one in passages],
        "both": lambda: AnswerFirst(bench.adapter).write(passages),
    }
    table: dict[str, Any] = {"passages": len(passages)}
    for name, way in ways.items():
        began = time.perf_counter()
        written = [of_passage[:PER_PASSAGE] for of_passage in way()]
        seconds = time.perf_counter() - began
        made = [one for of_passage in written for one in of_passage]
        checked = bench.checked(made)
        kept = [one.candidate for one in checked if one.accepted]
        back = bench.round_trip(kept)
        reasons = Counter(one.reason for one in checked if one.reason)
        table[name] = {
            "candidates": len(made),
            "accepted": len(kept),
            "accepted_rate": round(len(kept) / max(len(made), 1), 3),
            "accepted_a_passage": round(len(kept) / max(len(passages), 1), 2),
            "passages_without": sum(not of_passage for of_passage in written),
            "round_trip_f1_of_accepted": _mean(back),
            "rejected": dict(reasons.most_common()),
            "seconds_to_write": round(seconds, 1),
        }
        print(f"library, {name}: {json.dumps(table[name])}", flush=True)
        for one in random.Random(1).sample(kept, min(show, len(kept))):
            print(f"  {one.question}  [{one.answer}]  ({one.teacher})")
    return table


def _alone(passage: Passage, writer: ModelQuestionWriter) -> list[Candidate]:
    return [_candidate(one, order) for one, order in _ranked(_worded(passage, (), writer))]


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(statistics.mean(found), 3) if found else None


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="teacher.py compare", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("articles", type=Path)
    parser.add_argument("--adapter", required=True, help="folder of the adapter")
    parser.add_argument("-n", type=int, default=40, help="passages of the library")
    parser.add_argument("--humans", type=int, default=150, help="their questions")
    parser.add_argument("--show", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("asked", "library", "both"), default="both")
    given = parser.parse_args(arguments)
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    humans = held_out(given.data)
    humans = random.Random(given.seed).sample(humans, min(given.humans, len(humans)))
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(given.articles, given.adapter, Path(work))
        if given.part != "library":
            results["asked"] = asked_alike(bench, humans, given.show)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        if given.part != "asked":
            results["library"] = library_table(bench, bench.passages(given.n, given.seed), given.show)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        bench.library.close()


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
