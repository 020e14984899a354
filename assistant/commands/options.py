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
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never use the network (exit 8 if needed).")]
