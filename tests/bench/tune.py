"""Training speed against plain TRL: `python tests/bench/tune.py [--shared FOLDER] [--rows 24]`.

The embedded model, human questions over passages as rows, LoRA of rank 16 on all linear layers, one epoch in
steps of 8 rows. Rows are of two sorts: "general", each with passages of its own, and "alike", eight questions
to the same passages, as a library has them. Each arm is a process of its own:

    trl-fp32   TRL's SFTTrainer with its defaults, but float32 throughout
    trl        the same as TRL ships it: bf16 autocast, gradient checkpointing
    ours       finetune.tuning with its defaults

Printed are tokens of the rows (padding apart, and what rows share counted for each) per second of the
training loop (model loading and our probe apart), by the clock and by the processor's (which counts on a busy
machine), peak memory of the process during it, over what it had before the model was loaded, and the mean
loss. Results go to results/tune.json. On a machine with a card see tune_card.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from corpora.prompt import render, reply
from corpora.records import Passage
from finetune.tuning.encode import ChatEncoder, EncodedRow
from finetune.tuning.log import read_log
from index.sync_options import Hooks, NoProgress
from index.weights import model_folder

HERE = Path(__file__).resolve()
ARMS = ("trl-fp32", "trl", "ours")
SORTS = ("general", "alike")
BATCH, RANK, ALPHA, RATE = 8, 16, 32, 2e-4
QUESTIONS = 8  # to the same passages, of rows that are alike


def human_rows(shared: Path, base: Path, count: int, sort: str) -> list[EncodedRow]:
    """Questions of xquad-en over one to five passages, the right one among them."""
    chat = ChatEncoder.of_folder(base)
    docs = {row["doc_id"]: row for row in read(shared / "qa" / "xquad-en.docs.jsonl")}
    questions = read(shared / "qa" / "xquad-en.questions.jsonl")
    rng = random.Random(4)
    by_doc: dict[str, list[dict[str, Any]]] = {}
    for question in rng.sample(questions, len(questions)):
        by_doc.setdefault(question["doc_ids"][0], []).append(question)
    each = 1 if sort == "general" else QUESTIONS
    rows: list[EncodedRow] = []
    for gold, asked in by_doc.items():
        if len(asked) < each or len(rows) >= count:
            continue
        shown = [gold, *rng.sample(sorted(set(docs) - {gold}), rng.randrange(0, 5))]
        rng.shuffle(shown)
        passages = [passage(n, docs[doc]["title"], docs[doc]["text"]) for n, doc in enumerate(shown)]
        for question in asked[:each]:
            prompt = render(
                question["question"], passages, count_tokens=chat.count_tokens, limit=1000, examples=False
            )
            marker = min(shown.index(gold) + 1, prompt.included)
            completion = reply(question["answers"][0], [marker], "en")
            rows.append(chat.encode(prompt.messages, completion, id=question["id"]))
    rng.shuffle(rows)
    return rows[:count]


def passage(number: int, title: str, text: str) -> Passage:
    return Passage(number, str(number), title, f"{title}.md", "md", 0, 0, len(text), 1, 1, None, None, text)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class Begun(NoProgress):
    """Notes the processor time at which training began."""

    at = 0.0

    def start(self, what: str, total: int) -> None:
        self.at = time.process_time()


def ours(base: Path, rows: list[EncodedRow]) -> dict[str, Any]:
    from finetune.tuning.run import tune
    from finetune.tuning.settings import TuneSettings

    settings = TuneSettings(
        rank=RANK, alpha=ALPHA, learning_rate=RATE, epochs=1, batch=BATCH, evaluations=0, schedule="linear"
    )
    began = Begun()
    with tempfile.TemporaryDirectory() as folder:
        hooks = Hooks(progress=began, say=lambda line: print(line, file=sys.stderr))
        result = tune(base, rows, [], settings, Path(folder), hooks)
        cpu = time.process_time() - began.at
        steps = [line for line in read_log(Path(folder)) if line["event"] == "step"]
    return {
        "seconds": result.seconds,
        "cpu": cpu,
        "peak": result.peak_bytes,
        "losses": [line["loss"] for line in steps],
        "computed": sum(line["computed_tokens"] for line in steps),
    }


def plain_trl(base: Path, rows: list[EncodedRow], *, fp32: bool) -> dict[str, Any]:
    import datasets
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from finetune.tuning.memory import peak_bytes, reset_peak

    data = datasets.Dataset.from_list(
        [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in rows]
    )
    trainer = SFTTrainer(
        model=str(base),
        args=SFTConfig(
            output_dir=tempfile.mkdtemp(),
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            **({"bf16": False} if fp32 else {}),
        ),
        train_dataset=data,
        peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    reset_peak()
    began, cpu = time.monotonic(), time.process_time()
    trainer.train()
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return {"seconds": seconds, "cpu": cpu, "peak": peak_bytes(), "losses": losses}


def run_arm(arm: str, base: Path, rows: list[EncodedRow]) -> dict[str, Any]:
    from finetune.tuning.memory import used_bytes

    before = used_bytes()
    found = ours(base, rows) if arm == "ours" else plain_trl(base, rows, fp32=arm == "trl-fp32")
    tokens = sum(len(row.input_ids) for row in rows)
    return {
        "rows": len(rows),
        "tokens": tokens,
        "computed_tokens": found.get("computed"),
        "seconds": round(found["seconds"], 1),
        "tokens_per_second": round(tokens / found["seconds"], 1),
        "tokens_per_cpu_second": round(tokens / found["cpu"], 1),
        "peak_gib": round((found["peak"] - before) / 2**30, 2),
        "loss": round(sum(found["losses"]) / len(found["losses"]), 4),
    }


def measured(sort: str, arms: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Every arm on the rows of a sort, printed as it comes."""
    found: dict[str, Any] = {}
    for arm in arms:
        command = [sys.executable, __file__, "--arm", arm, "--sort", sort, "--rows", str(options.rows)]
        done = subprocess.run([*command, "--shared", options.shared], stdout=subprocess.PIPE, check=True)
        found[arm] = one = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{sort:8} {arm:9} {one['tokens_per_second']:7.0f} tokens/s "
            f"{one['tokens_per_cpu_second']:7.1f} tokens/processor second "
            f"{one['peak_gib']:6.2f} GiB  loss {one['loss']:.3f}",
            flush=True,
        )
    for arm in arms:
        if arm != "ours" and "ours" in found:
            ratios = {
                unit: round(found["ours"][unit] / found[arm][unit], 2)
                for unit in ("tokens_per_second", "tokens_per_cpu_second")
            }
            found[f"ours / {arm}"] = ratios
            print(f"{sort:8} ours / {arm}: {ratios}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=HERE.parents[3] / "shared" / "data")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--sorts", nargs="+", choices=SORTS, default=list(SORTS))
    parser.add_argument("--json", type=Path, default=HERE.parent / "results" / "tune.json")
    parser.add_argument("--arm", choices=ARMS, help="only this one, in this process; prints JSON")
    parser.add_argument("--sort", choices=SORTS, default="general", help="of the rows for --arm")
    options = parser.parse_args()
    if options.arm:
        base = model_folder("smollm2-135m", offline=False)
        rows = human_rows(options.shared, base, options.rows, options.sort)
        print(json.dumps(run_arm(options.arm, base, rows)))
        return
    found: dict[str, Any] = {"load_before": os.getloadavg()[0], "cores": os.cpu_count()}
    for sort in options.sorts:
        found[sort] = measured(sort, options.arms, options)
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
