"""Trains a question adapter, by which the embedded model asks for an answer: `teacher.py DATA FOLDER`.

DATA holds the sets that `teacher_data` reads, as `NAME.docs.jsonl` and `NAME.questions.jsonl`. FOLDER gets
the run, which goes on where it was when it is called again, and the adapter in FOLDER/question with its card.
`teacher.py compare` puts it beside the rules, which ask better: see `teacher_compare`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import teacher_compare
from grounding import BASE, card_of, trained
from teacher_data import Human, rows

from corpora.records import Message
from finetune.card import Serving
from finetune.tuning.encode import ChatEncoder, EncodedRow
from finetune.tuning.settings import TuneSettings
from index.weights import model_folder

NAME = "question"
SETTINGS = TuneSettings().with_(
    "tests/bench/teacher.py",
    rank=16,
    alpha=32,
    learning_rate=1.5e-3,
    max_grad_norm=1.0,
    warmup=0.04,
    batch=32,
    weighting="row",
    epochs=2.0,
    evaluations=1,
)


def encoded(taken: Sequence[Human], chat: ChatEncoder) -> list[EncodedRow]:
    """Rows for the trainer."""
    return [
        chat.encode(one.messages, Message("assistant", one.question), id=str(place), kind=one.kind)
        for place, one in enumerate(taken)
    ]


def main() -> None:
    if sys.argv[1:2] == ["compare"]:
        teacher_compare.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=float, default=SETTINGS.epochs)
    parser.add_argument("--rows", type=int, help="no more than so many, for a try")
    given = parser.parse_args()
    chat = ChatEncoder.of_folder(model_folder(BASE, offline=False), BASE)
    taken, reserved = (part[: given.rows] for part in rows(given.data, given.seed))
    train, validation = encoded(taken, chat), encoded(reserved, chat)
    print(
        f"{len(train)} rows, {len(validation)} for validation: {dict(Counter(one.source for one in taken))}"
    )
    settings = replace(SETTINGS, seed=given.seed, epochs=given.epochs)
    made = given.folder / NAME
    result = trained(train, validation, settings, made)
    if result is None:
        return
    card = card_of(result, None, train, validation, taken, settings, made)
    data = replace(card.data, methods={"human": len(taken)})
    replace(
        card,
        name=NAME,
        purpose="question",
        data=data,
        serving=Serving(examples=False, refusal_threshold=None),
    ).write(made)


if __name__ == "__main__":
    main()
