"""Self-QA in Chinese with a recorded OpenAI-compatible server on loopback and the real client.

The passages are those that an ingest of real articles gives. The server replays what a model of seven
billion parameters says, good and bad: garbage, half a reply, thoughts, too many requests, errors.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ingest_driver
import pytest

from assistant.chat_models import load_chat_model
from corpora.records import Message, Passage
from corpora.store import ExampleStore, Library, StoredReply
from finetune.candidates import Candidate
from finetune.chat_teacher import ChatTeacher, teacher_fingerprint, teacher_name
from finetune.self_qa import SelfQA
from finetune.teacher import Ask

STATION = "\n".join(
    (
        "好的，以下是问题：",
        "```json",
        '{"question": "三元桥站位于北京市的哪个区？"}',
        "{“question”：“三元桥站10号线车站主体结构于何时完工？”}",
        "{'question': '三元桥站共设几个出入口？',}",
        "```",
    )
)
LIST = "1. 三氯化氮由谁首先制得？\n2、三氯化氮的沸点是多少？\n3) 三氯化氮分子的结构是什么？\n4. 三氯化"
# A piece of the prompt -> the replies to the first call with it, the second, ...: (status, text, finish)
RECORDED: dict[str, list[tuple[int, str, str]]] = {
    "问题：\n 三元桥站位于": [(200, '{"answer": "朝阳区", "quote": "三元桥站位于北京市朝阳区"}', "stop")],
    "问题：\n 三元桥站10号线": [(429, "slow down", ""), (200, "答案：2007年4月28日", "stop")],
    "问题：\n 三元桥站共设": [(200, '{"answer": "八个", "quote": "车站设八个出入口。"}', "stop")],
    "问题：\n 三氯化氮由谁": [
        (
            200,
            '<think>段落说……</think>{"answer": "皮埃尔·路易·杜隆", "quote": '
            '"皮埃尔·路易·杜隆在1812年首先制得三氯化氮"}',
            "stop",
        )
    ],
    "问题：\n 三氯化氮的沸点": [(200, '{"answer": null, "quote": null}', "stop")],
    "问题：\n 三氯化氮分子": [(500, "boom", "")],
    "三元桥站位于北京市": [(200, STATION, "stop")],
    "三氯化氮，也称为": [
        (503, "loading", ""),
        (200, LIST, "length"),
    ],
}
GARBAGE = (200, "作为一个语言模型，我无法完成这个任务。", "stop")


@dataclass
class Server:
    """What was asked, and how often each recorded piece."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: dict[str, Any]) -> tuple[int, str, str]:
        with self.lock:
            self.requests.append(request)
            prompt = request["messages"][-1]["content"]
            key = next((key for key in RECORDED if key in prompt), None)
            if key is None:
                return GARBAGE
            times = self.seen[key] = self.seen.get(key, 0) + 1
            return RECORDED[key][min(times, len(RECORDED[key])) - 1]


@pytest.fixture()
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, text, finish = state.reply(body)
            message = {"role": "assistant", "content": text}
            said = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            }
            data = json.dumps(said if status == 200 else {"error": {"message": text}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "5")  # keeps the client's own waits short
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/v1"
        thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


class Kept:
    """The library as a reply cache: one durable transaction for what came together."""

    def __init__(self, library: Library) -> None:
        self._library, self._store = library, ExampleStore(library)

    def replies(self, keys: list[str]) -> dict[str, StoredReply]:
        return self._store.replies(keys)

    def add_replies(self, replies: list[StoredReply]) -> None:
        with self._library.write() as writer:
            self._store.add_replies(writer, replies)


@pytest.fixture()
def library(tmp_path: Path, shared_data: Path) -> Iterator[Library]:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("三元桥站.md", "三氯化氮.md", "丙烯颜料.md"):
        (folder / name).write_bytes((shared_data / "articles-zh" / name).read_bytes())
    with Library.create(tmp_path / ".assistant") as created:
        ingest_driver.run(created, folder)
        yield created


def teacher(server: Server, library: Library) -> ChatTeacher:
    model = load_chat_model("openai:qwen2.5-7b", base_url=server.url)
    fingerprint = teacher_fingerprint(model)
    return ChatTeacher(
        model, name=teacher_name(model), fingerprint=fingerprint, cache=Kept(library), pause=0.01
    )


def whole(library: Library) -> list[Passage]:
    """The text of each article as one passage, so that the recording does not hang on the chunking."""
    passages = []
    for document in library.documents():
        first, text = library.passages_of(document.id)[0], library.text(document.id)
        passages.append(
            Passage(
                first.rowid,
                first.id,
                document.id,
                document.path,
                "md",
                0,
                0,
                len(text),
                1,
                9,
                None,
                None,
                text,
            )
        )
    return sorted(passages, key=lambda passage: passage.path)


def summary(candidates: list[Candidate]) -> list[tuple[str, str | None, str | None]]:
    return [(c.question, c.answer, c.rejected) for c in candidates]


def test_chinese_articles_become_candidates_and_every_failure_its_reason(
    server: Server, library: Library
) -> None:
    one = teacher(server, library)
    passages = whole(library)
    station, chloride, paint = SelfQA(one, per_passage=3).write(passages)
    assert [passage.path.split("/")[-1] for passage in passages] == [
        "三元桥站.md",
        "三氯化氮.md",
        "丙烯颜料.md",
    ]
    assert summary(station) == [
        ("三元桥站位于北京市的哪个区？", "朝阳区", None),
        ("三元桥站10号线车站主体结构于何时完工？", "2007年4月28日", None),
        ("三元桥站共设几个出入口？", "八个", None),
    ]
    assert summary(chloride) == [
        ("三氯化氮由谁首先制得？", "皮埃尔·路易·杜隆", None),
        ("三氯化氮的沸点是多少？", None, "no_answer"),
        ("三氯化氮分子的结构是什么？", None, "no_reply"),
    ]
    assert [candidate.rejected for candidate in paint] == ["parse"]
    assert paint[0].question == GARBAGE[1]
    assert {c.language for group in (station, chloride, paint) for c in group} == {"zh"}
    for candidate in (station[0], station[1], chloride[0]):
        [claim] = candidate.claimed
        assert claim.start is not None
        assert claim.passage.text[claim.start :].startswith(claim.text)
        assert candidate.answer in claim.text  # type: ignore[operator]
    assert "2006年11月15日" in station[1].claimed[0].text  # no quote was given: the sentence of the answer
    assert station[2].claimed[0].start is None  # invented: the checks will not find it
    assert {c.teacher for c in station} == {"qwen2.5-7b"}
    assert one.totals.failed == 1


def test_the_server_is_told_what_the_ask_says(server: Server, library: Library) -> None:
    hot = Ask(
        (Message("user", "x"),), 7, temperature=0.5, top_p=0.9, presence_penalty=1.5, seed=3, stop=("\n",)
    )
    one = teacher(server, library)
    one.ask([hot, Ask((Message("user", "y"),), 8)])
    first, second = sorted(server.requests, key=lambda request: str(request["messages"]))
    wanted = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 1.5, "seed": 3, "stop": ["\n"]}
    assert {name: first[name] for name in wanted} == wanted
    assert (first["max_tokens"], second["max_tokens"]) == (7, 8)
    assert second["temperature"] == 0
    assert not {"top_p", "seed", "presence_penalty", "max_completion_tokens"} & set(second)
    assert [request["model"] for request in server.requests] == ["qwen2.5-7b"] * 2


def test_a_second_run_asks_only_for_what_failed_and_gives_the_same(server: Server, library: Library) -> None:
    first = SelfQA(teacher(server, library), per_passage=3).write(whole(library))
    asked = len(server.requests)
    second = SelfQA(teacher(server, library), per_passage=3).write(whole(library))
    assert second == first
    again = [request["messages"][-1]["content"] for request in server.requests[asked:]]
    assert {"三氯化氮分子" in prompt for prompt in again} == {True}


def test_the_real_passages_of_an_ingest_are_asked_about_in_chinese(server: Server, library: Library) -> None:
    passages = [p for document in library.documents() for p in library.passages_of(document.id)]
    written = SelfQA(teacher(server, library), per_passage=2).write(passages)
    assert len(written) == len(passages) > 6
    assert all(candidates for candidates in written)
    firsts = [r for r in server.requests if "问题：\n" not in r["messages"][-1]["content"]]
    assert len({r["messages"][-1]["content"] for r in firsts}) == len(passages)
    assert all("看不到段落" in r["messages"][0]["content"] for r in firsts)


def test_a_cut_reply_is_marked_and_a_server_that_does_not_stop_is_cut_here(
    server: Server, library: Library
) -> None:
    one = teacher(server, library)
    [cut] = one.ask([Ask((Message("user", "三氯化氮，也称为"),), 20)])
    assert cut.cut
    [stopped] = one.ask([Ask((Message("user", "三氯化氮，也称为"),), 20, stop=("\n2、",))])
    assert (stopped.text, stopped.cut) == ("1. 三氯化氮由谁首先制得？", False)
    assert stopped.usage.prompt_tokens == 100
