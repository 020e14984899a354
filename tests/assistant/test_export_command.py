"""`assistant export` as a user runs it: a library, a tiny model, its adapter, held-out questions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import taught_library
from export_models import write_adapter, write_model

from assistant import exporting
from assistant.__main__ import main
from corpora.store import ExampleStore
from finetune.adapters.store import install, shipped
from finetune.card import Card, Setting
from finetune.export import llama_cpp, parity

PROGRAM = Path(sys.executable).with_name("assistant")
HANDBOOK = Path(__file__).resolve().parents[2] / "corpora" / "handbook" / "exporting.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    base = write_model(folder / "tiny", "smollm2", max_position_embeddings=2048)
    adapter = write_adapter(
        folder / "made" / "towns",
        base,
        settings={"method": Setting("lora", "default")},
        licences=("CC0-1.0",),
    )
    write_model(folder / "odd", "smollm2", hidden_act="gelu")
    with taught_library.make(folder / ".assistant") as library:
        install(library, adapter, Card.read(adapter))
        store = ExampleStore(library)
        with library.write() as writer:
            store.add(writer, taught_library.examples(library))
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library has no real vectors, and random weights never end an answer."""
    monkeypatch.setenv("ASSISTANT_MODE", "lexical")
    monkeypatch.setattr(exporting, "MAX_NEW_TOKENS", 12)


def run(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> tuple[str, str]:
    """What the command prints, in this process."""
    out, err = TextIOWrapper(BytesIO(), "utf-8"), TextIOWrapper(BytesIO(), "utf-8")
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        done = main(["export", *words])
    texts = []
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
        texts.append(stream.read())
    assert done in codes, texts
    return texts[0], texts[1]


def exported(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    (line,) = run(folder, *words, "--json", "--offline", codes=(code,))[0].splitlines()
    row: dict[str, Any] = json.loads(line)
    return row


def test_a_peft_folder_is_checked_with_questions_that_training_does_not_see(
    made: Path, tmp_path: Path
) -> None:
    row = exported(made, "towns", "--format", "peft", "-o", str(tmp_path / "out"), "--check", "2")
    assert {
        name: row[name] for name in ("name", "format", "method", "rounding", "precision", "unchecked")
    } == {
        "name": "towns",
        "format": "peft",
        "method": "lora",
        "rounding": None,
        "precision": None,
        "unchecked": None,
    }
    assert row["licences"] == ["CC0-1.0"] and row["output"] == str(tmp_path / "out")
    assert row["files"] == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert row["check"] == {
        "questions": 2,
        "identical": 2,
        "agreeing": 2,
        "f1": 1.0,
        "log_probability_difference": 0.0,
        "texts_cut_alike": None,
        "passed": True,
    }


def test_a_gguf_is_answered_by_llama_cpp_and_reported(made: Path, tmp_path: Path) -> None:
    if not llama_cpp.is_installed():
        pytest.skip("no llama.cpp here: pip install xllamacpp")
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"question": "Who built the lighthouse of Oldham?", "answers": []}\n')
    words = ("towns", "--format", "gguf", "--questions", str(questions), "--precision", "q8_0")
    # Random weights are hardly ever sure of anything, so that eight bits may well turn an answer.
    text, _ = run(made, *words, "-o", str(tmp_path / "out"), codes=(0, 4))
    assert "towns as gguf (q8_0)" in text and "towns-q8_0.gguf" in text
    assert "texts cut into the same tokens      1 of 1" in text
    assert re.match("pass: the export|FAIL: the export", text.splitlines()[-1])


def test_without_llama_cpp_it_says_how_to_check(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp, "PACKAGE", "no_such_package")
    _, said = run(made, "towns", "--format", "gguf", "-o", str(tmp_path / "out"))
    assert "not checked: llama.cpp is not here: pip install" in said
    assert (tmp_path / "out" / "towns-f16.gguf").is_file()


def test_an_export_that_answers_otherwise_ends_with_code_4(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "LEAST_AGREEING", 2.0)  # what nothing can reach
    row = exported(made, "towns", "--format", "peft", "-o", str(tmp_path / "out"), "--check", "1", code=4)
    assert row["check"]["passed"] is False and (tmp_path / "out" / "card.json").is_file()


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["nobody", "--format", "peft", "-o", "out"], 8, "adapter_missing"),
        (["towns", "--format", "merged", "-o", "tiny"], 5, "not_empty"),
        (["towns", "--format", "merged", "-o", "no/such/out"], 2, "usage"),
        (["towns", "--format", "merged", "-o", "out", "--precision", "f16"], 2, "usage"),
        (["towns", "--format", "merged", "-o", "out", "--questions", "none.jsonl"], 2, "usage"),
        (["./odd", "--format", "gguf", "-o", "out"], 5, "unsupported_architecture"),
        (["./made", "--format", "gguf", "-o", "out"], 8, "adapter_missing"),
        (["./tiny", "--format", "peft", "-o", "out"], 5, "not_an_adapter"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    made: Path, words: list[str], code: int, error: str
) -> None:
    before = sorted(path.name for path in made.iterdir())
    out, err = run(made, *words, "--check", "1", "--json", codes=(code,))
    assert out == "" and json.loads(err.splitlines()[-1])["error"]["code"] == error
    assert sorted(path.name for path in made.iterdir()) == before


def test_the_handbook_names_every_option() -> None:
    done = subprocess.run([PROGRAM, "export", "--help"], capture_output=True, text=True)
    options = set(re.findall(r"--[a-z]+", done.stdout)) - {"--help", "--library", "--offline"}
    text = HANDBOOK.read_text("utf-8")
    rows = [
        line for line in text.split("## Options")[1].split("##")[0].splitlines() if line.startswith("| `")
    ]
    assert {re.findall(r"--[a-z]+", row)[0] for row in rows} == options
    for bound in (parity.LEAST_AGREEING, parity.LEAST_CUT_ALIKE):
        assert f"{bound:.0%}".replace("%", " %") in text
    assert str(parity.MOST_DIFFERENCE) in text and str(parity.TIE) in text


@pytest.mark.slow
@pytest.mark.models
def test_the_shipped_adapter_answers_alike_in_llama_cpp(embedded_models: Path, tmp_path: Path) -> None:
    if not llama_cpp.is_installed() or "grounding" not in {adapter.name for adapter in shipped()}:
        pytest.skip("needs xllamacpp and the shipped adapter")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ASSISTANT_MODE")
        shutil.copytree(HANDBOOK.parent, tmp_path / "handbook")
        with chdir(tmp_path):
            assert main(["ingest", "handbook", "--offline"]) == 0
        names = (
            "Which exit code means that a model is missing?",
            "Who won the chess world championship in 1972?",
        )
        lines = "".join(json.dumps({"question": name, "answers": []}) + "\n" for name in names)
        (tmp_path / "questions.jsonl").write_text(lines)
        row = exported(
            tmp_path,
            "grounding",
            "--format",
            "gguf",
            "-o",
            "out",
            "--questions",
            str(tmp_path / "questions.jsonl"),
        )
    assert row["check"]["passed"] and row["check"]["texts_cut_alike"] == 2
