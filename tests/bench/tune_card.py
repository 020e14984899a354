"""Training speed of a 7B in NF4 on a card, against plain TRL: `python tests/bench/tune_card.py`.

Models of the shapes of Mistral-7B and Qwen2.5-7B with random weights, rows of random tokens (half to all of
1024 and of 2048), LoRA of rank 16 on all linear layers, steps of 8 rows. Each arm is a process of its own:

    trl          TRL's SFTTrainer with its defaults over a base in NF4
    trl-packed   the same with packing
    unsloth      Unsloth's model under TRL's trainer, where it is installed
    ours         finetune.tuning with the method qlora; ours-packed with packing

Printed are tokens without padding per second of the training loop, peak GiB that torch has allocated, and
model FLOP utilisation: four operations a weight and token (the base's weights get no gradient, and what is
computed anew does not count), of --peak-tflops. Results go to results/tune-card.json. `--tiny` tries the
arms on small shapes, on any machine; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from finetune.tuning.encode import IGNORED, EncodedRow
from finetune.tuning.memory import peak_bytes, reset_peak
from index.sync_options import Hooks

HERE = Path(__file__).resolve()
ARMS = ("trl", "trl-packed", "unsloth", "ours", "ours-packed")
BATCH, RANK, ALPHA, RATE = 8, 16, 32, 2e-4
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 512}
SHAPES: dict[str, dict[str, int]] = {
    "mistral": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32768,
    },
    "qwen2": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
}


def write_base(folder: Path, family: str, *, tiny: bool) -> Path:
    """A model folder with random weights in bfloat16, and a tokenizer that knows nothing."""
    from tokenizers import Tokenizer, models
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    shape = {**SHAPES[family], **(TINY if tiny else {})}
    config = AutoConfig.for_model(
        family, **shape, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    words = {"<pad>": 0, "<s>": 1, "</s>": 2}
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<pad>")),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    ).save_pretrained(folder)
    return folder


def random_rows(count: int, length: int, vocabulary: int) -> list[EncodedRow]:
    """Rows of half of `length` to all of it, the last quarter of each trained."""
    draw = random.Random(7)
    rows = []
    for number in range(count):
        ids = tuple(draw.randrange(3, vocabulary) for _ in range(draw.randint(length // 2, length)))
        prompt = len(ids) * 3 // 4
        rows.append(EncodedRow(ids, (*(IGNORED,) * prompt, *ids[prompt:]), str(number), "file"))
    return rows


def ours(base: Path, rows: list[EncodedRow], *, packing: bool) -> tuple[float, int]:
    from finetune.tuning.run import tune
    from finetune.tuning.settings import TuneSettings

    settings = TuneSettings(
        method="qlora",
        rank=RANK,
        alpha=ALPHA,
        learning_rate=RATE,
        epochs=1,
        batch=BATCH,
        evaluations=0,
        packing=packing,
        schedule="linear",
    )
    with tempfile.TemporaryDirectory() as folder:
        hooks = Hooks(say=lambda line: print(line, file=sys.stderr))
        result = tune(base, rows, [], settings, Path(folder), hooks)
    return result.seconds, result.peak_bytes


def with_trl(
    base: Path, rows: list[EncodedRow], length: int, *, packing: bool, unsloth: bool
) -> tuple[float, int]:
    import datasets
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    data = datasets.Dataset.from_list(
        [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in rows]
    )
    model, adapter = _unsloth(base, length) if unsloth else (_nf4(base), _lora(LoraConfig))
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=tempfile.mkdtemp(),
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            max_length=length,
            packing=packing,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=data,
        peft_config=adapter,
    )
    reset_peak()
    began = time.monotonic()
    trainer.train()
    return time.monotonic() - began, peak_bytes()


def _lora(config: Any) -> Any:
    return config(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")


def _nf4(base: Path) -> Any:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    return AutoModelForCausalLM.from_pretrained(
        base,
        dtype=torch.bfloat16,
        device_map={"": 0} if torch.cuda.is_available() else None,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    )


def _unsloth(base: Path, length: int) -> tuple[Any, None]:
    from unsloth import FastLanguageModel  # type: ignore[import-not-found]

    model, _ = FastLanguageModel.from_pretrained(str(base), max_seq_length=length, load_in_4bit=True)
    wanted = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return FastLanguageModel.get_peft_model(
        model, r=RANK, lora_alpha=ALPHA, target_modules=wanted, use_gradient_checkpointing="unsloth"
    ), None


def run_arm(options: argparse.Namespace) -> dict[str, Any]:
    config = json.loads((options.base / "config.json").read_text("utf-8"))
    rows = random_rows(options.rows, options.length, config["vocab_size"])
    arm, packing = options.arm, options.arm.endswith("-packed")
    if arm.startswith("ours"):
        seconds, peak = ours(options.base, rows, packing=packing)
    else:
        seconds, peak = with_trl(
            options.base, rows, options.length, packing=packing, unsloth=arm == "unsloth"
        )
    tokens = sum(len(row.input_ids) for row in rows)
    return {
        "rows": len(rows),
        "tokens": tokens,
        "seconds": round(seconds, 1),
        "tokens_per_second": round(tokens / seconds),
        "peak_gib": round(peak / 2**30, 2),
        "mfu": round(4 * options.weights * tokens / seconds / (options.peak_tflops * 1e12), 3),
    }


def weights_of(base: Path) -> int:
    """Weights that multiply something: all but the embedding table."""
    from safetensors import safe_open

    total = 0
    for path in base.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                if "embed_tokens" not in name:
                    shape = file.get_slice(name).get_shape()
                    total += shape[0] * (shape[1] if len(shape) > 1 else 1)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--families", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--lengths", nargs="+", type=int, default=[1024, 2048])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="of the card in bfloat16")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", type=Path, default=HERE.parent / "results" / "tune-card.json")
    parser.add_argument("--arm", choices=ARMS, help="only this one, in this process; prints JSON")
    parser.add_argument("--base", type=Path, help="for --arm")
    parser.add_argument("--length", type=int, help="for --arm")
    parser.add_argument("--weights", type=int, help="for --arm")
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(run_arm(options)))
        return
    if not (torch.cuda.is_available() or options.tiny):
        sys.exit("There is no card here.")
    found: dict[str, Any] = {}
    for family in options.families:
        with tempfile.TemporaryDirectory() as folder:
            base = write_base(Path(folder), family, tiny=options.tiny)
            found[family] = {length: measured(base, length, options) for length in options.lengths}
    if not options.tiny:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def measured(base: Path, length: int, options: argparse.Namespace) -> dict[str, Any]:
    """Every arm at one length, printed as it comes; one that fails says why, and is left out."""
    found: dict[str, Any] = {}
    for arm in options.arms:
        if arm == "unsloth" and find_spec("unsloth") is None:
            continue
        command = [sys.executable, __file__, "--arm", arm, "--base", str(base), "--length", str(length)]
        command += ["--rows", str(options.rows), "--weights", str(weights_of(base))]
        command += ["--peak-tflops", str(options.peak_tflops)]
        done = subprocess.run(command, stdout=subprocess.PIPE)
        if done.returncode:
            print(f"{base.name} {length} {arm}: failed", flush=True)
            continue
        found[arm] = one = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{length} {arm:12} {one['tokens_per_second']:7} tokens/s {one['peak_gib']:6.2f} GiB "
            f"MFU {one['mfu']:.3f}",
            flush=True,
        )
    return found


if __name__ == "__main__":
    main()
