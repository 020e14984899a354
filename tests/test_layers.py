"""The static rules of the tree: imports go down only, files and functions stay small, no forbidden calls."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for package in ("assistant", "finetune", "index", "corpora")
    for path in (REPOSITORY / package).rglob("*.py")
)
FORBIDDEN = {
    "pickle": r"(?<![\w.])(pickle|joblib|dill)\.(load|loads|dump|dumps)\b|allow_pickle\s*=\s*True",
    "remote code": r"trust_remote_code\s*=\s*True",
    "a shell": r"shell\s*=\s*True|os\.system\(",
    "torch.load": r"\btorch\.load\(",
    "markup from text": r"from_markup\(f",
}
DOORS = {  # third-party package -> the only places that may import it
    "faiss": ("index/dense.py",),
    "tantivy": ("index/lexical.py",),
    "sentence_transformers": ("index/encoders/sentence.py", "index/rerank.py"),
    "typer": ("assistant/cli.py", "assistant/__main__.py", "assistant/commands/"),
    "datasets": ("finetune/",),
    "lemminflect": ("finetune/",),
    "textual": ("assistant/tui/",),
    "trl": ("finetune/",),
    "peft": ("finetune/", "assistant/chat_models/"),
    "bitsandbytes": ("finetune/", "assistant/chat_models/"),
}


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 320
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 60, node.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_forbidden_calls_and_single_doors(path: Path) -> None:
    text = path.read_text("utf-8")
    for what, pattern in FORBIDDEN.items():
        assert not re.search(pattern, text), what
    place = path.relative_to(REPOSITORY).as_posix()
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            doors = DOORS.get(name.split(".")[0])
            assert doors is None or place.startswith(doors), f"{name} is imported in {place}"
