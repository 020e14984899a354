"""A run of `batch` that needs no weights: for tests in this process, and as a program to be killed.

python batch_driver.py FOLDER IN OUT [SECONDS]      prints the summary as JSON; each reply takes the seconds
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from ingest_driver import HashingEncoder
from ingest_driver import run as ingest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from assistant.answer.engine import AnswerEngine
from assistant.batch.questions import read_questions
from assistant.batch.run import Source, Summary, answer_all
from assistant.batch.windows import Options
from corpora.errors import Missing
from corpora.prompt import REFUSAL
from corpora.store import Library
from index.retriever import Retriever

PLACES = "Brannock Tolsay Harwick Selmouth Dunvale Orrin Kelby Marsden Pelham Whitby Lowick Ashby".split()


class Rejected(Exception):
    """A server that does not take this prompt."""

    status_code = 400


class ScriptedModel(BaseChatModel):
    """Reads the year in the passages; says nothing of Lowick, and fails on Ashby while `broken`."""

    seconds: float = 0.0
    broken: bool = True
    calls: int = 0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        time.sleep(self.seconds)
        self.calls += 1
        prompt = str(messages[-1].content)
        passages, _, question = prompt.rpartition("Question:")
        place = next((place for place in PLACES if place in question), "Nowhere")
        if place == "Ashby" and self.broken:
            raise Rejected("no Ashby today")
        found = re.search(rf"lighthouse of {place} was built in (\d+)", passages)
        text = REFUSAL["en"]
        if found and place != "Lowick":
            number = re.findall(r"^\[(\d+)\]", passages[: found.start()], re.MULTILINE)[-1]
            text = f"It was built in {found[1]} [{number}]."
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


class Model:
    """The scripted model as an engine takes it."""

    name, adapter, english_only, reads_one_sentence, examples = "scripted", None, False, False, False

    def __init__(self, chat: BaseChatModel) -> None:
        self.chat = chat


class Engines:
    """One engine; rows that name the adapter "lost" fail."""

    def __init__(self, library: Library, chat: BaseChatModel, fingerprint: str = "5" * 16) -> None:
        self.model: Any = Model(chat)
        self.plain = AnswerEngine(Retriever(library, HashingEncoder()), model=self.model, floor=None, k=3)
        self._fingerprint = fingerprint

    def engine(self, adapter: str | None) -> AnswerEngine:
        if adapter == "lost":
            raise Missing("There is no adapter lost.")
        return self.plain

    def fingerprint(self, adapter: str | None) -> str:
        return self._fingerprint + (adapter or "")


def make_library(folder: Path) -> Path:
    """A folder with documents and their library."""
    (folder / "docs").mkdir(parents=True)
    for n, place in enumerate(PLACES):
        text = f"# {place}\n\nThe lighthouse of {place} was built in {1801 + 7 * n} by Anna Kerr.\n"
        (folder / "docs" / f"{place.lower()}.md").write_text(text, "utf-8")
    with Library.create(folder / ".assistant") as library:
        ingest(library, folder / "docs")
    return folder


def make_questions(number: int) -> bytes:
    """JSON lines: an answer, a refusal, a failing call, options, rows that are none."""
    rows = []
    for n in range(number):
        place = PLACES[n % 12]
        row: dict[str, Any] = {"id": f"q{n}", "question": f"When was the lighthouse of {place} built? ({n})"}
        if n % 3 == 0 or place == "Lowick":
            row["expected"] = [] if place == "Lowick" else [str(1801 + 7 * (n % 12))]
        if n % 5 == 0:
            row["k"] = 1 + n % 4
        if n % 13 == 7:
            row["adapter"] = "lost"
        rows.append(json.dumps(row) if n % 17 != 11 else "{broken")
    return "\n".join(rows).encode() + b"\n"


def run(
    library: Library, data: bytes, out: Path, *, seconds: float = 0.0, broken: bool = True, **more: Any
) -> Summary:
    """One run; `facts`, `engines`, `retry_errors`, `options` and `stop` may be given."""
    chat = ScriptedModel(seconds=seconds, broken=broken)
    engines = more.pop("engines", None) or Engines(library, chat)
    source = Source(engines, more.pop("facts", {"run": 1}), lambda: library.generation)
    options = more.pop("options", Options())
    return answer_all(source, read_questions(data, "in.jsonl"), out, options, **more)


if __name__ == "__main__":
    with Library.open(Path(sys.argv[1]) / ".assistant") as opened:
        pause = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
        done = run(opened, Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]), seconds=pause)
    print(json.dumps(done.row()))
