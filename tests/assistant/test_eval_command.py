"""`assistant eval` as a user runs it: the installed command, real models, a few questions."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from finetune.evaluation.summary import MEASURES

PROGRAM = Path(sys.executable).with_name("assistant")
HANDBOOK = Path(__file__).resolve().parents[2] / "corpora" / "handbook" / "evaluating.md"
HARBOUR = """# Harbour

The harbour of Brannock is guarded by a lighthouse. It was built in 1874 by the engineer Anna Kerr.

The tower of the lighthouse is 31 metres high, and its lamp can be seen from twenty miles away.
"""
QUESTIONS = [
    {"id": "when", "question": "When was the lighthouse built?", "answers": ["1874"]},
    {"id": 2, "question": "How high is the tower of the lighthouse?", "answers": ["31 metres", "31 m"]},
    {"id": "chess", "question": "Who won the chess world championship in 1972?", "answers": []},
]


def run(folder: Path, *words: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [PROGRAM, *words], cwd=folder, capture_output=True, text=True, input=stdin, timeout=280
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, weights_cache: Path) -> Path:
    made = tmp_path_factory.mktemp("eval")
    (made / "harbour.md").write_text(HARBOUR, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(weights_cache))
        run(made, "ingest", "harbour.md")
    return made


@pytest.fixture()
def parsed(embedded_models: Path, folder: Path) -> Path:
    """The folder with a library; the embedded weights may be used."""
    (folder / "questions.jsonl").write_text(lines(*QUESTIONS), "utf-8")
    return folder


@pytest.mark.models
def test_measures_of_three_questions(parsed: Path) -> None:
    done = run(parsed, "eval", "questions.jsonl", "-o", "results.jsonl", "--json", "--offline")
    (line,) = done.stdout.splitlines()
    row: dict[str, Any] = json.loads(line)
    assert (row["n"], row["answerable"], row["must_refuse"]) == (3, 2, 1)
    assert (row["errors"], row["bad_lines"], row["stopped"]) == (0, 0, False)
    passages = 4 if row["adapter"] else 6  # with the shipped adapter, if there is one
    assert (row["model"], row["retrieval"], row["k"]) == ("smollm2-135m", True, passages)
    assert row.keys() >= MEASURES.keys() and row["intervals"].keys() == MEASURES.keys()
    assert (row["refusal_precision"], row["refusal_recall"], row["over_refusal"]) == (1.0, 1.0, 0.0)
    assert row["answerable_f1"] > 0.3
    assert row["f1"] == pytest.approx((2 * row["answerable_f1"] + 1) / 3, abs=1e-3)
    assert (row["citation_precision"], row["recall@k"]) == (1.0, 1.0)
    assert 1 < row["perplexity"] < 1000
    assert 0 < row["seconds"]["p50"] <= row["seconds"]["p95"] < row["seconds"]["total"]

    results = [json.loads(one) for one in (parsed / "results.jsonl").read_text("utf-8").splitlines()]
    assert [(one["id"], one["status"]) for one in results] == [
        ("when", "ok"),
        (2, "ok"),
        ("chess", "refused"),
    ]
    assert results[0]["quotes"][0]["quote"] in HARBOUR
    assert sum(one["f1"] for one in results) == pytest.approx(3 * row["f1"], abs=1e-3)


@pytest.mark.models
def test_bad_lines_and_failed_questions_are_named_and_the_rest_is_evaluated(parsed: Path) -> None:
    long = {"id": "long", "question": "When was the lighthouse of Brannock built? " * 1200, "answers": ["x"]}
    text = lines(QUESTIONS[2], {"id": "x", "answers": []}) + "{oops\n" + lines(QUESTIONS[2], long)
    done = run(parsed, "eval", "-", stdin=text, code=4)
    assert [line for line in done.stderr.splitlines() if line.startswith("-:")] == [
        '-:2: no "question" in it, or an empty one',
        "-:3: not JSON",
        "-:4: the same id as line 1",
    ]
    assert "question long: The question" in done.stderr
    head = "1 questions, 1 of them to be refused; smollm2-135m with grounding, 4 passages\n"
    assert done.stdout.startswith(head)
    assert re.search(r"^  refusal recall +1\.000$", done.stdout, re.MULTILINE)
    assert "perplexity" not in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.models
def test_without_retrieval_nothing_is_said_of_passages(parsed: Path) -> None:
    question = {"id": "a", "question": "What is the capital of France?", "answers": ["Paris"]}
    row = json.loads(run(parsed, "eval", "-", "--no-retrieval", "--json", stdin=lines(question)).stdout)
    assert (row["n"], row["retrieval"], row["k"]) == (1, False, None)
    assert row["recall@k"] is None and row["citation_precision"] is None and row["cited"] == 0
    assert row["answerable_f1"] > 0 and row["perplexity"] > 1


@pytest.mark.models
@pytest.mark.slow
def test_ctrl_c_gives_the_measures_so_far(parsed: Path) -> None:
    many = lines(*({**QUESTIONS[0], "id": number} for number in range(500)))
    (parsed / "many.jsonl").write_text(many, "utf-8")
    command = [PROGRAM, "eval", "many.jsonl", "--json", "-o", "some.jsonl"]
    with subprocess.Popen(
        command, cwd=parsed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        deadline = time.monotonic() + 200
        while not ((parsed / "some.jsonl").is_file() and (parsed / "some.jsonl").stat().st_size):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=100)
    assert child.returncode == 130, err
    assert "Traceback" not in err
    if out:  # else the question at hand took longer than the patience of a signal
        row = json.loads(out)
        assert row["stopped"] is True and 0 < row["n"] < 500


@pytest.mark.models
def test_wrong_calls_end_with_their_codes(parsed: Path, tmp_path: Path) -> None:
    assert "no-such.jsonl: No such file" in run(parsed, "eval", "no-such.jsonl", code=2).stderr
    (parsed / "empty.jsonl").write_text("\n", "utf-8")
    done = run(parsed, "eval", "empty.jsonl", "--json", code=3)
    assert json.loads(done.stderr)["error"]["code"] == "no_input"
    before = (parsed / "questions.jsonl").read_bytes()
    assert (
        "holds the questions"
        in run(parsed, "eval", "questions.jsonl", "-o", "questions.jsonl", code=2).stderr
    )
    assert (parsed / "questions.jsonl").read_bytes() == before
    run(parsed, "eval", "questions.jsonl", "-o", "no/such/folder.jsonl", code=2)
    run(parsed, "eval", "questions.jsonl", "--adapter", "no-such-adapter", code=8)
    run(tmp_path, "eval", "questions.jsonl", code=3)


def test_the_handbook_explains_every_measure_and_option() -> None:
    text = HANDBOOK.read_text("utf-8")
    cells = [line.strip("|").split("|")[0].strip() for line in text.splitlines() if line.startswith("|")]
    named = {name for cell in cells for name in cell.split(", ")}
    assert MEASURES.keys() <= named
    shown = subprocess.run([PROGRAM, "eval", "--help"], capture_output=True, text=True).stdout
    options = {option for cell in cells for option in re.findall(r"--[a-z][a-z-]+", cell)}
    assert set(re.findall(r"--[a-z][a-z-]+", shown)) == options | {"--library", "--offline", "--help"}
