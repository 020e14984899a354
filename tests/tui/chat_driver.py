"""The chat over a small library, with the real engine behind a scripted model; also a program for a terminal.

python chat_driver.py FOLDER        the chat in FOLDER, which is made where it is not there; the model says
                                    $REPLY, and rests $PAUSE seconds before each four characters
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from numpy.typing import NDArray
from textual.pilot import Pilot

from assistant.answer.engine import AnswerEngine
from assistant.chat.reading import Reading
from assistant.chat.serving import ServedModel
from assistant.runtime import Runtime
from assistant.tui.app import ChatApp, Setup
from assistant.tui.desk import Desk, Parts
from assistant.tui.link import EngineProcess
from assistant.tui.preferences import Preferences
from assistant.tui.requests import Chosen
from assistant.tui.worker import Server
from corpora.store import Library
from index.ingest import ingest
from index.retriever import Retriever
from index.sync_options import IngestOptions

DOCUMENTS = {
    "harbour.md": "# Brannock\n\nThe harbour of Brannock lies on the west coast.\n\n## Lighthouse\n\n"
    "The lighthouse of Brannock was built in 1874 by the engineer Anna Kerr. It is 31 metres high.\n\n"
    "## Keepers\n\nThe last keeper left the lighthouse in 1986. A museum keeps the old lamp.\n",
    "ferries.md": "# Ferries\n\nA ticket for the ferry costs four euros. Bicycles travel free.\n\n"
    "The ferry crosses the bay every hour in summer.\n",
    "notes/market.txt": "The market of Brannock is held on Saturdays on the old quay.\n",
}
REPLY = "The lighthouse was built in 1874 by Anna Kerr [1]."


class WordEncoder:
    """Texts with the same words are near each other; no weights."""

    name, fingerprint, dimension, max_tokens = "words", "0" * 16, 64, 64

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [2 + len(text.split()) for text in texts]

    def encode_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        return np.stack([self.encode_query(text) for text in texts])

    def encode_query(self, text: str) -> NDArray[np.float32]:
        vector = np.full(self.dimension, 0.01, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            vector[sum(word[:5].encode()) % self.dimension] += 1
        return vector / np.float32(np.linalg.norm(vector))


class ScriptedModel(BaseChatModel):
    """Says what `reply` makes of the last message, a few characters at a time."""

    reply: Callable[[str], str]
    step: int = 4
    pause: float = 0.0
    wait: Callable[[int], None] = lambda _at: None
    adapter_name: str | None = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def context_tokens(self) -> int:
        return 2048

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        text = self.reply(str(messages[-1].content))
        prompt = sum(len(str(message.content).split()) for message in messages)
        for at in range(0, len(text), self.step):
            time.sleep(self.pause)
            self.wait(at)
            usage: Any = {"input_tokens": prompt if not at else 0, "output_tokens": 1, "total_tokens": 1}
            piece = text[at : at + self.step]
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece, usage_metadata=usage))

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError


class Script:
    """What the scripted model says: `reply` to any prompt, or a function of it. Calls may be held up."""

    def __init__(self, reply: str | Callable[[str], str] = REPLY, *, pause: float = 0.0) -> None:
        self.adapter = "tuned"
        self.reply: str | Callable[[str], str] = reply
        self.pause = pause
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.hold_at: int | None = None  # stop after so many characters until `go_on` is set

    def wait(self, at: int) -> None:
        if self.hold_at is not None and at >= self.hold_at:
            self.go_on.wait(30)

    def say(self, prompt: str) -> str:
        self.asked.append(prompt)
        return self.reply(prompt) if callable(self.reply) else self.reply


class Served(ServedModel):
    """The scripted model in the place of the loaded one; adapters are only names."""

    script = Script()

    @property
    def english_only(self) -> bool:
        return False

    @property
    def reads_one_sentence(self) -> bool:
        return False

    @property
    def local(self) -> bool:
        return False

    @property
    def chat(self) -> BaseChatModel:  # type: ignore[override]
        named = self._runtime.settings.adapter
        if self.name == "missing":
            from corpora.errors import Missing

            raise Missing("There is no model called missing.", hint="assistant models list")
        script = self.script
        return ScriptedModel(
            reply=script.say,
            pause=script.pause,
            wait=script.wait,
            adapter_name=None if named == "none" else named or script.adapter,
        )


class WordReading(Reading):
    def choose_encoder(self, sample: Any) -> str:
        return "words"

    def load_encoder(self, name: str, settings: Any) -> Any:
        return WordEncoder()


class ScriptedParts(Parts):
    def __init__(self, script: Script) -> None:
        self._script = script

    def engine(self, runtime: Runtime, model: ServedModel) -> AnswerEngine:
        from assistant.answer.floor import Floor

        encoder: Any = WordEncoder()
        retriever = Retriever(runtime.library, encoder)
        return AnswerEngine(retriever, model=model, floor=Floor.for_encoder("words", retriever), k=4)

    def model(self, runtime: Runtime) -> ServedModel:
        served = Served(runtime)
        served.script = self._script
        return served

    def reading(self, setup: Mapping[str, Any], tell: Any, stop: Callable[[], bool]) -> Reading:
        return WordReading(setup, tell, stop)


class ThreadEngine:
    """The engine's server in a thread of this process, on pipes."""

    def __init__(self, parts: Parts) -> None:
        hear, requests = os.pipe()
        listen, events = os.pipe()
        self.requests: BinaryIO = os.fdopen(requests, "wb")
        self.events: BinaryIO = os.fdopen(listen, "rb")
        out, into = os.fdopen(events, "wb"), os.fdopen(hear, "rb")
        server = Server(into, out, lambda setup, tell, stop: Desk(setup, tell, stop, parts))

        def serve() -> None:
            with into, out:
                server.serve()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()

    def end(self, seconds: float) -> None:
        self._thread.join(seconds)

    def died(self) -> str:
        return "The engine ended."


def make_library(folder: Path, documents: Mapping[str, str] = DOCUMENTS) -> None:
    """Documents in `folder`, and their library in its `.assistant`."""
    for name, text in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    options = IngestOptions(choose=lambda sample: "words", load=lambda name: WordEncoder(), chunk_tokens=40)
    with Library.create(folder / ".assistant") as library:
        ingest(library, [folder], options)


def make_app(
    script: Script | None = None,
    *,
    resume: str | None = None,
    chosen: Chosen | None = None,
    preferred: Preferences | None = None,
    model: str = "scripted",
    parts: Parts | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> ChatApp:
    """The chat in the working folder, with the scripted model; its clock stands still."""
    made = parts or ScriptedParts(script or Script())
    setup = Setup(None, {"model": model}, model, chosen or Chosen(), resume)
    return ChatApp(setup, preferred or Preferences(), start=lambda: ThreadEngine(made), clock=clock)


async def until(pilot: Pilot[Any], true: Callable[[], Any], what: str = "", seconds: float = 20.0) -> None:
    """Let the application run until `true()`; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited in vain {what}"
        await pilot.pause(0.02)


async def ready(pilot: Pilot[Any]) -> None:
    """Until the library is open and the model loaded."""
    chat = pilot.app.chat  # type: ignore[attr-defined]
    await until(pilot, lambda: chat.state.context_limit is not None, "for the model")
    await pilot.pause()


async def type_line(pilot: Pilot[Any], text: str) -> None:
    """Type a text and send it."""
    chat = pilot.app.chat  # type: ignore[attr-defined]
    chat.entry.set_text(text)
    await pilot.pause()
    chat.prompt.close_completions()
    await pilot.press("enter")
    await pilot.pause()


async def ask(pilot: Pilot[Any], question: str) -> None:
    """Ask a question and wait until its answer is kept."""
    chat = pilot.app.chat  # type: ignore[attr-defined]
    before = chat.transcript.last
    await type_line(pilot, question)
    await until(
        pilot,
        lambda: chat.transcript.last is not before and chat.requests.at_work is None,
        f"for an answer to {question}",
    )
    await pilot.pause()


def serve() -> None:
    """The scripted engine as a process: requests on standard input, events on standard output."""
    script = Script(os.environ.get("REPLY", REPLY), pause=float(os.environ.get("PAUSE", "0")))
    parts = ScriptedParts(script)
    make: Any = lambda setup, tell, stop: Desk(setup, tell, stop, parts)  # noqa: E731
    Server(sys.stdin.buffer, sys.stdout.buffer, make).serve()


def main(folder: Path) -> None:
    """The chat in a folder, with the scripted engine in a process of its own."""
    if not (folder / ".assistant").exists():
        make_library(folder)
    os.chdir(folder)
    command = [sys.executable, __file__, "--engine"]
    setup = Setup(None, {"model": "scripted"}, "scripted", Chosen())
    ChatApp(setup, Preferences(), start=lambda: EngineProcess(command)).run()


if __name__ == "__main__":
    if sys.argv[1] == "--engine":
        serve()
    else:
        main(Path(sys.argv[1]).absolute())
