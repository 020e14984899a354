"""A LangChain chat model as a teacher: batched or concurrent, cached, and patient with servers.

Replies are kept as they arrive, so that a run that is killed pays for no call twice. A model on this machine
writes in batches whose make-up follows from the list of asks alone, sorted by length and cut into windows: a
window is written whole or taken whole from the cache. So the rounding of its sums, and with it every greedy
choice, is the same in a run that was killed and in one that was not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from corpora.errors import Missing
from corpora.records import Usage
from corpora.store import StoredReply
from finetune.estimate import Totals
from finetune.remote_calls import Failure, in_threads, invoke
from finetune.teacher import Ask, Reply

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_CALLING = "1"  # counts up when the same ask would be sent, or its reply be read, in another way
_GIVE_UP = 8  # failures in a row that no single prompt explains


class ReplyCache(Protocol):
    """Where replies are kept (a library's `ExampleStore`, with a transaction around each `add_replies`)."""

    def replies(self, keys: Sequence[str], /) -> Mapping[str, StoredReply]:
        """Those among `keys` that are kept."""

    def add_replies(self, replies: Sequence[StoredReply], /) -> None:
        """Keep replies for good; a key that is there already stays as it is."""


@runtime_checkable
class BatchModel(Protocol):
    """A chat model of this machine, which writes many replies side by side."""

    def generate_batch(self, asks: Sequence[Ask]) -> list[Reply]:
        """The replies in order; the same asks in the same order give the same replies."""


class ChatTeacher:
    """`finetune.teacher.Teacher` by a chat model; `totals` says what it has done so far.

    `batch_size` rows are written at a time by a model of this machine, `concurrency` calls run at a time
    elsewhere. `pause` is the first wait in seconds before a call is tried again.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        name: str,
        fingerprint: str,
        cache: ReplyCache,
        batch_size: int = 16,
        concurrency: int = 8,
        pause: float = 1.0,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.totals = Totals()
        self._model = model
        self._cache = cache
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._pause = pause
        self._in_a_row = 0

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        """The replies, in order; equal asks are one call.

        Raises Missing (code remote_failed) where a server cannot be reached at all, refuses the key, or fails
        call after call; what it did answer is kept.
        """
        began = time.monotonic()
        keys = [reply_key(ask, self.fingerprint) for ask in asks]
        calls = dict(zip(reversed(keys), reversed(asks), strict=True))
        calls = {key: calls[key] for key in keys}  # in the order of the asks
        kept = self._cache.replies(list(calls))
        replies = {key: _from_cache(kept[key]) for key in calls if key in kept}
        written = self._on_this_machine(calls, replies) if self._local else self._elsewhere(calls, replies)
        for part in written:
            new = {key: _storable(reply) for key, reply in part.items() if key not in replies}
            self._keep(new)
            replies |= new
            self.totals = self.totals.plus(new.values(), time.monotonic() - began)
            began = time.monotonic()
        self.totals = replace(self.totals, cached=self.totals.cached + len(kept))
        return [replies[key] for key in keys]

    @property
    def _local(self) -> bool:
        return isinstance(self._model, BatchModel)

    def _on_this_machine(
        self, calls: Mapping[str, Ask], kept: Mapping[str, Reply]
    ) -> Iterator[dict[str, Reply]]:
        order = sorted(calls, key=lambda key: _size(calls[key]))  # stable: equal sizes stay in order
        for start in range(0, len(order), self._batch_size):
            window = order[start : start + self._batch_size]
            if all(key in kept for key in window):
                continue
            yield dict(zip(window, self._write([calls[key] for key in window]), strict=True))

    def _write(self, asks: Sequence[Ask]) -> list[Reply]:
        """One batch, or halves of it where the memory of the device is not enough."""
        try:
            return cast("BatchModel", self._model).generate_batch(asks)
        except RuntimeError as error:
            if "memory" not in str(error).lower():
                raise
            if len(asks) == 1:
                return [Reply(None, error="out of memory")]
        half = len(asks) // 2
        return [*self._write(asks[:half]), *self._write(asks[half:])]

    def _elsewhere(self, calls: Mapping[str, Ask], kept: Mapping[str, Reply]) -> Iterator[dict[str, Reply]]:
        missing = [(key, ask) for key, ask in calls.items() if key not in kept]
        results = in_threads(
            lambda ask, wait: invoke(self._model, ask, wait, self._pause), missing, self._concurrency
        )
        answered = self.totals.calls > self.totals.failed
        failure: Failure | None = None
        for part in results:
            replies: dict[str, Reply] = {}
            for key, result in part:
                if isinstance(result, Failure):
                    replies[key] = Reply(None, error=result.text)
                    self._in_a_row += result.blame != "prompt"
                    failure = failure if result.blame == "prompt" else result
                else:
                    replies[key] = result
                    self._in_a_row, answered = 0, True
            yield replies
            if failure is not None and self._in_a_row >= _GIVE_UP:
                raise self._gone(failure)
        if failure is not None and failure.blame == "access" and not answered:
            raise self._gone(failure)

    def _gone(self, failure: Failure) -> Missing:
        return Missing(
            f"{self.name} fails: {failure.text}",
            hint="is the server running? What it answered is kept; run the command again",
            code="remote_failed",
        )

    def _keep(self, replies: Mapping[str, Reply]) -> None:
        stored = [
            StoredReply(
                key,
                self.name,
                reply.text,
                reply.cut,
                reply.usage.prompt_tokens,
                reply.usage.completion_tokens,
            )
            for key, reply in replies.items()
            if reply.text is not None
        ]
        if stored:
            self._cache.add_replies(stored)


def reply_key(ask: Ask, fingerprint: str) -> str:
    """sha256 (hex) of everything that a reply hangs on: messages, parameters, teacher, way of calling."""
    fields = asdict(ask)
    if ask.temperature == 0:
        fields |= {"seed": 0, "top_p": 1.0}
    whole = json.dumps([_CALLING, fingerprint, fields], sort_keys=True)  # ASCII: lone surrogates too
    return hashlib.sha256(whole.encode()).hexdigest()


def teacher_name(model: BaseChatModel) -> str:
    """How examples name `model`: with its adapter after a plus sign."""
    fields: Any = model
    name = getattr(fields, "model_name", None) or getattr(fields, "model", None) or type(model).__name__
    adapter = getattr(fields, "adapter_name", None)
    return f"{name}+{adapter}" if adapter else str(name)


def teacher_fingerprint(model: BaseChatModel) -> str:
    """16 hex digits: the weights' own where `model` has them, else of its class, name and address."""
    fields: Any = model
    own = getattr(fields, "fingerprint", None)
    if isinstance(own, str):
        return own
    place = next(
        (getattr(fields, name) for name in ("openai_api_base", "base_url") if getattr(fields, name, None)), ""
    )
    parts = (type(model).__name__, teacher_name(model), str(place))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _from_cache(stored: StoredReply) -> Reply:
    usage = Usage(stored.prompt_tokens, stored.completion_tokens)
    return Reply(stored.text, cut=stored.cut, cached=True, usage=usage)


def _storable(reply: Reply) -> Reply:
    """`reply` as it comes back from a cache: without lone surrogates."""
    if reply.text is None:
        return reply
    return replace(reply, text=reply.text.encode("utf-8", "replace").decode("utf-8"))


def _size(ask: Ask) -> int:
    return sum(len(message.content.encode("utf-8", "replace")) for message in ask.messages)
