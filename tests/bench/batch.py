"""Throughput of `batch` against one-by-one `ask` in one process: `python tests/bench/batch.py [-n 500]`.

A library is built from the shared English articles. Asked are shared SQuAD questions, answerable and not,
with the embedded model, its shipped adapter and the default number of passages. Measured, in this order and
all in this process, with the model loaded before:

    one by one      `AnswerEngine.answer` for each question, as `ask` does
    batch           `assistant batch` into a new file, by the same model in memory
    prefill alone   forward passes over the same prompts, one at a time, and nothing else: the measured rate
    decode alone    32 tokens behind the same prompts, one row and 16 rows at a time; prompts not counted

Prints a table and whether each target of the project is met; writes `tests/bench/results/batch.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.answer.build import MAX_NEW_TOKENS
from assistant.answer.engine import AnswerEngine
from assistant.answer.rows import answer_row
from assistant.answer.writing import Prompted
from assistant.batch.engines import Engines
from assistant.batch.questions import read_questions
from assistant.batch.run import Source, Summary, answer_all
from assistant.batch.windows import WINDOW, Options
from assistant.chat_models.batch import Meter, write_rows
from assistant.chat_models.batch import Row as Writing
from assistant.chat_models.local import LocalChatModel
from assistant.runtime import Runtime
from assistant.settings import resolve
from corpora.store import Library
from finetune.teacher import Ask
from index.encoders import load_encoder
from index.ingest import IngestOptions, ingest

HERE = Path(__file__).resolve()
RESULTS = HERE.parent / "results" / "batch.json"
ENCODER = "all-minilm-l6-v2"
TARGETS = {"throughput": 1.5, "decode alone": 4.0, "prefill rate": 0.8}
Row = dict[str, Any]


def questions(folder: Path, number: int) -> list[Row]:
    """Shared questions, as many that the articles do not answer as SQuAD 2.0 has."""
    rows = [json.loads(line) for line in (folder / "squad2.questions.jsonl").read_text("utf-8").splitlines()]
    random.Random(17).shuffle(rows)
    return [
        {"id": n, "question": row["question"], "expected": row["answers"] if row["answerable"] else []}
        for n, row in enumerate(rows[:number])
    ]


def one_by_one(engine: AnswerEngine, asked: Sequence[Row]) -> tuple[list[Row], float]:
    begun = time.perf_counter()
    answers = [answer_row(engine.answer(row["question"])) for row in asked]
    return answers, time.perf_counter() - begun


def batched(engines: Engines, asked: Sequence[Row], out: Path) -> tuple[list[Row], Summary]:
    data = "\n".join(json.dumps(row) for row in asked).encode()
    source = Source(engines, {}, lambda: 0)
    summary = answer_all(source, read_questions(data, "q.jsonl"), out, Options())
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()], summary


def alike(alone: Sequence[Row], together: Sequence[Row]) -> int:
    """How many rows are equal in every field but `seconds`."""
    return sum(
        all(row[key] == value for key, value in one.items() if key != "seconds")
        for one, row in zip(alone, together, strict=True)
    )


def prompts(engine: AnswerEngine, asked: Sequence[Row]) -> list[Ask]:
    steps = [engine.prepare(row["question"]) for row in asked]
    return [
        Ask(step.prompt.messages, MAX_NEW_TOKENS, stop=step.stops)
        for step in steps
        if isinstance(step, Prompted)
    ]


def prefill_rate(model: LocalChatModel, asks: Sequence[Ask]) -> float:
    """Tokens a second of bare forward passes."""
    import torch
    from transformers import DynamicCache

    loaded = model.loaded.model
    tokens, begun = 0, time.perf_counter()
    for ask in asks:
        ids = torch.tensor([model.prompt_ids(ask.messages)], device=loaded.device)
        tokens += ids.shape[1]
        with torch.inference_mode():
            cache = DynamicCache(config=loaded.config)
            loaded(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return tokens / (time.perf_counter() - begun)


def decode_rate(model: LocalChatModel, asks: Sequence[Ask], at_once: int) -> float:
    """Tokens a second that are written, prompts not counted; so many rows side by side, 32 tokens each.

    No token ends a reply and no rule refuses: it is the rate of so many rows, not of those still going.
    """
    meter, weights = Meter(), model.loaded
    for start in range(0, len(asks), at_once):
        rows = [
            Writing(ask, model.prompt_ids(ask.messages), 32, weights.tokenizer)
            for ask in asks[start : start + at_once]
        ]
        write_rows(rows, model._prefiller, weights.model, frozenset(), stopped=lambda: False, meter=meter)
    return meter.written_tokens / max(meter.written_seconds, 1e-9)


def measure(runtime: Runtime, asked: Sequence[Row], work: Path) -> Row:
    engines = Engines(runtime, writes=True)
    engine = engines.plain
    model = engine.chat
    assert isinstance(model, LocalChatModel)
    engine.answer(asked[0]["question"])  # everything is loaded
    alone, alone_seconds = one_by_one(engine, asked)
    together, summary = batched(engines, asked, work / "out.jsonl")
    asks = prompts(engine, asked)
    bare = prefill_rate(model, asks[:100])
    writing = [Ask(ask.messages, 32) for ask in asks[: 2 * WINDOW]]
    side_by_side, apart = (decode_rate(model, writing, rows) for rows in (WINDOW, 1))
    rate = summary.prefill_tokens_per_second or 0.0
    return {
        "questions": len(asked),
        "written by the model": len(asks),
        "equal rows": alike(alone, together),
        "passages": engine.k,
        "one by one, seconds": round(alone_seconds, 2),
        "batch, seconds": summary.seconds,
        "throughput": round(alone_seconds / summary.seconds, 2),
        "prefill of the batch, tokens/s": rate,
        "prefill measured, tokens/s": round(bare, 1),
        "prefill rate": round(rate / bare, 2),
        "decode of the batch, tokens/s": summary.decode_tokens_per_second,
        "decode alone 16 rows, tokens/s": round(side_by_side, 1),
        "decode alone 1 row, tokens/s": round(apart, 1),
        "decode alone": round(side_by_side / max(apart, 1e-9), 2),
        "refused": summary.refused,
        "em": summary.em,
        "f1": summary.f1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=HERE.parents[3] / "shared" / "data")
    parser.add_argument("-n", type=int, default=500, help="questions")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, Library.create(Path(work) / ".assistant") as library:
        encoder = load_encoder(ENCODER)
        options = IngestOptions(choose=lambda _sample: ENCODER, load=lambda _name: encoder)
        ingest(library, [given.shared / "articles-en"], options)
        runtime = Runtime(library, resolve(library.folder, {"offline": True}))
        found = measure(runtime, questions(given.shared / "qa", given.n), Path(work))
    found |= {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    for name, value in found.items():
        target = TARGETS.get(name)
        verdict = "" if target is None else f"   target {target}: {'met' if value >= target else 'MISSED'}"
        print(f"{name:34}{value}{verdict}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
