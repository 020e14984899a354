"""What each part of the training rows is worth: `ablation.py DATA ARTICLES FOLDER [--arm NAME…]`.

Five arms, each from the plain base, with as many rows of the same human data:

    base             not tuned; asked with the two examples in its prompt
    closed-book      tuned on questions and answers without passages
    random           each question among four passages: its own and three of other articles
    hard             its own and three of the same article that are most like it
    hard+refusals    as hard, and a part of the questions has no answer in the four passages

All are asked the same questions in the same way: four passages of the live retriever over ARTICLES, about
articles that no row shows (`grounding_data.HELD_OUT`), and about articles that are not there (`OFF_INDEX`).
No floor and no threshold refuses: what the model writes decides. An arm that is in
`tests/bench/results/ablation.json` is not run again. FOLDER gets the runs.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grounded import BASE, ENCODER, Asked, Loaded, held_out, off_index, scores_of, show
from grounding import SETTINGS, encoded
from grounding_data import Asked as Taught
from grounding_data import Near, Paragraph, Row, _missing, _no_limit, _rows_of, squad_articles

from assistant.answer.build import MAX_NEW_TOKENS
from assistant.answer.engine import AnswerEngine
from assistant.chat_models import load_chat_model
from corpora.prompt import render_closed_book, reply
from corpora.store import Library
from finetune.evaluation.summary import summarise
from finetune.tuning.encode import ChatEncoder
from finetune.tuning.run import tune
from index.encoders import load_encoder
from index.ingest import IngestOptions, ingest
from index.retriever import Retriever
from index.sync_options import Hooks
from index.weights import model_folder

ARMS = ("base", "closed-book", "random", "hard", "hard+refusals")
RESULTS = Path(__file__).resolve().parent / "results" / "ablation.json"
PASSAGES = 4  # of a prompt, in training and in asking
_REFUSED = 0.4  # of the questions of the last arm
_FEWEST = 3  # questions of a paragraph that is taken
_MOST_CHARACTERS = 3000  # of the passages of a group
_MOST_OF_AN_ARTICLE = 3  # groups

Group = list[Paragraph]


@dataclass(frozen=True, slots=True)
class Untuned(Loaded):
    """The plain base, given whole passages as the others are, and examples, without which it is lost."""

    @property
    def reads_one_sentence(self) -> bool:
        return False

    @property
    def examples(self) -> bool:
        return True


def groups(folder: Path, count: int, rng: random.Random) -> list[Group]:
    """Four paragraphs that are like each other, of one article each time, with `count` questions in all."""
    found: list[Group] = []
    for article in squad_articles(folder).values():
        asked = [one for one in article if len(one.answered) >= _FEWEST]
        near = Near([one.text for one in asked])
        free = set(range(len(asked)))
        for place in rng.sample(sorted(free), len(free))[: _MOST_OF_AN_ARTICLE * PASSAGES]:
            beside = [other for other in near.of(place, len(asked)) if other in free and other != place]
            some = [place, *beside[: PASSAGES - 1]]
            members = [asked[one] for one in some]
            full = len(some) == PASSAGES and sum(len(one.text) for one in members) <= _MOST_CHARACTERS
            if place in free and full:
                free -= set(some)
                found.append(rng.sample(members, PASSAGES))
    rng.shuffle(found)
    total = 0
    for place, group in enumerate(found):
        total += sum(len(one.answered) for one in group)
        if total >= count:
            return found[: place + 1]
    return found


def strangers(taken: Sequence[Group], rng: random.Random) -> list[Group]:
    """The same paragraphs put together anew, each among three of other articles."""
    ordered = sorted((one for group in taken for one in group), key=lambda one: one.title)
    mixed = [ordered[place :: len(taken)] for place in range(len(taken))]
    return [rng.sample(group, PASSAGES) for group in mixed]


def arm_rows(arm: str, folder: Path, count: int, seed: int) -> list[Row]:
    """`count` rows of an arm; the questions with an answer are the same in all arms, but for the last."""
    rng = random.Random(seed)
    taken = groups(folder, count, rng)
    if arm == "closed-book":
        pairs = [pair for group in taken for one in group for pair in one.answered]
        rows = [
            Row(
                render_closed_book(question, count_tokens=_no_limit, limit=1).messages,
                reply(answer, [], "en"),
                "closed-book",
                "",
            )
            for question, answer in pairs
        ]
        return rows[:count]
    if arm == "random":
        taken = strangers(taken, rng)
    articles = squad_articles(folder)
    rows = []
    for group in taken:
        asked = [
            Taught(question, answer, place, "answered")
            for place, one in enumerate(group)
            for question, answer in one.answered
        ]
        if arm == "hard+refusals":
            refused = round(_REFUSED * len(asked))
            near = [Taught(one, None, None, "unanswered") for member in group for one in member.unanswered]
            near = rng.sample(near, min(refused // 2, len(near)))
            others = [one for one in articles[group[0].title] if all(one.text != m.text for m in group)]
            near += _missing(group, others, refused - len(near), rng)
            asked = [*rng.sample(asked, len(asked) - len(near)), *near]
        rows += _rows_of(group, asked, rng)
    return rows[:count]


def trained(arm: str, data: Path, folder: Path, count: int, seed: int) -> tuple[Path, dict[str, Any]]:
    """The adapter of an arm, and how its training went."""
    base = model_folder(BASE, offline=False)
    rows = arm_rows(arm, data, count, seed)
    settings = replace(
        SETTINGS.with_("tests/bench/ablation.py", batch=32, epochs=2.0, evaluations=0), seed=seed
    )
    hooks = Hooks(say=lambda line: print(f"{arm}: {line}", flush=True))
    encoded_rows = encoded(rows, ChatEncoder.of_folder(base, BASE))
    result = tune(base, encoded_rows, [], settings, folder / arm, hooks, base_name=BASE)
    assert result.adapter is not None
    refused = sum(not row.grounded for row in rows)
    return result.adapter, {
        "rows": len(rows),
        "refused_rows": refused,
        "steps": result.steps,
        "train_loss": result.train_loss,
        "training_seconds": round(result.seconds, 1),
    }


def asked_of(arm: str, adapter: Path | None, retriever: Retriever, asked: Sequence[Asked]) -> dict[str, Any]:
    """The measures of an arm."""
    chat = load_chat_model(BASE, adapter=str(adapter) if adapter else "none", max_new_tokens=MAX_NEW_TOKENS)
    model = Untuned(BASE, None, chat) if adapter is None else Loaded(BASE, arm, chat)
    engine = AnswerEngine(retriever, model=model, floor=None, k=PASSAGES, max_new_tokens=MAX_NEW_TOKENS)
    began = time.perf_counter()
    summary = summarise(scores_of(engine, asked, None))
    show(arm, "open", summary)
    return {**summary.row(), "asking_seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("articles", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arm", choices=ARMS, nargs="*", default=ARMS)
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--answerable", type=int, default=100)
    parser.add_argument("--off-index", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    sizes = {"rows": given.rows, "answerable": given.answerable, "off_index": given.off_index}
    told: dict[str, Any] = {**sizes, "seed": given.seed, "passages": PASSAGES, "arms": {}}
    if given.results.exists():
        known = json.loads(given.results.read_text("utf-8"))
        if any(known[key] != value for key, value in told.items() if key != "arms"):
            parser.error(f"{given.results} holds runs of another size or seed")
        told = known
    asked = [one for one in held_out(given.data, given.answerable, 5) if not one.question.must_refuse]
    asked += off_index(given.data, given.off_index, 5)
    with tempfile.TemporaryDirectory() as work, Library.create(Path(work) / ".assistant") as library:
        encoder = load_encoder(ENCODER)
        ingest(library, [given.articles], IngestOptions(choose=lambda _: ENCODER, load=lambda _: encoder))
        retriever = Retriever(library, encoder)
        for arm in given.arm:
            if arm in told["arms"]:
                continue
            adapter, training = None, {"rows": 0}
            if arm != "base":
                adapter, training = trained(arm, given.data, given.folder, given.rows, given.seed)
            told["arms"][arm] = {"training": training, "open": asked_of(arm, adapter, retriever, asked)}
            given.results.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
