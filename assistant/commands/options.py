"""The options that several commands take, spelt once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", metavar="PATH", help="The library folder itself (or: walk up to .assistant)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")]
KOption = Annotated[int | None, typer.Option("-k", min=1, metavar="N", help="Passages to retrieve.")]
WithinOption = Annotated[
    str | None, typer.Option("--in", metavar="GLOB", help="Only documents whose path matches.")
]
TypeOption = Annotated[str | None, typer.Option("--type", metavar="T", help="Only documents of this type.")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never use the network (exit 8 if needed).")]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="M", help="Name, hub id, folder, openai:M, ollama:M, vllm:M."),
]
AdapterOption = Annotated[
    str | None, typer.Option("--adapter", metavar="NAME|none", help="Adapter of the model.")
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="OpenAI-compatible server that has the model."),
]
NoRetrievalOption = Annotated[
    bool, typer.Option("--no-retrieval", help="Ask the model alone, without documents.")
]
ExtractiveOption = Annotated[
    bool, typer.Option("--extractive", help="Quote the best sentences; no language model.")
]


def typed(words: str) -> str:
    """Words of the command line; bytes of them that are no UTF-8 become U+FFFD, as they do in a file."""
    return re.sub("[\ud800-\udfff]", "\ufffd", words)
