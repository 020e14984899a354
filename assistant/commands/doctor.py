"""`assistant doctor`: what is wrong, and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption

if TYPE_CHECKING:
    from assistant.doctor import Finding

_SIGNS = {"ok": ("ok  ", "32"), "warn": ("warn", "33"), "fail": ("FAIL", "31")}


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also recompute every hash.")] = False,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """What is wrong here, and the command that mends each finding."""
    from assistant.doctor import examine
    from assistant.output import emit_json
    from assistant.paths import find_library
    from assistant.settings import resolve

    folder = find_library(library)
    settings = resolve(folder, {"offline": offline or None})
    findings = examine(folder, settings, named=library is not None, deep=deep)
    failed = any(finding.level == "fail" for finding in findings)
    if json:
        emit_json({"ok": not failed, "library": str(folder) if folder else None, "findings": findings})
    else:
        _show(findings)
    if folder is None:
        raise typer.Exit(3)
    if failed:
        raise typer.Exit(4)


def _show(findings: list[Finding]) -> None:
    import sys

    from assistant.output import emit_text
    from assistant.terminal import style

    for finding in findings:
        word, code = _SIGNS[finding.level]
        sys.stdout.write(f"{style(word, code, sys.stdout)}  ")
        sys.stdout.flush()  # emit_text writes to the buffer beneath
        emit_text(f"{finding.check:<12} {finding.message}")
        if finding.fix:
            emit_text(f"{'':<19}-> {finding.fix}")
