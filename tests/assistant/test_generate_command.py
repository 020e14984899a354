"""`assistant generate` and `data` as a user runs them: the installed command, real models, a server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from generate_driver import make_documents

from corpora.store import Library

PROGRAM = Path(sys.executable).with_name("assistant")
CHINESE = """# 布兰诺克

布兰诺克港有一座灯塔，由工程师安娜·克尔于1874年建造，高31米。灯塔的守护人住在旁边的石屋里。

## 渡轮

夏季每小时有两班渡轮穿过海湾，船票四欧元一张，自行车免费。冬季渡轮每天只有三班。
"""


def run(folder: Path, *words: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [PROGRAM, *words], cwd=folder, capture_output=True, text=True, input=stdin, timeout=280
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# -- the embedded teacher -----------------------------------------------------------------------------


@pytest.mark.models
@pytest.mark.timeout(300)
def test_from_documents_to_training_rows_with_the_embedded_models(
    tmp_path: Path, embedded_models: Path
) -> None:
    make_documents(tmp_path / "docs")
    run(tmp_path, "ingest", "docs")
    report = json.loads(run(tmp_path, "generate", "--limit", "12", "--json").stdout)
    assert report["accepted"] == 12
    assert report.keys() >= {"accepted", "rejected", "passages", "seconds"}

    examples = rows(run(tmp_path, "data", "list", "--json").stdout)
    assert len(examples) == 12
    for row in examples:
        text = run(tmp_path, "documents", "show", row["path"], "--text").stdout
        assert text[row["start"] : row["end"]] == row["quote"]
        assert row["answer"] in row["quote"]
        assert row["scores"]["retrieval"] >= 1 / 6
        assert 0.45 <= row["scores"]["likelihood"] <= 1
        assert "round_trip" in row["scores"]
    shown = run(tmp_path, "data", "show", examples[0]["id"][:8]).stdout
    assert examples[0]["question"] in shown

    run(tmp_path, "data", "export", "-o", "rows.jsonl", "--format", "prompt-completion")
    exported = rows((tmp_path / "rows.jsonl").read_text("utf-8"))
    assert exported and all(
        row.keys() >= {"prompt", "completion", "split", "example_id", "question", "quote", "path"}
        for row in exported
    )
    grounded = [row for row in exported if row["kind"] == "grounded"]
    assert grounded
    for row in grounded:
        assert row["question"] in row["prompt"]
        assert row["completion"].startswith(row["answer"])
    stats = json.loads(run(tmp_path, "data", "stats", "--json").stdout)
    assert stats

    run(tmp_path, "data", "drop", examples[0]["id"])
    assert len(rows(run(tmp_path, "data", "list", "--json").stdout)) == 11
    gone = examples[1]["path"]
    run(tmp_path, "documents", "remove", gone)
    left = rows(run(tmp_path, "data", "list", "--json").stdout)
    assert left and gone not in {row["path"] for row in left}


@pytest.mark.models
def test_self_kg_asks_about_a_graph_of_the_users(tmp_path: Path, embedded_models: Path) -> None:
    make_documents(tmp_path / "docs", 1)
    run(tmp_path, "ingest", "docs")
    graph = tmp_path / "graph.tsv"
    graph.write_text("aspirin\ttreats\theadache\naspirin\ttreats\tfever\nfever\tisa\tsymptom\n", "utf-8")
    report = json.loads(
        run(tmp_path, "generate", "--method", "self-kg", "--graph", "graph.tsv", "--json").stdout
    )
    assert report["accepted"] >= 1
    for row in rows(run(tmp_path, "data", "list", "--method", "self-kg", "--json").stdout):
        assert row["quote"] and row["path"].startswith(".assistant/graphs/graph-")
        assert row["split"] == "train"


def test_generate_without_a_library_or_a_file_says_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path, "generate", code=3)
    assert "assistant ingest" in done.stderr
    assert run(tmp_path, "data", "list", code=3).stdout == ""


@pytest.mark.parametrize(
    ("method", "option", "code"), [("self-kg", "--graph", 3), ("self-instruct", "--seeds", 2)]
)
def test_a_mistake_in_a_file_of_the_users_is_told_before_a_model_is_loaded(
    tmp_path: Path, method: str, option: str, code: int
) -> None:
    Library.create(tmp_path / ".assistant").close()
    bad = tmp_path / "bad.json"
    bad.write_text('[{"subject":"Pisa",', "utf-8")
    # A model that does not exist would be exit 8.
    for name in ("bad.json", "missing.json"):
        done = run(
            tmp_path, "generate", "--method", method, option, name, "--teacher", "nope:x", "--json", code=code
        )
        assert name in json.loads(done.stderr.splitlines()[-1])["error"]["message"]


# -- a server ------------------------------------------------------------------------------------------


QUESTIONS = [
    (
        "布兰诺克港的灯塔由谁建造？",
        "工程师安娜·克尔",
        "布兰诺克港有一座灯塔，由工程师安娜·克尔于1874年建造，高31米",
    ),
    ("布兰诺克港的灯塔有多高？", "31米", "布兰诺克港有一座灯塔，由工程师安娜·克尔于1874年建造，高31米"),
    ("本文提到的灯塔建于哪一年？", "1874年", "由工程师安娜·克尔于1874年建造"),
    ("夏季穿过海湾的渡轮船票多少钱一张？", "四欧元", "船票四欧元一张"),
    ("冬季穿过海湾的渡轮每天有几班？", "三班", "这句话不在段落里"),
]


@pytest.fixture()
def server() -> Iterator[str]:
    """An OpenAI-compatible server: asks about what the passage holds, and answers from the script."""

    def say(prompt: str) -> str:
        asked = next((one for one in QUESTIONS if re.search(rf"{re.escape(one[0])}", prompt)), None)
        if asked is None:
            held = [one for one in QUESTIONS if one[1] in prompt]
            return "\n".join(json.dumps({"question": one[0]}, ensure_ascii=False) for one in held) or "无"
        if "JSON" in prompt and asked is not QUESTIONS[0]:
            return json.dumps({"answer": asked[1], "quote": asked[2]}, ensure_ascii=False)
        return f"{asked[1]} [1]"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = {"role": "assistant", "content": say(body["messages"][-1]["content"])}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
            said = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
            data = json.dumps({**said, "choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/v1"
        http.shutdown()
        thread.join()


@pytest.mark.models
@pytest.mark.timeout(300)
def test_self_qa_in_chinese_by_a_server(
    tmp_path: Path, embedded_models: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "布兰诺克.md").write_text(CHINESE, "utf-8")
    run(tmp_path, "ingest", "docs")
    words = ("generate", "--teacher", "openai:scripted", "--base-url", server, "--per-passage", "5", "--json")
    report = json.loads(run(tmp_path, *words).stdout)
    accepted = rows(run(tmp_path, "data", "list", "--json").stdout)
    assert {row["question"] for row in accepted} == {QUESTIONS[n][0] for n in (0, 1, 3)}
    assert {row["language"] for row in accepted} == {"zh"}
    assert all(row["teacher"] == "scripted" and row["quote"] in CHINESE for row in accepted)
    assert report["rejected"] == {"demonstrative": 1, "quote_not_found": 1}
    rejected = rows(run(tmp_path, "data", "list", "--status", "rejected", "--json").stdout)
    assert Counter(row["reason"] for row in rejected) == report["rejected"]
    again = json.loads(run(tmp_path, *words).stdout)
    assert (again["accepted"], again["calls"]) == (0, 0)
