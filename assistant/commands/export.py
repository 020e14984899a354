"""`assistant export NAME --format F -o DIR`: an adapter for other programs, checked against itself."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption
from corpora.errors import UsageError


class FormatName(StrEnum):
    """What `--format` takes."""

    MERGED = "merged"
    GGUF = "gguf"
    PEFT = "peft"


class PrecisionName(StrEnum):
    """What `--precision` takes."""

    F16 = "f16"
    Q8_0 = "q8_0"


def export(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As `adapters list` shows it, or a folder (./NAME).")
    ],
    form: Annotated[
        FormatName,
        typer.Option("--format", help="merged: transformers, vLLM. gguf: llama.cpp, Ollama. peft: as it is."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="A folder that is new or empty.")
    ],
    precision: Annotated[
        PrecisionName | None,
        typer.Option("--precision", help="Of a GGUF's weights: f16 (default), or q8_0 at half the size."),
    ] = None,
    check: Annotated[
        int,
        typer.Option(
            "--check", min=0, metavar="N", help="Held-out questions that adapter and export both answer."
        ),
    ] = 20,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE", help="Your own questions for the check, as in eval."),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Write an adapter for other programs, and check that it answers there as it does here."""
    from assistant.exporting import Wish, run, show
    from assistant.runtime import opened

    if precision is not None and form is not FormatName.GGUF:
        raise UsageError("--precision is of GGUF files.", hint="--format gguf")
    wish = Wish(
        name,
        form.value,
        output,
        (precision or PrecisionName.F16).value,
        check,
        questions,
    )
    with opened(library, {"offline": offline or None}) as runtime:
        done = run(runtime, wish)
    show(done, as_json=json)
    if done.parity is not None and not done.parity.passed:
        raise typer.Exit(4)
