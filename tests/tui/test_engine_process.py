"""The engine in a process of its own: what it says, how it stops, and that it does not outlive the chat."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from chat_driver import DOCUMENTS
from pty_driver import Terminal

from assistant.tui.app import ChatApp, Setup
from assistant.tui.link import EngineProcess, Link
from assistant.tui.preferences import Preferences
from assistant.tui.requests import Chosen
from corpora.store import Library, SessionStore

DRIVER = Path(__file__).with_name("chat_driver.py")
OPTIONS = {"model": None, "adapter": None, "k": None, "within": None, "retrieval": True}
SETUP = {"library": None, "flags": {"offline": True}}


class Heard:
    """The events of a link, in order."""

    def __init__(self) -> None:
        self.events: queue.Queue[Mapping[str, Any]] = queue.Queue()

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.events.put(event)

    def next(self, *names: str, seconds: float = 120.0) -> Mapping[str, Any]:
        """The next event of these names."""
        end = time.monotonic() + seconds
        while True:
            event = self.events.get(timeout=max(0.1, end - time.monotonic()))
            if event["event"] in names:
                return event


def gone(process: subprocess.Popen[bytes], seconds: float = 20.0) -> bool:
    """Whether a process ends in this time."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_without_a_library_it_says_so_and_ends_with_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the working folder')")
    heard = Heard()
    link = Link(EngineProcess, heard)
    link.open(SETUP)
    process = link._engine._process  # type: ignore[union-attr]
    number = link.send("load", options=OPTIONS)
    failed = heard.next("failed", "died")
    assert (failed["id"], failed["code"]) == (number, "no_library")
    link.close()
    assert gone(process)
    assert heard.events.empty(), "a link that was closed says nothing of the end"


def test_a_killed_engine_is_told_of() -> None:
    heard = Heard()
    link = Link(EngineProcess, heard)
    link.open(SETUP)
    os.kill(link._engine._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
    assert "memory" in heard.next("died")["message"]
    assert not link.running
    link.send("load", options=OPTIONS)
    link.close()


def test_it_does_not_outlive_a_chat_that_was_killed(tmp_path: Path) -> None:
    with Terminal([sys.executable, str(DRIVER), str(tmp_path / "docs")], cwd=tmp_path) as terminal:
        terminal.wait_for("tuned")
        children = subprocess.run(
            ["pgrep", "-P", str(terminal.process.pid)], capture_output=True, text=True
        ).stdout.split()
        assert len(children) == 1
    end = time.monotonic() + 20
    while Path(f"/proc/{children[0]}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{children[0]}").exists()


def test_keys_that_come_at_once_are_taken_in_their_order(tmp_path: Path) -> None:
    with Terminal([sys.executable, str(DRIVER), str(tmp_path / "docs")], cwd=tmp_path) as terminal:
        terminal.wait_for("tuned")
        for keys in ("When was the lighthouse built?\r", "/rag off\r", "Who?\r"):
            before = len(terminal.written)
            terminal.send(keys)
            terminal.wait_for("retrieval OFF" if "rag" in keys else "scripted + tuned", after=before)
    with Library.open(tmp_path / "docs" / ".assistant") as library:
        store = SessionStore(library)
        turns = [turn for session in store.sessions() for turn in store.turns(session.id)]
    assert [turn.question for turn in turns] == ["When was the lighthouse built?", "Who?"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(tmp_path: Path, number: signal.Signals) -> None:
    with Terminal([sys.executable, str(DRIVER), str(tmp_path / "docs")], cwd=tmp_path) as terminal:
        terminal.wait_for("tuned")
        terminal.process.send_signal(number)
        terminal.finish()
        assert terminal.written.rstrip().endswith(b"\x1b[?1006l") or b"\x1b[?1049l" in terminal.written[-300:]


def test_a_kill_loses_at_most_the_answer_in_flight(tmp_path: Path) -> None:
    """kill -9 of the chat, at once after an answer and in the middle of the next one."""
    docs = tmp_path / "docs"
    env = {"REPLY": "The lighthouse was built in 1874 by Anna Kerr [1].", "PAUSE": "0.3"}
    with Terminal([sys.executable, str(DRIVER), str(docs)], cwd=tmp_path, env=env) as terminal:
        terminal.wait_for("tuned")
        for question in ("When was the lighthouse built?", "Who built the lighthouse?"):
            before = len(terminal.written)
            terminal.send(question)
            terminal.read(0.5)
            terminal.send("\r")
            terminal.wait_for("scripted + tuned" if "When" in question else "writing", after=before)
    with Library.open(docs / ".assistant") as library:
        store = SessionStore(library)
        (session,) = store.sessions()
        first, second = store.turns(session.id)
    assert first.status == "done"
    assert second.question == "Who built the lighthouse?"
    assert second.status in ("pending", "cancelled")


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.usefixtures("embedded_models")
def test_the_embedded_model_answers_in_the_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new user: reads a folder, asks, follows up, looks at a source, compares, quits."""
    from chat_driver import ask, ready, type_line, until

    monkeypatch.chdir(tmp_path)
    for name, text in DOCUMENTS.items():
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(text, "utf-8")

    async def main() -> None:
        app = ChatApp(Setup(None, {"offline": True}, "smollm2-135m", Chosen()), Preferences())
        async with app.run_test(size=(100, 32)) as pilot:
            await until(pilot, lambda: app.query("#empty"))
            await type_line(pilot, "/ingest docs")
            await pilot.press("enter")
            await until(
                pilot, lambda: app.chat.facts is not None and app.chat.facts.documents == 3, seconds=180
            )
            await until(pilot, lambda: app.chat.state.context_limit is not None, seconds=180)
            await ready(pilot)
            await ask(pilot, "When was the lighthouse of Brannock built?")
            await ask(pilot, "Who built it?")
            views = app.chat.transcript.views
            assert "1874" in views[0].written
            assert views[1].searched == "Who built the lighthouse of Brannock?"
            assert "Anna Kerr" in views[1].written
            await type_line(pilot, "/compare")
            await until(pilot, lambda: app.chat.requests.at_work is None, seconds=180)

    asyncio.run(main())
    with Library.open(tmp_path / ".assistant") as library:
        store = SessionStore(library)
        assert [len(store.turns(session.id)) for session in store.sessions()] == [2]


def test_what_the_engine_prints_becomes_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assistant.tui.worker import Said

    told: list[dict[str, Any]] = []
    said = Said(lambda event, **fields: told.append({"event": event, **fields}))
    print("note: the passages are sent to", end=" ", file=said)
    print("example.org.\n\nnext", file=said)
    assert [one["text"] for one in told] == ["note: the passages are sent to example.org.", "next"]
    assert json.dumps(told)
