"""Calls of a chat model elsewhere: what it is told, how its reply is read, tries, threads."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from corpora.records import Usage
from finetune.teacher import Ask, Reply

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

_TRIES = 3
_LONGEST_WAIT = 60.0  # seconds
_ABOUT_THE_PROMPT = (400, 413, 422)  # a server that says so answers other prompts
_NO_ACCESS = (401, 404)  # a wrong key, a model that is not there
_TRANSIENT = (409, 425, 429)
_CUT = ("length", "max_tokens")
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)

Wait = Callable[[float], bool]  # waits so many seconds; True: give up, the work is being stopped
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply, in one line; to blame is this prompt alone, the server, or the way there."""

    text: str
    blame: Literal["prompt", "server", "access"]


def invoke(model: BaseChatModel, ask: Ask, wait: Wait, pause: float) -> Reply | Failure:
    """One call. Busy servers and broken connections are tried again, `pause` seconds later, then longer."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds: dict[str, type[BaseMessage]] = {
        "system": SystemMessage,
        "user": HumanMessage,
        "assistant": AIMessage,
    }
    turns = [kinds[message.role](content=message.content) for message in ask.messages]
    options = call_options(model, ask)
    for tried in range(1, _TRIES + 1):
        try:
            return _read(model.invoke(turns, **options), ask)
        except Exception as error:  # whatever the client of this provider raises costs this call alone
            seconds = _wait_before_next(error, tried, pause)
            if seconds is None or wait(seconds):
                return _failure(error)
    raise AssertionError("unreachable")


def call_options(model: BaseChatModel, ask: Ask) -> dict[str, Any]:
    """The parameters of `ask` under the names that `model` has for them; what it has no name for is left out.

    A model whose own temperature is None takes none of them (reasoning models refuse them).
    """
    fields = type(model).model_fields
    own: Any = model
    options: dict[str, Any] = {}
    body = getattr(own, "extra_body", None)
    if isinstance(body, dict) and "max_tokens" in body:
        options["extra_body"] = {**body, "max_tokens": ask.max_new_tokens}
    elif "max_tokens" in fields:
        options["max_tokens"] = ask.max_new_tokens
    if getattr(own, "temperature", None) is None:
        return options
    if ask.stop:
        options["stop"] = list(ask.stop)
    wanted: dict[str, float] = {"temperature": ask.temperature}
    if ask.temperature > 0:
        wanted |= {"top_p": ask.top_p, "seed": ask.seed}
    if ask.presence_penalty:
        wanted["presence_penalty"] = ask.presence_penalty
    return options | {name: value for name, value in wanted.items() if name in fields}


def without_thoughts(text: str) -> str:
    """`text` less `<think>…</think>`: also where the opening tag was part of the prompt, or none closes."""
    text = _THOUGHT.sub("", text)
    ends = list(_THOUGHT_END.finditer(text))
    return text[ends[-1].end() :].lstrip() if ends else text.strip()


def in_threads(
    work: Callable[[T, Wait], R], items: Sequence[tuple[str, T]], threads: int
) -> Iterator[list[tuple[str, R]]]:
    """`work` on every item, `threads` at a time; results as they come, all that are there at once.

    An exception in the caller, Ctrl-C too, ends it without waiting for calls that are under way: the
    threads are daemons and take no further item.
    """
    todo: queue.SimpleQueue[tuple[str, T]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, R] | BaseException] = queue.SimpleQueue()
    stopped = threading.Event()
    for item in items:
        todo.put(item)

    def run() -> None:
        while not stopped.is_set():
            try:
                key, item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((key, work(item, stopped.wait)))
            except BaseException as error:  # raised again in the thread that waits
                done.put(error)

    for _ in range(min(threads, len(items))):
        threading.Thread(target=run, daemon=True).start()
    left = len(items)
    try:
        while left:
            part = [done.get()]
            while not done.empty():
                part.append(done.get())
            left -= len(part)
            yield [result for result in part if not isinstance(result, BaseException)]
            for result in part:
                if isinstance(result, BaseException):
                    raise result
    finally:
        stopped.set()


def _read(message: BaseMessage, ask: Ask) -> Reply:
    text = without_thoughts(str(message.text))
    found = [text.index(stop) for stop in ask.stop if stop in text]  # some servers do not stop
    counted: Any = getattr(message, "usage_metadata", None) or {}
    usage = Usage(int(counted.get("input_tokens", 0)), int(counted.get("output_tokens", 0)))
    said = message.response_metadata
    ended = str(said.get("finish_reason") or said.get("stop_reason") or "").lower()
    return Reply(text[: min(found)] if found else text, cut=ended in _CUT and not found, usage=usage)


def _wait_before_next(error: Exception, tried: int, pause: float) -> float | None:
    """Seconds to wait before the next try; None where it would be of no use."""
    if tried == _TRIES or not _passing(error):
        return None
    response: Any = getattr(error, "response", None)
    asked = str(getattr(response, "headers", {}).get("retry-after", ""))
    wait = pause * 4.0 ** (tried - 1)
    if re.fullmatch(r"\d{1,6}(\.\d+)?", asked):
        wait = max(wait, float(asked))
    return min(wait, _LONGEST_WAIT)


def _passing(error: Exception) -> bool:
    status = _status(error)
    if status is not None:
        return status in _TRANSIENT or status >= 500
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    # A call that ran out of time has been waited for long enough, and by the client more than once.
    return "Timeout" not in names and "Connect" in names


def _failure(error: Exception) -> Failure:
    status = _status(error)
    text = " ".join(str(error.__cause__ or error).split())[:300] or type(error).__name__
    if status is None:
        names = " ".join(kind.__name__ for kind in type(error).__mro__)
        if "Timeout" in names:
            return Failure(text, "server")
        return Failure(text, "access" if "Connect" in names or "Authentication" in names else "prompt")
    blame: Literal["prompt", "server", "access"] = "server"
    if status in _ABOUT_THE_PROMPT:
        blame = "prompt"
    elif status in _NO_ACCESS:
        blame = "access"
    return Failure(f"it answered {status}: {text}", blame)


def _status(error: Exception) -> int | None:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else None
