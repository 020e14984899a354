"""`assistant tune` as a user runs it: the installed command, a tiny model, a small library."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tune_makers
from taught_library import TOWNS

from finetune.card import Card
from finetune.evaluation.contest import Paper, System, hold
from finetune.evaluation.gate import decide

PROGRAM = Path(sys.executable).with_name("assistant")
HANDBOOK = Path(__file__).resolve().parents[2] / "corpora" / "handbook" / "tuning.md"


def run(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([PROGRAM, *words], cwd=folder, capture_output=True, text=True, timeout=580)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tune")
    tune_makers.write_chat_model(folder / "chat")
    tune_makers.write_library(folder / "lib", tune_makers.write_encoder(folder / "encoder"))
    return folder


@pytest.fixture()
def place(made: Path, tmp_path: Path) -> Path:
    """A folder with a library of its own; the model lies in ../chat."""
    shutil.copytree(made / "lib", tmp_path / "lib")
    (tmp_path / "chat").symlink_to(made / "chat")
    return tmp_path / "lib"


def rows_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def write_constant(place: Path) -> None:
    """Rows whose answer is always the same, and questions to which it is right: a tiny model learns that."""
    run(place, "data", "export", "-o", "exported.jsonl", "--format", "messages")
    lines = []
    for row in rows_of((place / "exported.jsonl").read_text("utf-8")):
        if row["kind"] != "replay":
            row["messages"][-1]["content"] = "seven [1]"
            kept = {"messages": row["messages"], "split": row["split"], "kind": row["kind"]}
            lines.append(json.dumps(kept))
    (place / "seven.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    asked = [
        {"id": n, "question": f"Which engineer built the lighthouse of {town}?", "answers": ["seven"]}
        for n, town in enumerate(TOWNS[:6])
    ]
    (place / "asked.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked), "utf-8")


# -- what needs no training -------------------------------------------------------------------------------


def test_inspect_shows_what_is_trained_on(place: Path) -> None:
    done = run(place, "tune", "--inspect", "--model", "../chat", "-k", "2")
    assert "\x1b" not in done.stdout
    marked = re.findall(r"⟦(.*?)⟧", done.stdout, re.DOTALL)
    assert marked and all(one.endswith("<|im_end|>") for one in marked)
    assert re.search(r"^\d+ rows: \d+ grounded", done.stdout, re.MULTILINE)
    assert re.search(r"tokens, [\d,]+ of them trained on \(\d+\.\d%\)", done.stdout)
    assert not (place / ".assistant" / "runs").exists()


@pytest.mark.slow
def test_inspect_for_programs(place: Path) -> None:
    row = json.loads(run(place, "tune", "--inspect", "--model", "../chat", "--json").stdout)
    for one in row["shown"]:
        assert sum(run_["trained"] for run_ in one["runs"]) == 1
        assert one["runs"][-1]["trained"] and one["trained"] < one["tokens"]
    assert row["rows"] == sum(row["kinds"].values())


def test_wrong_calls_end_with_their_codes(place: Path, tmp_path: Path) -> None:
    assert "assistant ingest" in run(tmp_path, "tune", code=3).stderr
    assert "--resume" in run(place, "tune", "--resume", "--rank", "4", code=2).stderr
    assert "no run" in run(place, "tune", "--resume", code=3).stderr
    assert "no name" in run(place, "tune", "--name", "../x", "--model", "../chat", code=2).stderr
    run(place, "tune", "--method", "magic", code=2)
    run(place, "tune", "--use", code=2)
    run(place, "tune", "--method", "full", "--no-gate", "--use", code=2)
    run(place, "tune", "--budget", "0", code=2)
    run(place, "tune", "--seed", "-1", code=2)
    for value in ("-1", "nan", "inf"):
        assert "neftune" in run(place, "tune", "--neftune", value, "--model", "../chat", code=2).stderr
    run(place, "tune", "--epochs", "inf", "--model", "../chat", code=2)
    assert run(place, "tune", "--model", "nowhere/at-all", "--offline", code=8)
    assert "elsewhere" in run(place, "tune", "--inspect", "--model", "openai:gpt-4o", code=2).stderr
    done = run(place, "tune", "--model", "../chat", "--from", "nobody", code=8)
    assert "adapters list" in done.stderr
    (place / "bad.jsonl").write_text('{"question": 3}\n', "utf-8")
    assert (
        "bad.jsonl:1" in run(place, "tune", "--questions", "bad.jsonl", "--model", "../chat", code=2).stderr
    )
    done = run(place, "tune", "--inspect", "--model", "../chat", "--max-length", "40", code=2)
    assert "--max-length" in done.stderr
    assert not (place / ".assistant" / "runs").exists()


def test_a_library_without_examples_says_what_to_do(made: Path, tmp_path: Path) -> None:
    folder = tune_makers.write_library(tmp_path, made / "encoder", taught=False)
    done = run(folder.parent, "tune", "--model", str(made / "chat"), "--json", code=3)
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert (error["code"], error["hint"]) == ("no_examples", "assistant generate")


# -- training ---------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_from_rows_to_a_verdict_that_the_card_keeps(place: Path) -> None:
    write_constant(place)
    words = ("--data", "seven.jsonl", "--questions", "asked.jsonl", "--learning-rate", "0.02")
    more = ("--epochs", "6", "--batch", "8", "--budget", "10", "--name", "seven", "--json")
    before = set(place.iterdir())
    done = run(place, "tune", "--model", "../chat", *words, *more)
    assert set(place.iterdir()) == before, "all that is written is in the library"
    card = json.loads(done.stdout)
    folder = place / ".assistant" / "adapters" / "seven"
    assert card == json.loads(json.dumps(Card.read(folder).as_json()))
    verdict = card["verdict"]
    assert verdict["gate"] is True
    assert card["settings"]["learning_rate"] == {"value": 0.02, "origin": "flag"}
    assert card["settings"]["method"]["origin"].startswith("default")
    sets = {one["questions"] for one in verdict["details"]["systems"]}
    assert sets == {"held-out", "your questions"}
    assert verdict["promoted"] is ("verdict: promoted" in verdict["table"])
    assert verdict["promoted"] is all(one["passed"] for one in verdict["details"]["conditions"])
    listed = rows_of(run(place, "adapters", "list", "--json").stdout)
    assert [one["active"] for one in listed if one["name"] == "seven"] == [verdict["promoted"]]
    assert card["training"]["steps"] == 30 and card["parent"] is None
    run_folder = place / ".assistant" / "runs" / "seven"
    assert {"log.jsonl", "loss.png", "plan.json", "done"} <= {one.name for one in run_folder.iterdir()}
    assert not (run_folder / "checkpoints").exists()
    for line in ("model ", "method ", "rank ", "learning rate ", "time "):
        assert re.search(rf"^  {line}", done.stderr, re.MULTILINE), done.stderr
    assert ("answers on" in done.stderr) is verdict["promoted"]
    taken = run(place, "tune", "--model", "../chat", "--name", "seven", code=5)
    assert "already" in taken.stderr and "adapters remove seven" in taken.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_the_gate_the_card_says_so_and_nothing_changes(place: Path) -> None:
    words = ("--no-gate", "--epochs", "1", "--name", "plain", "--budget", "10", "-k", "2")
    done = run(place, "tune", "--model", "../chat", *words)
    card = Card.read(place / ".assistant" / "adapters" / "plain")
    assert card.verdict is not None
    assert (card.verdict.promoted, card.verdict.gate) == (False, False)
    assert "--no-gate" in card.verdict.reason and "--no-gate" in done.stdout
    assert card.serving is not None and card.serving.examples is False
    assert card.settings["passages"].value == 2
    assert {one.path for one in card.data.documents} <= {f"towns/{town.lower()}.md" for town in TOWNS}
    listed = rows_of(run(place, "adapters", "list", "--json").stdout)
    assert [one["active"] for one in listed if one["name"] == "plain"] == [False]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on(place: Path, number: signal.Signals) -> None:
    command = [PROGRAM, "tune", "--model", "../chat", "--name", "long", "--no-gate", "--epochs", "30"]
    log = place / ".assistant" / "runs" / "long" / "log.jsonl"
    with subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        deadline = time.monotonic() + 200
        while not (log.is_file() and log.read_text().count('"event":"step"') > 3):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(number)
        _, err = child.communicate(timeout=100)
    assert child.returncode == 128 + number, err
    assert "assistant tune --resume --name long" in err
    refused = run(place, "tune", "--model", "../chat", "--name", "long", code=5)
    assert "--resume --name long" in refused.stderr
    done = run(place, "tune", "--resume", "--json")
    card = json.loads(done.stdout)
    steps = [one["step"] for one in rows_of(log.read_text()) if one["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1)) and card["training"]["steps"] == len(steps)
    assert "no run" in run(place, "tune", "--resume", code=3).stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_whose_documents_changed_is_not_resumed(place: Path) -> None:
    command = [PROGRAM, "tune", "--model", "../chat", "--name", "long", "--no-gate", "--epochs", "30"]
    log = place / ".assistant" / "runs" / "long" / "log.jsonl"
    with subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL) as child:
        while not (log.is_file() and log.read_text().count('"event":"step"') > 3):
            assert child.poll() is None
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
    for town in ("brannock", "halden", "ithaca"):
        run(place, "documents", "remove", f"towns/{town}.md")
    assert "changed since" in run(place, "tune", "--resume", code=5).stderr


@pytest.mark.timeout(300)
def test_a_run_that_went_wrong_leaves_its_name_free(place: Path) -> None:
    words = ("tune", "--model", "../chat", "--name", "mine", "--no-gate", "--epochs", "1", "-k", "2")
    wrong = run(place, *words, "--learning-rate", "1e30", code=5)
    assert "not a number" in wrong.stderr and "--learning-rate" in wrong.stderr
    assert "no run" in run(place, "tune", "--resume", code=3).stderr
    run(place, *words)
    assert (place / ".assistant" / "runs" / "mine" / "log.jsonl").is_file()
    assert (place / ".assistant" / "adapters" / "mine" / "card.json").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", "prompt prefix p-tuning freeze full qlora 8bit dora rslora".split())
def test_every_method_goes_from_rows_to_a_verdict(place: Path, method: str) -> None:
    done = run(place, "tune", "--model", "../chat", "--method", method, "--epochs", "1", "--json", "-k", "2")
    card = json.loads(done.stdout)
    assert card["method"] == {"8bit": "int8"}.get(method, method)
    assert card["verdict"]["gate"] is True and card["verdict"]["table"]
    assert card["serving"]["examples"] is False


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pretraining_reads_the_passages(place: Path) -> None:
    done = run(place, "tune", "--model", "../chat", "--stage", "pretrain", "--no-gate", "--use", "--json")
    card = json.loads(done.stdout)
    assert set(card["data"]["kinds"]) == {"passage"}
    assert card["settings"]["stage"]["value"] == "pretrain"
    listed = rows_of(run(place, "adapters", "list", "--json").stdout)
    assert [one["active"] for one in listed if one["base"] != "smollm2-135m"] == [True]


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_embedded_model_is_tuned_and_judged_within_its_budget(
    tmp_path: Path, embedded_models: Path
) -> None:
    from generate_driver import make_documents

    make_documents(tmp_path / "docs")
    run(tmp_path, "ingest", "docs")
    run(tmp_path, "generate", "--limit", "24")
    began = time.monotonic()
    done = subprocess.run(
        [PROGRAM, "tune", "--budget", "10", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 10 * 60 * 1.1
    card = json.loads(done.stdout)
    assert card["base"]["name"] == "smollm2-135m" and "Q4_1" in card["base"]["note"]
    assert card["verdict"] is not None


# -- the handbook -----------------------------------------------------------------------------------------


def table_rows(heading: str) -> list[str]:
    text = HANDBOOK.read_text("utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    return [line.strip("|").split("|")[0].strip() for line in text.splitlines() if line.startswith("| ")][1:]


def test_the_handbook_explains_every_option() -> None:
    shown = subprocess.run([PROGRAM, "tune", "--help"], capture_output=True, text=True).stdout
    wanted = set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--library", "--offline", "--help"}
    options = {re.findall(r"--?[a-z][a-z-]*", cell)[0] for cell in table_rows("## Options")}
    assert options == wanted | {"-k"}


def test_the_handbook_explains_every_method_and_condition() -> None:
    shown = subprocess.run([PROGRAM, "tune", "--help"], capture_output=True, text=True).stdout
    methods = {name for cell in table_rows("## Methods") for name in cell.split(", ")}
    found = re.search(r"--method <(.*?)>", shown.replace("\n", ""))
    assert found is not None and methods == set(found[1].replace(" ", "").split("|"))
    conditions = set(table_rows("## The gate"))
    assert conditions == {*_conditions(), "F1 on a set of questions", "general skills"}


def _conditions() -> set[str]:
    from evaluation_makers import answer

    from finetune.evaluation.questions import EvalQuestion

    class Says:
        def answer(self, question: str) -> Any:
            return answer("seven")

    system = System(Says(), Says())
    paper = Paper("a", (EvalQuestion(1, "?", ("seven",)),))
    held = hold([paper], {"base": system, "candidate": system}, closed_book=0, left=lambda: 1.0)
    return {one.name for one in decide(held.contests, None).conditions}
