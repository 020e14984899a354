"""`--help` stays instant: a clean interpreter is the only honest witness."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "torch", "transformers", "trl", "peft", "faiss", "numpy", "textual", "sentence_transformers", "tantivy",
    "langchain", "langchain_core", "lxml", "pypdf", "safetensors", "tokenizers",
}  # fmt: skip
PROBE = """
import sys
from assistant.__main__ import main
main({argv!r})
print(*({heavy!r} & set(sys.modules)), file=sys.stderr)
"""
COMMANDS = ["ingest", "search", "ask", "documents", "reindex", "models", "status", "doctor", "config"]
COMMANDS += ["generate", "data", "tune", "eval", "adapters", "export", "chat", "sessions", "batch"]


def modules_after(argv: list[str], heavy: set[str]) -> list[str]:
    code = PROBE.format(argv=argv, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.split()


def test_help_imports_nothing_heavy_and_not_even_pydantic() -> None:
    assert modules_after(["--help"], HEAVY | {"pydantic"}) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    assert modules_after([command, "--help"], HEAVY) == []


def test_the_probe_would_see_a_heavy_module() -> None:
    assert modules_after(["--help"], {"typer"}) == ["typer"]
