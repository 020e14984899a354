"""Prompts read two at a time: as each alone to the last bit, in order, stopped and failing in time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tiny_chat import tiny_model

from assistant.chat_models.reading import read_each
from corpora.records import Message

if TYPE_CHECKING:
    from assistant.chat_models.prefill import Prefiller


@dataclass(frozen=True)
class Asked:
    prompt: Sequence[int]
    stem: int = 0


def prompts(*lengths: int) -> list[Asked]:
    """Of letters, each another text."""
    return [Asked([97 + (place * 7 + n) % 26 for place in range(length)]) for n, length in enumerate(lengths)]


def never() -> bool:
    return False


@pytest.fixture
def prefiller() -> Prefiller:
    return tiny_model()._prefiller


def watched(prefiller: Prefiller, monkeypatch: pytest.MonkeyPatch, together: int) -> list[int]:
    """Lengths of prompts as they are read; each pass waits until `together` are under way."""
    read, seen, meeting = prefiller.read_alone, [], threading.Barrier(together, timeout=20)

    def reading(prompt: Sequence[int], stem: int = 0) -> Any:
        seen.append(len(prompt))
        meeting.wait()
        return read(prompt, stem)

    monkeypatch.setattr(prefiller, "read_alone", reading)
    return seen


def test_two_are_under_way_at_a_time_and_come_in_order(
    prefiller: Prefiller, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    rows, threads = prompts(300, 310, 320, 330), torch.get_num_threads()
    expected = [prefiller.read_alone(row.prompt) for row in rows]
    watched(prefiller, monkeypatch, 2)
    found = list(read_each(rows, prefiller, never))
    assert [row for row, _, _ in found] == rows
    for (_, logits, layers), (kept, alone) in zip(found, expected, strict=True):
        assert torch.equal(logits, alone)
        for one, two in zip(layers, kept, strict=True):
            assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    assert torch.get_num_threads() == threads
    assert not [one for one in threading.enumerate() if "ThreadPool" in one.name]


def test_short_ones_share_a_pass_and_a_single_pass_takes_no_other_thread(
    prefiller: Prefiller, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = prompts(20, 30, 300, 40)
    assert [row for row, _, _ in read_each(rows, prefiller, never)] == [rows[n] for n in (2, 0, 1, 3)]
    passes = watched(prefiller, monkeypatch, 1)
    assert len(list(read_each(rows[:2], prefiller, never))) == 2
    assert passes == []  # both in one pass
    own, seen = threading.get_ident(), []

    def stopped() -> bool:
        seen.append(threading.get_ident())
        return False

    list(read_each(rows[2:3], prefiller, stopped))
    assert seen == [own]


def test_nothing_is_begun_after_a_stop(prefiller: Prefiller, monkeypatch: pytest.MonkeyPatch) -> None:
    halt = threading.Event()
    read, seen = prefiller.read_alone, []

    def reading(prompt: Sequence[int], stem: int = 0) -> Any:
        seen.append(len(prompt))
        if len(seen) == 3:
            halt.set()
        return read(prompt, stem)

    monkeypatch.setattr(prefiller, "read_alone", reading)
    found = list(read_each(prompts(*range(300, 340)), prefiller, halt.is_set))
    assert 3 <= len(seen) <= 4
    assert len(found) <= len(seen)


def test_what_goes_wrong_in_a_thread_is_raised_and_ends_the_others(
    prefiller: Prefiller, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, seen = prefiller.read_alone, []

    def reading(prompt: Sequence[int], stem: int = 0) -> Any:
        seen.append(len(prompt))
        if len(prompt) == 301:
            raise MemoryError("no room")
        return read(prompt, stem)

    monkeypatch.setattr(prefiller, "read_alone", reading)
    with pytest.raises(MemoryError, match="no room"):
        list(read_each(prompts(*range(300, 400)), prefiller, never))
    assert len(seen) < 100
    assert not [one for one in threading.enumerate() if "ThreadPool" in one.name]


def test_a_stem_in_common_is_computed_once_by_threads_that_want_it_together(
    prefiller: Prefiller, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    stem = [98] * 320
    rows = [Asked([*stem, *row.prompt], len(stem)) for row in prompts(300, 310)]
    computed, seen = prefiller._computed, []

    def computing(ids: tuple[int, ...]) -> Any:
        seen.append(len(ids))
        return computed(ids)

    monkeypatch.setattr(prefiller, "_computed", computing)
    found = list(read_each(rows, prefiller, never))
    assert seen == [320]
    for row, logits, _ in found:
        assert torch.equal(logits, tiny_model()._prefiller.read_alone(row.prompt, row.stem)[1])


@pytest.mark.models
def test_the_embedded_model_reads_two_at_a_time_as_one_by_one(embedded_models: Any) -> None:
    import torch

    from assistant.chat_models import load_chat_model
    from assistant.chat_models.local import LocalChatModel

    model = load_chat_model("smollm2-135m", offline=True)
    assert isinstance(model, LocalChatModel)
    # At some lengths (here 300 and 515 tokens and more) the values hang on how many threads compute them.
    texts = ["The Yuan dynasty was founded by Kublai Khan. " * n for n in (25, 43, 50, 57, 64, 71)]
    rows = [Asked(model.prompt_ids((Message("user", text),))) for text in texts]
    assert len(rows[0].prompt) > 256
    alone = [model._prefiller.read_alone(row.prompt)[1] for row in rows]
    together = [logits for _, logits, _ in read_each(rows, model._prefiller, never)]
    assert all(torch.equal(one, two) for one, two in zip(alone, together, strict=True))
