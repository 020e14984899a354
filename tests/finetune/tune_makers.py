"""A tiny chat model, a tiny encoder and a taught library on disk, for tests of `tune` through the command."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chat_tokenizers
import taught_library
import tiny_models

from corpora.examples import Example
from corpora.store import ExampleStore, Library
from finetune.splits import assign_splits


class OneAtATime:
    """An encoder by name, whose tokenizer no two threads use at once: it is set up anew by each call."""

    def __init__(self, name: str) -> None:
        from index.encoders import load_encoder

        self._encoder, self._lock = load_encoder(name), threading.Lock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._encoder, name)
        return self._locked(found) if callable(found) else found

    def _locked(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def locked(*args: Any, **options: Any) -> Any:
            with self._lock:
                return call(*args, **options)

        return locked


def write_chat_model(folder: Path, *, seed: int = 3) -> Path:
    """A random Llama that speaks the template of the embedded model; always the same for a seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = chat_tokenizers.tokenizer("smollm2")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        initializer_range=0.5,  # or no LoRA could make it say anything
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_library(place: Path, encoder: Path, *, taught: bool = True) -> Path:
    """The twelve towns, ingested with a tiny encoder, and their examples. Returns the library's folder."""
    from index.ingest import ingest
    from index.sync_options import IngestOptions

    for path, paragraphs in taught_library.documents().items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text("\n\n".join(paragraphs) + "\n", "utf-8")
    folder = place / ".assistant"
    with Library.create(folder) as library:
        options = IngestOptions(
            choose=lambda _: str(encoder), load=OneAtATime, encoder=str(encoder), chunk_tokens=32
        )
        ingest(library, [place / "towns"], options)
        store = ExampleStore(library)
        with library.write() as writer:
            store.set_splits(writer, assign_splits(library.documents(), store.splits()))
        if taught:
            taught_library.add(library, examples(library))
    return folder


def examples(library: Library) -> list[Example]:
    """One and three a town, all of one quote."""
    made = []
    for number, town in enumerate(taught_library.TOWNS):
        path = f"towns/{town.lower()}.md"
        year, price = 1601 + 17 * number, 141 + number
        builder = taught_library.BUILDERS[number % len(taught_library.BUILDERS)]
        for question, answer, text in (
            (f"When was the lighthouse of {town} built?", str(year), f"was built in {year}"),
            (f"Which engineer built the lighthouse of {town}?", builder, f"by the engineer {builder}"),
            (f"What does a ticket for the ferry of {town} cost?", f"{price} euros", f"costs {price} euros"),
        ):
            made.append(taught_library.example(library, question, answer, [(path, text)]))
    return made


def write_encoder(folder: Path) -> Path:
    """A tiny sentence encoder."""
    return tiny_models.write_bert(folder)
