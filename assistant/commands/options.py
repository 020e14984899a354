"""The options that every command takes, spelt once."""

from __future__ import annotations

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
