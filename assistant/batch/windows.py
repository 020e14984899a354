"""One window of questions: found one by one, written side by side, each answer as `ask` gives it.

Windows are cut by row numbers of the input, so that a row is always written in the same company: a run that
was killed and one that was not give the same answers, to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assistant.answer.build import MAX_NEW_TOKENS
from assistant.answer.rows import answer_row
from assistant.answer.writing import Prompted, Writing
from assistant.chat_models.batch import Meter
from corpora.errors import AssistantError, Missing, UsageError
from corpora.records import Answer, Seconds, Usage
from finetune.evaluation.questions import EvalQuestion
from finetune.evaluation.scores import score
from finetune.remote_calls import Failure, in_threads, invoke
from finetune.teacher import Ask, Reply

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.answer.engine import AnswerEngine
    from assistant.batch.engines import EngineSource
    from assistant.batch.questions import Question

WINDOW = 16
_CALLS_AT_ONCE = 8  # of a model elsewhere
_PAUSE_SECONDS = 1.0  # before a call is tried again


class Stopped(Exception):
    """The window was not finished: the user wants to stop."""


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for all rows; `within` for those that name no documents themselves."""

    within: str | None = None
    kind: str | None = None
    retrieval: bool = True
    extractive: bool = False


class Asker:
    """Asks windows of questions; `meter` counts what models of this machine read and wrote.

    `sign` is called with each question once, when there is a sign of an answer to it; `stop` is asked often.
    """

    def __init__(
        self,
        engines: EngineSource,
        options: Options,
        *,
        stop: Callable[[], bool] = lambda: False,
        sign: Callable[[Question], None] = lambda _question: None,
    ) -> None:
        self._engines, self._options = engines, options
        self._stop, self._sign = stop, sign
        self.meter = Meter()

    def ask(self, window: Sequence[Question], keys: Sequence[str]) -> list[dict[str, Any]]:
        """A row of results for each question, in order.

        Raises Stopped; other errors that are not the fault of a row.
        """
        done: dict[int, Answer | str] = {q.number: q.problem for q in window if q.problem is not None}
        for question in window:
            if question.problem is not None:
                self._sign(question)
        for adapter in dict.fromkeys(q.adapter for q in window if q.problem is None):
            rows = [q for q in window if q.problem is None and q.adapter == adapter]
            try:
                engine = self._engines.engine(adapter)
            except AssistantError as error:
                if adapter is None:
                    raise
                done |= dict.fromkeys((q.number for q in rows), error.message)
                for question in rows:
                    self._sign(question)
            else:
                done |= self._answered(engine, rows)
        return [
            row_of(question, key, done[question.number], retrieval=self._options.retrieval)
            for question, key in zip(window, keys, strict=True)
        ]

    def _answered(self, engine: AnswerEngine, rows: Sequence[Question]) -> dict[int, Answer | str]:
        done: dict[int, Answer | str] = {}
        waiting: dict[int, tuple[Prompted, float]] = {}  # with the seconds that it took until here
        for question in rows:
            if self._stop():
                raise Stopped
            began = time.perf_counter()
            try:
                step = self._prepared(engine, question)
            except UsageError as error:
                done[question.number] = error.message
                self._sign(question)
                continue
            if isinstance(step, Answer):
                done[question.number] = step
                self._sign(question)
            else:
                waiting[question.number] = step, time.perf_counter() - began
        began = time.perf_counter()
        steps = [step for step, _ in waiting.values()]
        asked = [question for question in rows if question.number in waiting]
        written = self._written(engine, asked, steps) if steps else []
        share = (time.perf_counter() - began) / max(1, len(steps))
        for (number, (step, seconds)), end in zip(waiting.items(), written, strict=True):
            if isinstance(end, str):
                done[number] = end
            else:
                retrieve = step.draft.seconds.retrieve
                done[number] = replace(end, seconds=Seconds(retrieve, share, seconds + share))
        return done

    def _prepared(self, engine: AnswerEngine, question: Question) -> Answer | Prompted:
        options = self._options
        return engine.prepare(
            question.question or "",
            k=question.k,
            glob=question.within or options.within,
            kind=options.kind,
            retrieval=options.retrieval,
            extractive=options.extractive,
        )

    def _written(
        self, engine: AnswerEngine, asked: Sequence[Question], steps: Sequence[Prompted]
    ) -> list[Answer | str]:
        """The answers to prompts, or what went wrong with one."""
        from assistant.chat_models.local import LocalChatModel

        chat = engine.chat
        asks = [Ask(step.prompt.messages, MAX_NEW_TOKENS, stop=step.stops) for step in steps]
        writings = [step.writing() for step in steps]
        if isinstance(chat, LocalChatModel):
            feeds = [self._heard(*pair) for pair in zip(asked, writings, strict=True)]
            replies = chat.generate_batch(asks, watches=feeds, stop=self._stop, meter=self.meter)
        else:
            replies = self._elsewhere(chat, asks)
            for writing, reply in zip(writings, replies, strict=True):
                writing.feed(reply.text or "")
            for question in asked:
                self._sign(question)
        if self._stop():
            raise Stopped
        return [
            engine.finish(step, writing.end(_usage(step, reply)))
            if reply.text is not None
            else reply.error or "no reply"
            for step, writing, reply in zip(steps, writings, replies, strict=True)
        ]

    def _heard(self, question: Question, writing: Writing) -> Callable[[str], bool]:
        """What takes the text of a reply."""
        silent = True

        def heard(text: str) -> bool:
            nonlocal silent
            if silent:
                silent = False
                self._sign(question)
            return writing.feed(text)

        return heard

    def _elsewhere(self, chat: BaseChatModel, asks: Sequence[Ask]) -> list[Reply]:
        """Calls side by side. Raises Missing where a server cannot be reached, or refuses the key."""

        def call(ask: Ask, wait: Callable[[float], bool]) -> Reply | Failure:
            return invoke(chat, ask, lambda seconds: self._stop() or wait(seconds), _PAUSE_SECONDS)

        numbered = [(str(n), ask) for n, ask in enumerate(asks)]
        found: dict[str, Reply | Failure] = {}
        for part in in_threads(call, numbered, _CALLS_AT_ONCE):
            found |= dict(part)
            if self._stop():
                raise Stopped
        replies = []
        for name, _ in numbered:
            result = found[name]
            if isinstance(result, Failure) and result.blame == "access":
                raise Missing(
                    f"The model fails: {result.text}",
                    hint="is the server running? What is answered is kept; run the command again",
                    code="remote_failed",
                )
            replies.append(Reply(None, error=result.text) if isinstance(result, Failure) else result)
        return replies


def row_of(question: Question, key: str, end: Answer | str, *, retrieval: bool) -> dict[str, Any]:
    """The object of the contract: that of `ask`, with what became of the row; all keys are always there."""
    failed = isinstance(end, str)
    answer = Answer.blank(question.question or "") if isinstance(end, str) else end
    refused = answer.refused and not failed
    scored = None
    if not failed and question.expected is not None:
        asked = EvalQuestion(question.id, answer.question, question.expected)
        scored = score(asked, answer, retrieval=retrieval)
    row: dict[str, Any] = {
        "id": question.id,
        "key": key,
        "status": "error" if failed else "refused" if refused else "ok",
        "error": end if failed else None,
    }
    row |= answer_row(answer)
    if failed:
        row |= {"question": question.question, "kind": None}
    return row | {
        "expected": None if question.expected is None else list(question.expected),
        "em": scored.em if scored else None,
        "f1": round(scored.f1, 6) if scored else None,
    }


def _usage(step: Prompted, reply: Reply) -> Usage:
    return reply.usage if reply.usage.prompt_tokens else Usage(prompt_tokens=step.prompt.tokens)


def keys_of(questions: Sequence[Question], engines: EngineSource, run: Any) -> list[str]:
    """32 hex digits for each row: of everything that its answer hangs on.

    The first half is of `run` (plain JSON) and of the model of the settings, the second of the row and its
    own adapter.
    """

    def digest(*parts: Any) -> str:
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    own: dict[str | None, str] = {None: ""}
    for adapter in dict.fromkeys(q.adapter for q in questions if q.problem is None):
        if adapter is not None:
            try:
                own[adapter] = engines.fingerprint(adapter)
            except AssistantError:  # its rows will say what is wrong
                own[adapter] = ""
    common = digest(run, engines.fingerprint(None))
    return [common + digest(q.digest, own.get(q.adapter, "")) for q in questions]
