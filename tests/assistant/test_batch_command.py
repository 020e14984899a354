"""`assistant batch` as a user runs it: tiny models in this process, and the embedded one with its adapter."""

from __future__ import annotations

import csv
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_chat import write_adapter, write_model
from tiny_models import write_bert

from assistant.__main__ import main
from corpora.prompt import REFUSAL
from finetune.card import Serving

PROGRAM = Path(sys.executable).with_name("assistant")
HANDBOOK = Path(__file__).resolve().parents[2] / "corpora" / "handbook"
HARBOUR = "The lighthouse of the harbour was built in 1874 by Anna Kerr.\n"
QUESTIONS = [
    "What does exit code 7 mean?",
    "Which option prints one JSON object?",
    "How do I read questions from standard input?",
    "What happens to a torn last line?",
    "Where are the settings of the user kept?",
    "How is an adapter put to use?",
    "Which file types can be read?",
    "Who won the chess world championship in 1972?",
    "What is a refused answer?",
    "How many tokens does a passage have?",
    "What does --prune do?",
    "Does the program send documents over the network?",
    "How do I export an adapter as GGUF?",
    "What is the default number of passages?",
    "What does F1 measure?",
    "How is a stale document marked?",
    "What is the encoder for Chinese?",
    "When is an adapter promoted?",
    "What does assistant doctor check?",
    "How are questions for training generated?",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """A folder with a library of one document, a tiny encoder, and adapters of the tiny model."""
    made = tmp_path_factory.mktemp("place")
    (made / "harbour.md").write_text(HARBOUR, "utf-8")
    encoder = write_bert(tmp_path_factory.mktemp("encoder") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert main(["ingest", "harbour.md", "--encoder", str(encoder)]) == 0
    adapters = made / ".assistant" / "adapters"
    write_adapter(adapters / "shy", base, serving=Serving(examples=False, refusal_threshold=0.0))
    write_adapter(adapters / "bold", base, serving=Serving(examples=False, refusal_threshold=1.0), scale=0.2)
    return made


@pytest.fixture()
def folder(place: Path, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of this test's own below that of the library; the tiny model answers."""
    own = place / tmp_path.name
    own.mkdir()
    monkeypatch.chdir(own)
    monkeypatch.setenv("ASSISTANT_MODEL", str(base))
    return own


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parsed(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in found:
        del row["seconds"]
    return found


def asked(capfd: pytest.CaptureFixture[str], question: str, *words: str) -> dict[str, Any]:
    """What `ask --json` prints."""
    capfd.readouterr()
    assert main(["ask", question, "--json", *words]) == 0
    row: dict[str, Any] = json.loads(capfd.readouterr().out)
    del row["seconds"]
    return row


def test_rows_are_what_ask_prints_with_their_adapters(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    question = "When was the lighthouse of the harbour built?"
    adapters = ["shy", None, "bold", "none", "shy", "absent"]
    (folder / "q.jsonl").write_text(lines(*({"question": question, "adapter": name} for name in adapters)))
    capfd.readouterr()
    assert main(["batch", "q.jsonl", "-o", "out.jsonl", "--adapter", "bold", "--json"]) == 4
    summary = json.loads(capfd.readouterr().out)
    assert (summary["rows"], summary["refused"], summary["errors"]) == (6, 2, 1)
    assert summary["adapter"] == "bold" and summary["model"].endswith("tiny")
    assert summary["prefill_tokens_per_second"] > 0 and summary["decode_tokens_per_second"] > 0
    found = parsed(folder / "out.jsonl")
    for row, name in zip(found[:5], ["shy", "bold", "bold", "none", "shy"], strict=True):
        assert asked(capfd, question, "--adapter", name).items() <= row.items()
    assert found[0]["answer"] == REFUSAL["en"]
    assert "no adapter" in found[5]["error"] and found[5]["status"] == "error"
    assert main(["batch", "q.jsonl", "-o", "out.jsonl", "--adapter", "bold"]) == 4
    assert parsed(folder / "out.jsonl") == found
    assert main(["batch", "q.jsonl", "-o", "out.jsonl", "--adapter", "shy", "--json"]) == 5
    assert json.loads(capfd.readouterr().err.splitlines()[-1])["error"]["code"] == "other_run"


def test_a_table_in_and_a_table_out(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = "id;question;k;expected\r\n=1;When was it built?;1;1874\r\nx;;;\r\n"
    (folder / "in.csv").write_bytes(b"\xef\xbb\xbf" + table.encode())
    assert main(["batch", "in.csv", "-o", "out.csv", "--extractive"]) == 4
    said = capfd.readouterr()
    assert 'in.csv:3: no "question" in it' in said.err
    assert "2 rows: 1 answered, 0 refused, 1 failed" in said.out and "F1" in said.out
    with (folder / "out.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["id"], first["status"], first["sources"]) == ("'=1", "ok", "harbour.md:1")
    assert float(first["f1"]) > 0 and second["status"] == "error"
    assert main(["batch", "in.csv", "-o", "out.csv", "--extractive", "--json"]) == 4
    assert json.loads(capfd.readouterr().out)["kept"] == 2


def test_wrong_calls_end_with_their_codes(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "q.jsonl").write_text(lines({"question": "When?"}))
    (folder / "empty.jsonl").write_text("\n\n")
    (folder / "other.csv").write_text("text\nWhen?\n")
    for words, code in (
        (["absent.jsonl", "-o", "o.jsonl"], 2),
        (["q.jsonl"], 2),
        (["q.jsonl", "-o", "q.jsonl"], 2),
        (["q.jsonl", "-o", "no/such/o.jsonl"], 2),
        (["q.jsonl", "-o", "."], 2),
        (["q.jsonl", "-o", "-"], 2),
        (["other.csv", "-o", "o.jsonl"], 2),
        (["q.jsonl", "-o", "o.jsonl", "--extractive", "--no-retrieval"], 2),
        (["empty.jsonl", "-o", "o.jsonl"], 3),
        (["q.jsonl", "-o", "o.jsonl", "--adapter", "absent"], 8),
        (["q.jsonl", "-o", "q.out", "--library", str(folder / "none")], 3),
    ):
        assert main(["batch", *words]) == code, words
        assert "Traceback" not in capfd.readouterr().err
        assert not [one.name for one in folder.iterdir() if one.name in ("o.jsonl", "q.out", "-")], words
    assert (folder / "q.jsonl").read_text() == lines({"question": "When?"})


def test_a_long_question_and_a_control_character_are_the_rows_own(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"question": "When was it built? " * 4000},
        {"question": "a", "x\x1b[2J": 1},
        {"question": "When?"},
    ]
    (folder / "q.jsonl").write_text(lines(*rows))
    assert main(["batch", "q.jsonl", "-o", "out.jsonl", "--no-retrieval"]) == 4
    found = parsed(folder / "out.jsonl")
    assert [row["status"] for row in found] == ["error", "ok", "ok"]
    assert "tokens" in found[0]["error"]
    said = capfd.readouterr().err
    assert "Ignored: x" in said and "\x1b" not in said


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory, weights_cache: Path) -> Path:
    """A folder with a library of the handbook."""
    made = tmp_path_factory.mktemp("handbook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(weights_cache))
        done = subprocess.run(
            [PROGRAM, "ingest", HANDBOOK, "--encoder", "all-minilm-l6-v2"],
            cwd=made,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    return made


def compare(handbook: Path, out: Path, questions: list[str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row of a batch with what the engine of `ask` says when it is asked that question alone."""
    from assistant.answer.build import build_engine
    from assistant.answer.rows import answer_row
    from assistant.batch.questions import read_questions
    from assistant.batch.run import run
    from assistant.batch.windows import Options
    from assistant.runtime import opened

    data = lines(*({"question": question} for question in questions)).encode()
    with opened(handbook / ".assistant", {"offline": True}) as runtime:
        run(runtime, read_questions(data, "q.jsonl"), out, Options())
        engine = build_engine(runtime)
        alone = [answer_row(engine.answer(question)) for question in questions]
    return [
        ({key: row[key] for key in one if key != "seconds"}, {k: v for k, v in one.items() if k != "seconds"})
        for row, one in zip(parsed_with_seconds(out), alone, strict=True)
    ]


def parsed_with_seconds(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.models
@pytest.mark.parametrize("number", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_the_embedded_model_answers_as_one_by_one(
    handbook: Path, embedded_models: Path, tmp_path: Path, number: int
) -> None:
    """The tolerance is none at all for prompts of 256 tokens and more, which all of these are."""
    pairs = compare(handbook, tmp_path / "out.jsonl", QUESTIONS[:number])
    assert [row for row, _ in pairs] == [alone for _, alone in pairs]
    read = [row["usage"]["prompt_tokens"] for row, _ in pairs if row["usage"]["prompt_tokens"]]
    assert len(read) > number // 2 and min(read) >= 256
    assert {row["adapter"] for row, _ in pairs if row["refusal"] != "floor"} == {"grounding"}
    assert any(row["usage"]["completion_tokens"] > 3 and not row["refused"] for row, _ in pairs)


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_embedded_model_goes_on_where_it_was_killed(
    handbook: Path, embedded_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "q.jsonl").write_text(lines(*({"question": question} for question in QUESTIONS)))
    command = [
        PROGRAM,
        "batch",
        tmp_path / "q.jsonl",
        "--offline",
        "--library",
        handbook / ".assistant",
        "-o",
    ]
    began = time.monotonic()
    subprocess.run([*command, tmp_path / "plain.jsonl"], check=True, capture_output=True)
    seconds, out, rng = time.monotonic() - began, tmp_path / "out.jsonl", random.Random(5)
    for share in (0.4, 0.6, 0.8, rng.uniform(0.3, 1)):
        with subprocess.Popen([*command, out], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as child:
            time.sleep(share * seconds)
            child.send_signal(signal.SIGKILL)
    subprocess.run([*command, out], check=True, capture_output=True)
    assert parsed(out) == parsed(tmp_path / "plain.jsonl")


@pytest.mark.models
@pytest.mark.slow
def test_ctrl_c_stops_within_seconds_and_the_rest_can_be_asked(
    handbook: Path, embedded_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "q.jsonl").write_text(
        lines(*({"question": f"{q} ({n})"} for n in range(4) for q in QUESTIONS))
    )
    command = [PROGRAM, "batch", "q.jsonl", "-o", "out.jsonl", "--library", handbook / ".assistant", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        deadline = time.monotonic() + 200
        out = tmp_path / "out.jsonl"
        while not (out.is_file() and out.stat().st_size):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        said, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert time.monotonic() - began < 15
    assert "Traceback" not in err
    if said:
        summary = json.loads(said)
        assert summary["stopped"] and summary["missing"] == 80 - len(parsed(out))


def test_the_handbook_explains_every_option_and_key() -> None:
    from assistant.batch.questions import KEYS

    text = (HANDBOOK / "batch.md").read_text("utf-8")
    cells = [line.strip("|").split("|")[0].strip() for line in text.splitlines() if line.startswith("|")]
    assert {name for cell in cells for name in cell.split(", ")} >= {
        *KEYS,
        "key",
        "status",
        "error",
        "em",
        "f1",
    }
    shown = subprocess.run([PROGRAM, "batch", "--help"], capture_output=True, text=True).stdout
    options = {option for cell in cells for option in re.findall(r"--[a-z][a-z-]+", cell)}
    assert set(re.findall(r"--[a-z][a-z-]+", shown)) == options | {"--library", "--offline", "--help"}
