"""How well adapters answer about articles that they never saw: `grounded.py DATA ARTICLES --adapter FOLDER…`.

DATA holds the question sets, ARTICLES the documents to index (the SQuAD articles put back together). Each
adapter is compared with the plain base as `ask` uses it, on the articles that `grounding_data` holds out:

    gold   the question's own paragraph is all there is; answerable and unanswerable questions
    open   four passages of the live retriever over all articles; answerable questions, and questions about
           articles that are not indexed

Measures and 95 % intervals are those of `assistant eval`. With several adapters (seeds) their means are
printed too. With `--write` each adapter's card gets its figures. All results go into
`tests/bench/results/grounded.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from grounding_data import HELD_OUT, OFF_INDEX, read
from langchain_core.language_models import BaseChatModel

import corpora
from assistant.answer.build import EMBEDDED_PASSAGES, MAX_NEW_TOKENS
from assistant.answer.engine import AnswerEngine, PassageSource
from assistant.answer.floor import Floor
from assistant.chat_models import load_chat_model
from corpora.records import Passage, ScoredPassage
from corpora.store import Library
from finetune.card import Card, GateVerdict
from finetune.evaluation.questions import EvalQuestion
from finetune.evaluation.scores import Score, score
from finetune.evaluation.summary import Summary, summarise
from index.encoder import Encoder
from index.encoders import load_encoder
from index.ingest import IngestOptions, ingest
from index.retriever import Retriever

BASE = "smollm2-135m"
ENCODER = "all-minilm-l6-v2"
HANDBOOK = Path(corpora.__file__).parent / "handbook"
HANDBOOK_QUESTIONS = Path(__file__).with_name("handbook_questions.jsonl")
RESULTS = Path(__file__).resolve().parent / "results" / "grounded.json"
_SHOWN = (
    "f1",
    "answerable_f1",
    "answerable_em",
    "refusal_recall",
    "refusal_precision",
    "over_refusal",
    "cited",
    "citation_precision",
    "recall@k",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its gold paragraph."""

    question: EvalQuestion
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model for the engine."""

    name: str
    adapter: str | None
    chat: BaseChatModel
    english_only: bool = True

    @property
    def reads_one_sentence(self) -> bool:
        return self.adapter is None

    @property
    def examples(self) -> bool:
        return self.adapter is None


class GoldPassage:
    """A retriever that finds the one paragraph it was given."""

    def __init__(self) -> None:
        self.asked: Asked | None = None

    def search(self, query: str, **_: Any) -> list[ScoredPassage]:
        """That paragraph, whatever is asked."""
        assert self.asked is not None
        path, text = f"{self.asked.title}.md", self.asked.text
        heading = self.asked.title.replace("_", " ")
        return [
            ScoredPassage(
                1, 1.0, Passage(1, "gold", "gold", path, "md", 0, 0, len(text), 1, 1, None, heading, text)
            )
        ]


def held_out(folder: Path, count: int, seed: int) -> list[Asked]:
    """`count` answerable and as many unanswerable questions about the held-out articles."""
    texts = {row["doc_id"]: row for row in read(folder, "squad2", "docs")}
    asked = [
        Asked(EvalQuestion(row["id"], row["question"], tuple(row["answers"])), text["title"], text["text"])
        for row in read(folder, "squad2", "questions")
        for text in [texts[row["doc_ids"][0]]]
        if text["title"] in HELD_OUT
    ]
    random.Random(seed).shuffle(asked)
    with_answer = [one for one in asked if not one.question.must_refuse][:count]
    return with_answer + [one for one in asked if one.question.must_refuse][:count]


def off_index(folder: Path, count: int, seed: int) -> list[Asked]:
    """`count` questions about articles that are not indexed."""
    texts = {row["doc_id"]: row for row in read(folder, "squad2-retrieval", "docs")}
    asked = [
        Asked(EvalQuestion(row["id"], row["question"], ()), "", "")
        for row in read(folder, "squad2-retrieval", "questions")
        if texts[row["doc_ids"][0]]["title"] in OFF_INDEX
    ]
    random.Random(seed).shuffle(asked)
    return asked[:count]


def of_handbook() -> list[Asked]:
    """The questions about the handbook."""
    rows = [json.loads(line) for line in HANDBOOK_QUESTIONS.read_text("utf-8").splitlines()]
    return [
        Asked(EvalQuestion(row["id"], row["question"], tuple(row["answers"])), row["file"], "")
        for row in rows
    ]


@contextmanager
def indexed(documents: Path, encoder: Encoder) -> Iterator[Retriever]:
    """A retriever over a library of these documents, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder, Library.create(Path(folder) / ".assistant") as library:
        ingest(library, [documents], IngestOptions(choose=lambda _: ENCODER, load=lambda _: encoder))
        yield Retriever(library, encoder)


def scores_of(engine: AnswerEngine, asked: Sequence[Asked], gold: GoldPassage | None) -> list[Score]:
    """The score of every answer."""
    found = []
    for one in asked:
        if gold is not None:
            gold.asked = one
        found.append(score(one.question, engine.answer(one.question.question)))
    return found


def engine_over(source: PassageSource, model: Loaded, floor: Floor | None) -> AnswerEngine:
    """As `ask` has it."""
    k = 6 if model.adapter is None else EMBEDDED_PASSAGES
    return AnswerEngine(source, model=model, floor=floor, k=k, max_new_tokens=MAX_NEW_TOKENS)


def show(name: str, way: str, summary: Summary) -> None:
    """A line for each measure."""
    print(f"{name}, {way}: {summary.answerable} answerable, {summary.must_refuse} to be refused")
    for measure in _SHOWN:
        value = summary.measures[measure]
        if value.value is not None:
            interval = "" if value.low is None else f"  [{value.low:.3f}, {value.high:.3f}]"
            print(f"  {measure:20}{value.value:7.3f}{interval}")


def verdict(ways: dict[str, Summary]) -> GateVerdict:
    """What the card of a measured adapter says."""

    def figure(way: str, name: str, shown: str) -> str:
        value = ways[way].measures[name]
        interval = "" if value.low is None else f" [{value.low:.3f}, {value.high:.3f}]"
        return f"{shown} -" if value.value is None else f"{shown} {value.value:.3f}{interval}"

    def line(way: str, what: str, shown: dict[str, str]) -> str:
        return f"{what}: {', '.join(figure(way, name, words) for name, words in shown.items())}"

    gold, found, manual = ways["gold"], ways["open"], ways["manual"]
    same = {"answerable_f1": "answerable F1", "citation_precision": "citation precision"}
    asked = f"{gold.answerable} answerable and {gold.must_refuse} unanswerable"
    elsewhere = f"{found.answerable} answerable and {found.must_refuse} about articles that are not indexed"
    near = f"{manual.answerable} answerable and {manual.must_refuse} not"
    return GateVerdict(
        promoted=True,
        gate=False,
        reason=f"measured on articles that were left out of training ({', '.join(HELD_OUT)})",
        table=(
            line("gold", f"gold passage, {asked}", {"f1": "mean F1", "refusal_recall": "refused", **same}),
            line("open", f"open index, {elsewhere}", {**same, "refusal_recall": "refused"}),
            line("manual", f"a handbook, {near}", {**same, "refusal_recall": "refused"}),
        ),
    )


def means(tuned: Sequence[dict[str, Summary]]) -> dict[str, dict[str, float]]:
    """Of each measure over the adapters, printed."""
    found: dict[str, dict[str, float]] = {}
    for way in tuned[0]:
        print(f"mean of {len(tuned)} adapters, {way}")
        for measure in _SHOWN:
            values = [one[way].measures[measure].value for one in tuned]
            known = [value for value in values if value is not None]
            if known:
                found.setdefault(way, {})[measure] = round(mean(known), 4)
                print(f"  {measure:20}{mean(known):7.3f}  ({min(known):.3f} to {max(known):.3f})")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("articles", type=Path)
    parser.add_argument("--adapter", type=Path, nargs="*", default=[])
    parser.add_argument("--questions", type=int, default=150, help="of each sort")
    parser.add_argument("--no-base", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the figures on the adapters' cards")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    about, elsewhere = (
        held_out(given.data, given.questions, given.seed),
        off_index(given.data, given.questions * 2 // 3, given.seed),
    )
    answerable = [one for one in about if not one.question.must_refuse]
    results: dict[str, Any] = {"held_out": HELD_OUT, "off_index": OFF_INDEX, "questions": given.questions}
    encoder = load_encoder(ENCODER)
    with indexed(given.articles, encoder) as retriever, indexed(HANDBOOK, encoder) as handbook:
        floor = Floor.for_encoder(ENCODER, retriever)
        of_manual = Floor.for_encoder(ENCODER, handbook)
        tuned: list[dict[str, Summary]] = []
        systems: list[tuple[str, Path | None]] = [] if given.no_base else [("base", None)]
        systems += [
            (f"adapter, seed {Card.read(path).settings['seed'].value}", path) for path in given.adapter
        ]
        for name, path in systems:
            chat = load_chat_model(BASE, adapter=str(path) if path else "none", max_new_tokens=MAX_NEW_TOKENS)
            model = Loaded(BASE, path.name if path else None, chat)
            gold = GoldPassage()
            ways = {
                "gold": scores_of(engine_over(gold, model, None), about, gold),
                "open": scores_of(engine_over(retriever, model, floor), [*answerable, *elsewhere], None),
                "manual": scores_of(engine_over(handbook, model, of_manual), of_handbook(), None),
            }
            for way, scores in ways.items():
                show(name, way, summarise(scores))
            results[name] = {way: summarise(scores).row() for way, scores in ways.items()}
            if path is not None:
                tuned.append({way: summarise(one) for way, one in ways.items()})
                if given.write:
                    replace(Card.read(path), verdict=verdict(tuned[-1])).write(path)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    if len(tuned) > 1:
        results["mean of adapters"] = means(tuned)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
