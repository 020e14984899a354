"""What an exported folder says about itself: where it comes from, and how to serve it."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.export.peft_folder import base_reference
from finetune.export.source import Source

_ROUNDINGS = {"nf4": "4-bit (NF4)", "int8": "8-bit"}


def readme(source: Source, usage: Sequence[str]) -> str:
    """The text of README.md; `usage` are paragraphs on this format."""
    lines = [f"# {source.name}", "", _origin(source), *_rounding(source), *_licences(source)]
    return "\n".join([*lines, "", *("\n\n".join(usage).splitlines()), *_refusals(source)]) + "\n"


def merged_usage() -> list[str]:
    """How a folder of merged weights is served."""
    return [
        "A whole model with tokenizer and chat template, for any program that loads transformers folders.",
        "    vllm serve FOLDER\n    assistant ask QUESTION --model FOLDER --adapter none",
    ]


def gguf_usage(source: Source, file: str, modelfile: bool, context: int) -> list[str]:
    """How a GGUF file is served."""
    llama = f"    llama-server -m {file} --jinja --temp 0 -c {context}"
    if not modelfile:
        return [
            "For llama.cpp, which reads the chat template in the file:",
            llama,
            "There is no Modelfile: the model's chat template does more than could be copied for Ollama.",
        ]
    return [
        "For llama.cpp, which reads the chat template in the file, and Ollama, which reads the Modelfile:",
        f"{llama}\n    ollama create {source.file_name.lower()} -f Modelfile",
        "Temperature 0 and no repetition penalty: an answer repeats words of its passages.",
    ]


def peft_usage(source: Source) -> list[str]:
    """How an adapter is served on its base."""
    base = base_reference(source)
    if source.config is None or not source.config.is_lora:
        return [f"An adapter of virtual tokens for {base}. peft loads it; vLLM does not serve this kind."]
    if source.config.dora:
        return [f"A DoRA adapter for {base}. peft loads it; vLLM does not serve this kind: export it merged."]
    ranks = [source.config.rank, *(source.config.ranks or {}).values()]
    paragraphs = [
        f"An adapter for {base}.",
        f"    vllm serve {base} --enable-lora --max-lora-rank {max(ranks)} \\\n"
        f"        --lora-modules {source.file_name}=FOLDER",
    ]
    if source.rounding:
        bits = _ROUNDINGS[source.rounding]
        paragraphs.append(
            f"It was trained on the {bits} rounding of that base; merged weights keep that, this cannot."
        )
    return paragraphs


def _origin(source: Source) -> str:
    base = base_reference(source)
    if source.is_whole:
        return f"Tuned from {base} as a whole ({source.method})."
    note = f" {source.card.base.note}" if source.card and source.card.base.note else ""
    return f"An adapter ({source.method}) of {base}.{note}"


def _rounding(source: Source) -> list[str]:
    if not source.rounding:
        return []
    return ["", f"It was trained on the {_ROUNDINGS[source.rounding]} rounding of its base."]


def _licences(source: Source) -> list[str]:
    named = ", ".join(source.licences) or "not known; ask whoever made it"
    return ["", f"Licences: {named}. card.json, where there is one, names the sources."]


def _refusals(source: Source) -> list[str]:
    if source.refusal_threshold is None:
        return []
    return [
        "",
        f"In `assistant` this adapter refuses where its first token is a refusal with a probability over "
        f"{source.refusal_threshold:.2f}. Other programs do not do that: there, what it writes decides.",
    ]
