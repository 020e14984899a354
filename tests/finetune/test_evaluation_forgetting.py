"""The forgetting probe: which tasks, what is asked, and when something is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from corpora.prompt import REFUSAL
from corpora.records import Message
from corpora.seeds.tasks import NOT_FOR_TRAINING, load_seeds
from finetune.evaluation.forgetting import Probe, forgetting, probe, probe_tasks, reserved
from finetune.rows.replay import general_messages
from finetune.teacher import Ask, Reply


class Parrot:
    """Finds every reply the likelier the shorter it is; refuses tasks that hold a word."""

    def __init__(self, refuses: str = "\0") -> None:
        self.refuses = refuses
        self.asked: list[Ask] = []

    def reply_log_likelihoods(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        return [-len(reply) / 1000 for _, reply in pairs]

    def generate_batch(self, asks: Sequence[Ask]) -> list[Reply]:
        self.asked += asks
        return [
            Reply(f"{REFUSAL['en']} [1]" if self.refuses in ask.messages[-1].content else "Sure.")
            for ask in asks
        ]


def test_a_fixed_part_of_the_shipped_tasks_is_kept_for_the_probe() -> None:
    english, chinese = probe_tasks(["en"]), probe_tasks(["zh"])
    usable = [task for task in load_seeds("en") if task.id not in NOT_FOR_TRAINING]
    assert 0.2 * len(usable) < len(english) < 0.4 * len(usable)
    assert len(chinese) > 30
    assert len({task.id for task in (*english, *chinese)}) == len(english) + len(chinese)
    assert probe_tasks(["zh", "en"]) == (*english, *chinese)
    assert all(reserved(task.id.split(":", 1)[1]) for task in english)


def test_what_was_taught_is_not_asked() -> None:
    tasks = probe_tasks(["en"])
    rest = probe_tasks(["en"], taught=[tasks[0].instruction, "something else"])
    assert rest == tasks[1:]


def test_a_probe_asks_each_task_as_plain_chat() -> None:
    tasks = probe_tasks(["en"])
    refused = tasks[20].instruction
    model = Parrot(refused)
    found = probe(model, tasks)
    assert found.tasks == tuple(task.id for task in tasks)
    assert found.log_likelihoods == tuple(-len(task.output) / 1000 for task in tasks)
    assert [at for at, was in enumerate(found.refused) if was] == [20]
    assert [ask.messages for ask in model.asked] == [
        general_messages(task.instruction, task.input) for task in tasks
    ]


def test_two_probes_are_compared_by_task() -> None:
    before = Probe(("a", "b", "c"), (-1.0, -2.0, float("-inf")), (False, False, True))
    after = Probe(("a", "b", "c"), (-1.1, -2.3, -3.0), (False, False, True))
    found = forgetting(before, after)
    assert found.change.n == 2
    assert (found.before, found.after) == (-1.5, pytest.approx(-1.7))
    assert found.change.mean == pytest.approx(-0.2)
    assert found.refused_after == pytest.approx(1 / 3)
    assert found.lost
    assert "general tasks (2): log-likelihood a token -1.500 before, -1.700 after (-0.200" in found.line()
    assert math.isclose(found.row()["log_likelihood_after"], -1.7)


def test_a_gain_is_no_loss_and_other_tasks_cannot_be_compared() -> None:
    before = Probe(("a",), (-2.0,), (False,))
    assert not forgetting(before, Probe(("a",), (-1.0,), (False,))).lost
    assert forgetting(before, Probe(("a",), (-2.0,), (True,))).lost
    with pytest.raises(ValueError, match="not of the same tasks"):
        forgetting(before, Probe(("b",), (-2.0,), (False,)))
    nothing = forgetting(Probe((), (), ()), Probe((), (), ()))
    assert not nothing.lost
    assert "nothing can be said" in nothing.line()
