"""A conversation over a small library with the real engine and a scripted model; as a program, to be killed.

python talk_driver.py LIBRARY            asks for ever, printing "asked N" and "answered N"
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import taught_library as taught
from ingest_driver import HashingEncoder
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from assistant.answer.engine import AnswerEngine
from assistant.chat.conversation import Conversation
from assistant.chat.records import ChatOptions, Session
from assistant.chat.sessions import Sessions
from corpora.store import Library
from index.retriever import Retriever

REPLY = "It was built in 1601 by the engineer Anna Kerr [1]."


class ScriptedModel(BaseChatModel):
    """Says what `reply` makes of the last message, a few characters at a time."""

    reply: Callable[[str], str]
    pause: float = 0.0
    given: list[str] = []  # noqa: RUF012 - pydantic copies it

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        text = self.reply(str(messages[-1].content))
        for at in range(0, len(text), 3):
            time.sleep(self.pause)
            self.given.append(text[at : at + 3])
            yield ChatGenerationChunk(message=AIMessageChunk(content=text[at : at + 3]))
        usage: Any = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        text = self.reply(str(messages[-1].content))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


class Scripted:
    """A model source."""

    adapter: str | None = None
    reads_one_sentence = False
    examples = False

    def __init__(
        self, reply: str | Callable[[str], str] = REPLY, *, english_only: bool = True, pause: float = 0.0
    ) -> None:
        self.name = "scripted"
        self.english_only = english_only
        said = reply if callable(reply) else lambda _prompt: reply
        self.chat = ScriptedModel(reply=said, pause=pause)


def engine(library: Library, model: Scripted | None) -> AnswerEngine:
    """The real engine; words only, so that no weights are needed."""
    encoder = HashingEncoder("all-minilm-l6-v2", "x", 2)
    retriever = Retriever(library, encoder)  # type: ignore[arg-type]
    return AnswerEngine(retriever, model=model, floor=None, k=3, mode="lexical")  # type: ignore[arg-type]


def talk(
    library: Library,
    model: Scripted | None = None,
    session: Session | None = None,
    options: ChatOptions | None = None,
) -> Conversation:
    """A conversation whose model says REPLY unless `model` is given."""
    model = model or Scripted()
    return Conversation(
        engine(library, model),
        Sessions(library),
        session,
        options or ChatOptions(model=model.name),
        model=model,  # type: ignore[arg-type]
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with taught.make(folder) if not folder.exists() else Library.open(folder) as opened:
        store = Sessions(opened)
        held = talk(opened, Scripted(pause=0.002), store.latest())
        for number in itertools.count(len(held.turns)):
            print(f"asked {number}", flush=True)
            turn = held.ask("Who built the lighthouse of Brannock?")
            assert turn.status == "done"
            print(f"answered {turn.id}", flush=True)
