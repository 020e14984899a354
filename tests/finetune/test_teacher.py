"""A chat model as a teacher: cache, windows, failures; and what a run costs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from corpora.errors import Missing
from corpora.records import Message, Usage
from corpora.store import StoredReply
from finetune.chat_teacher import ChatTeacher, reply_key, teacher_fingerprint, teacher_name
from finetune.estimate import Eta, Pace, Totals, Workload, duration, estimate, measure_pace, short
from finetune.remote_calls import without_thoughts
from finetune.teacher import Ask, Reply


class Cache:
    """A reply cache in memory that counts its transactions."""

    def __init__(self) -> None:
        self.kept: dict[str, StoredReply] = {}
        self.added: list[int] = []

    def replies(self, keys: Sequence[str]) -> dict[str, StoredReply]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    def add_replies(self, replies: Sequence[StoredReply]) -> None:
        self.added.append(len(replies))
        for reply in replies:
            self.kept.setdefault(reply.key, reply)


class Local(BaseChatModel):
    """Writes batches; a reply tells with whom it was in a batch, as rounding would."""

    model_name: str = "tiny"
    largest: int = 1000
    fail_after: int = 10**9
    _batches: list[list[str]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "local"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise AssertionError("a local teacher writes batches")

    def generate_batch(self, asks: Sequence[Ask]) -> list[Reply]:
        if len(asks) > self.largest:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        if len(self._batches) >= self.fail_after:
            raise KeyboardInterrupt
        texts = [ask.messages[0].content for ask in asks]
        self._batches.append(texts)
        return [Reply(f"{text}|{'+'.join(texts)}", usage=Usage(len(text), 3)) for text in texts]


def ask(text: str, **fields: Any) -> Ask:
    return Ask((Message("user", text),), **{"max_new_tokens": 9, **fields})


def teacher(model: BaseChatModel, cache: Cache, **options: Any) -> ChatTeacher:
    options = {"batch_size": 3, "pause": 0.0, **options}
    return ChatTeacher(model, name="t", fingerprint="f" * 16, cache=cache, **options)


ASKS = [ask("x" * n) for n in (5, 1, 4, 2, 8, 6, 3, 7)]


def test_a_local_model_writes_windows_of_like_lengths_and_answers_in_order() -> None:
    model, cache = Local(), Cache()
    replies = teacher(model, cache).ask(ASKS)
    assert [[len(text) for text in batch] for batch in model._batches] == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert [(reply.text or "").split("|")[0] for reply in replies] == [a.messages[0].content for a in ASKS]
    assert cache.added == [3, 3, 2]  # one transaction a window


@pytest.mark.parametrize("windows", [0, 1, 2])
def test_a_run_that_was_killed_goes_on_to_equal_replies(windows: int) -> None:
    undisturbed = teacher(Local(), Cache()).ask(ASKS)
    cache = Cache()
    with pytest.raises(KeyboardInterrupt):
        teacher(Local(fail_after=windows), cache).ask(ASKS)
    assert len(cache.kept) == 3 * windows
    model = Local()
    again = teacher(model, cache).ask(ASKS)
    assert [reply.text for reply in again] == [reply.text for reply in undisturbed]
    assert len(model._batches) == 3 - windows
    assert sum(reply.cached for reply in again) == 3 * windows


def test_a_window_of_which_one_reply_is_missing_is_written_whole_and_what_was_kept_stays() -> None:
    cache = Cache()
    first = teacher(Local(), cache).ask(ASKS)
    lost = reply_key(ASKS[0], "f" * 16)
    del cache.kept[lost]
    model = Local()
    assert [reply.text for reply in teacher(model, cache).ask(ASKS)] == [reply.text for reply in first]
    assert [len(batch) for batch in model._batches] == [3]


def test_equal_asks_are_one_call_and_every_parameter_makes_another() -> None:
    model = Local()
    replies = teacher(model, Cache()).ask([ask("a"), ask("a"), ask("a", max_new_tokens=8)])
    assert len(model._batches[0]) == 2
    assert replies[0] == replies[1]
    base = ask("a", temperature=0.5)
    others = [
        replace(base, seed=1),
        replace(base, top_p=0.9),
        replace(base, presence_penalty=1.0),
        replace(base, stop=("b",)),
        replace(base, temperature=0.6),
        replace(base, messages=(Message("system", "a"),)),
        ask("\ud800"),
    ]
    keys = [reply_key(one, "f") for one in [base, *others]] + [reply_key(base, "g")]
    assert len(set(keys)) == len(keys)
    assert reply_key(ask("a", seed=1), "f") == reply_key(ask("a"), "f")  # greedy: the seed counts not


def test_a_batch_that_is_too_large_for_the_device_is_halved() -> None:
    model = Local(largest=1)
    assert all(reply.text for reply in teacher(model, Cache()).ask(ASKS))
    assert {len(batch) for batch in model._batches} == {1}
    nothing = teacher(Local(largest=0), Cache()).ask(ASKS[:2])
    assert {(reply.text, reply.error) for reply in nothing} == {(None, "out of memory")}


class Remote(BaseChatModel):
    """Raises or answers by its script."""

    _script: Any = PrivateAttr()
    _asked: list[str] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "remote"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self._asked.append(str(messages[-1].content))
        said = self._script(str(messages[-1].content))
        if isinstance(said, BaseException):
            raise said
        message = AIMessage(said, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])


class StatusError(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__("said the server")
        self.status_code = status_code


def remote(script: Any) -> Remote:
    model = Remote()
    model._script = script
    return model


def test_a_failed_call_costs_its_own_reply_and_is_asked_for_again_in_the_next_run() -> None:
    cache = Cache()
    model = remote(lambda text: ValueError("odd\nreply") if text == "xx" else text.upper())
    replies = teacher(model, cache).ask(ASKS)
    failed = [reply for reply in replies if reply.text is None]
    assert [reply.error for reply in failed] == ["odd reply"]
    assert len(cache.kept) == 7
    again = remote(lambda text: text.upper())
    assert all(reply.text for reply in teacher(again, cache).ask(ASKS))
    assert again._asked == ["xx"]


@pytest.mark.parametrize(("status", "calls"), [(429, 3), (503, 3), (400, 1), (403, 1)])
def test_only_what_may_pass_is_tried_again(status: int, calls: int) -> None:
    model = remote(lambda text: StatusError(status) if text == "x" else "fine")
    replies = teacher(model, Cache()).ask([ask("x"), ask("y")])
    assert replies[0].error == f"it answered {status}: said the server"
    assert replies[1].text == "fine"
    assert model._asked.count("x") == calls


def test_a_busy_server_is_waited_for() -> None:
    left = [StatusError(429), ConnectionError("reset"), "at last"]
    assert teacher(remote(lambda text: left.pop(0)), Cache()).ask([ask("x")])[0].text == "at last"


@pytest.mark.parametrize("error", [ConnectionError("refused"), StatusError(401), StatusError(404)])
def test_a_server_that_lets_nobody_in_is_an_error_at_once(error: Exception) -> None:
    with pytest.raises(Missing) as caught:
        teacher(remote(lambda text: error), Cache()).ask([ask("x")])
    assert (caught.value.exit_code, caught.value.code) == (8, "remote_failed")


def test_a_server_that_breaks_down_ends_the_run_and_keeps_what_was_paid_for() -> None:
    cache, done = Cache(), []

    def script(text: str) -> object:
        done.append(text)
        time.sleep(0.005)
        return text if int(text.split()[1]) < 5 else StatusError(500)

    many = [ask(f"question {n}") for n in range(60)]
    with pytest.raises(Missing, match="500"):
        teacher(remote(script), cache, concurrency=2).ask(many)
    assert len(cache.kept) == 5
    assert len(done) < 60  # not every call was tried in vain


def test_ctrl_c_leaves_at_once_with_what_had_come(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, never = Cache(), threading.Event()

    def script(text: str) -> str:
        if text == "xx":
            time.sleep(0.2)  # for the others to be kept
            os.kill(os.getpid(), signal.SIGINT)
            never.wait(60)
        return text

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            teacher(remote(script), cache).ask(ASKS)
    finally:
        signal.signal(signal.SIGINT, before)
        never.set()
    assert time.monotonic() - began < 20
    assert len(cache.kept) == 7


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<think>hm\n\nso</think>\n\nyes", "yes"),
        ("hm, so</think>\nyes", "yes"),
        ("<think>cut off", ""),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("<Thinking>a</Thinking> 好", "好"),
        ("is 1 < 2 > 0?", "is 1 < 2 > 0?"),
    ],
)
def test_thoughts_are_no_part_of_a_reply(text: str, kept: str) -> None:
    assert without_thoughts(text) == kept


def test_a_reply_is_the_same_fresh_and_from_the_cache() -> None:
    cache = Cache()
    model = remote(lambda text: "broken \ud83d half, \x00 nul")
    fresh = teacher(model, cache).ask([ask("x")])[0]
    stored = teacher(model, cache).ask([ask("x")])[0]
    assert fresh.text == stored.text == "broken ? half, \x00 nul"
    assert (fresh.cached, stored.cached) == (False, True)


def test_totals_tell_calls_cache_and_failures() -> None:
    cache = Cache()
    one = teacher(Local(), cache)
    one.ask(ASKS)
    one.ask([*ASKS, ask("new")])
    totals = one.totals
    assert (totals.calls, totals.cached, totals.failed) == (9, 8, 0)
    assert totals.prompt_tokens == sum(range(1, 9)) + 3
    assert totals.completion_tokens == 27
    assert totals.seconds > 0
    assert "9 calls, 8 from the cache" in totals.line()
    assert "1 failed" in Totals().plus([Reply(None, error="x")], 1.0).line()


def test_names_and_identities() -> None:
    assert teacher_name(Local()) == "tiny"
    assert teacher_fingerprint(Local()) == teacher_fingerprint(Local())
    assert teacher_fingerprint(Local()) != teacher_fingerprint(Local(model_name="other"))
    assert len(teacher_fingerprint(Local())) == 16


def test_an_estimate_is_one_line_with_time_only_where_it_is_known() -> None:
    work = Workload(100, 40_000, 9_000) + Workload(1, 10, 0)
    assert work.times(2) == Workload(202, 80_020, 18_000)
    local = estimate("tiny", work, Pace(reading=1000, writing=100))
    assert local.seconds == pytest.approx(130, abs=0.1)
    assert local.line() == "about 101 calls of tiny, 40k tokens in, 9.0k out, 2 min"
    assert estimate("gpt", work, None).line().endswith("9.0k out")
    assert [duration(s) for s in (5, 600, 7260)] == ["5 s", "10 min", "2 h 01 min"]
    assert [short(n) for n in (7, 1234, 2.5e6)] == ["7", "1.2k", "2.5M"]


def test_a_pace_is_measured_by_short_batches() -> None:
    model = Local()
    pace = measure_pace(model, rows=4)
    assert pace.reading > 0
    assert pace.writing > 0
    assert [len(batch) for batch in model._batches] == [1, 4, 4]
    assert len(set(model._batches[1])) == 4  # no two rows begin alike


def test_what_came_from_the_cache_makes_no_eta_shorter() -> None:
    eta = Eta(10)
    assert eta.advance(5, cached=True) is None
    assert (eta.advance(1) or 0) >= 0
    assert eta.advance(4) == 0
