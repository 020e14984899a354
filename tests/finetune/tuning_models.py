"""A tiny random Llama with a byte tokenizer, and rows that it can learn, for tests of training."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from finetune.tuning.encode import IGNORED, EncodedRow

VOCABULARY = 64
END = 2


def write_llama(folder: Path, *, dtype: torch.dtype = torch.float32, layers: int = 2) -> Path:
    """A model folder as the embedded one: config, safetensors, tokenizer; random weights, always the same."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(11)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=END,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    words = {"<pad>": 0, "<s>": 1, "</s>": END} | {f"w{n}": n for n in range(3, VOCABULARY)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<pad>")),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    )
    tokenizer.save_pretrained(folder)
    return folder


def learnable_rows(count: int, *, seed: int = 0) -> list[EncodedRow]:
    """Prompts of various lengths, each answered by three tokens that its first one decides."""
    draw = random.Random(seed)
    rows = []
    for n in range(count):
        key = draw.randrange(3, 9)
        prompt = [1, key, *(draw.randrange(20, VOCABULARY) for _ in range(draw.randrange(4, 30)))]
        answer = [key + 6, key + 7, END]
        rows.append(EncodedRow((*prompt, *answer), (*(IGNORED,) * len(prompt), *answer), f"row{n}", "file"))
    return rows


def rows_in_families(count: int, *, seed: int = 0) -> list[EncodedRow]:
    """Such rows, five each behind forty tokens that are theirs alone."""
    draw = random.Random(f"{seed}:families")
    heads = [[1, *(draw.randrange(20, VOCABULARY) for _ in range(39))] for _ in range(-(-count // 5))]
    rows = []
    for n, row in enumerate(learnable_rows(count, seed=seed)):
        head = heads[n // 5]
        ids = (*head, *row.input_ids[1:])
        rows.append(EncodedRow(ids, (*(IGNORED,) * (len(head) - 1), *row.labels), row.id, row.kind))
    draw.shuffle(rows)
    return rows
