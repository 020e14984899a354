"""Batches: every row once an epoch, an order that a seed decides, and no row that sees another."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.tuning.batches import BatchPlan, Pack, collate, pack
from finetune.tuning.encode import IGNORED, EncodedRow

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PAD = 0


def made(lengths: list[int], seed: int = 0) -> list[EncodedRow]:
    """Rows of random ids, about a third of each trained."""
    rng = random.Random(seed)
    rows = []
    for number, length in enumerate(lengths):
        ids = tuple(rng.randrange(1, 64) for _ in range(length))
        prompt = max(1, length * 2 // 3)
        rows.append(EncodedRow(ids, (IGNORED,) * prompt + ids[prompt:], str(number), "grounded"))
    return rows


def some(count: int, seed: int = 0) -> list[EncodedRow]:
    rng = random.Random(seed)
    return made([rng.choice((40, 60, 90, 300, 420, 500)) + rng.randrange(80) for _ in range(count)], seed)


def places(plan: BatchPlan, epoch: int) -> list[int]:
    size = plan.steps_per_epoch
    steps = plan.steps(epoch * size, (epoch + 1) * size)
    return [place for step in steps for micro in step.micro for line in micro for place in line]


@pytest.mark.parametrize("pack_to", [None, 1024])
@pytest.mark.parametrize("count", [1, 7, 8, 61])
def test_an_epoch_holds_every_row_once_each_epoch_in_another_order(count: int, pack_to: int | None) -> None:
    plan = BatchPlan(some(count), batch=8, micro=4, seed=3, pack_to=pack_to)
    assert sorted(places(plan, 0)) == sorted(places(plan, 1)) == list(range(count))
    assert count < 61 or places(plan, 0) != places(plan, 1)
    assert [step.epoch for step in plan.steps(0, 2 * plan.steps_per_epoch)] == [
        *[0] * plan.steps_per_epoch,
        *[1] * plan.steps_per_epoch,
    ]


def test_the_order_depends_on_the_seed_alone() -> None:
    rows = some(100)
    one, same, other = (BatchPlan(rows, batch=8, micro=8, seed=seed) for seed in (1, 1, 2))
    assert places(one, 0) == places(same, 0) != places(other, 0)


@pytest.mark.parametrize("pack_to", [None, 1024])
def test_a_run_goes_on_at_any_step_as_if_it_had_never_stopped(pack_to: int | None) -> None:
    rows = some(53)

    def plan() -> BatchPlan:
        return BatchPlan(rows, batch=6, micro=2, seed=9, pack_to=pack_to)

    whole = list(plan().steps(0, 25))
    assert [step.number for step in whole] == list(range(25))
    for start in (1, 8, 9, 10, 18, 24):
        assert list(plan().steps(start, 25)) == whole[start:]
    assert plan().step(17) == whole[17]


@pytest.mark.parametrize("pack_to", [None, 1024])
def test_halving_the_micro_batch_leaves_every_step_as_it_is(pack_to: int | None) -> None:
    rows = some(83)
    plans = [BatchPlan(rows, batch=16, micro=micro, seed=4, pack_to=pack_to) for micro in (16, 8, 4, 2, 1)]
    for number in range(2 * plans[0].steps_per_epoch):
        steps = [plan.step(number) for plan in plans]
        lines = [[line for micro in step.micro for line in micro] for step in steps]
        assert all(one == lines[0] for one in lines)
        assert len({step.trained for step in steps}) == 1
    assert [plan.accumulation for plan in plans] == [1, 2, 4, 8, 16]
    assert {len(plan.step(0).micro) for plan in plans} == {1, 2, 4, 8, 16}


def test_a_step_says_how_many_tokens_it_trains() -> None:
    rows = some(20)
    plan = BatchPlan(rows, batch=8, micro=4, seed=0)
    for step in plan.steps(0, plan.steps_per_epoch):
        batches = [collate(rows, micro, pad_id=PAD) for micro in step.micro]
        assert step.trained == sum(int((batch["labels"] != IGNORED).sum()) for batch in batches)


def padded(rows: list[EncodedRow], plan: BatchPlan) -> float:
    """Share of all tokens that are padding, in one epoch."""
    asked = held = 0
    for step in plan.steps(0, plan.steps_per_epoch):
        for micro in step.micro:
            sizes = [sum(len(rows[place].input_ids) for place in line) for line in micro]
            asked, held = asked + max(sizes) * len(sizes), held + sum(sizes)
    return 1 - held / asked


def test_rows_of_a_micro_batch_are_alike_in_length_and_packs_are_full() -> None:
    rows = some(400)
    rng = random.Random(0)
    order = list(range(400))
    rng.shuffle(order)
    lengths = [len(rows[place].input_ids) for place in order]
    unsorted = 1 - sum(lengths) / sum(8 * max(lengths[n : n + 8]) for n in range(0, 400, 8))
    assert unsorted > 0.3
    assert padded(rows, BatchPlan(rows, batch=16, micro=8, seed=0)) < 0.06
    packs = pack([len(row.input_ids) for row in rows], 2048, 0)
    assert sum(lengths) / (2048 * len(packs)) > 0.95


def test_steps_of_an_epoch_do_not_come_sorted_by_length() -> None:
    rows = some(400)
    plan = BatchPlan(rows, batch=8, micro=8, seed=0)
    longest = [len(rows[step.micro[0][0][0]].input_ids) for step in plan.steps(0, 50)]
    assert longest != sorted(longest, reverse=True)
    rises = sum(one < two for one, two in pairwise(longest))
    assert 10 < rises < 40


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(100, 300), st.integers(0, 3))
def test_packs_hold_every_row_once_and_never_too_much(lengths: list[int], capacity: int, seed: int) -> None:
    packs = pack(lengths, capacity, seed)
    assert Counter(place for line in packs for place in line) == Counter(range(len(lengths)))
    assert all(sum(lengths[place] for place in line) <= capacity for line in packs)
    # Best fit opens a new line only where no other has room: no two are half empty.
    assert sum(sum(lengths[place] for place in line) * 2 <= capacity for line in packs) <= 1


def test_best_fit_takes_the_line_with_the_least_room() -> None:
    packs = pack([60, 50, 40, 30], 100, 0)
    assert sorted(sorted(line) for line in packs) == [[0, 2], [1, 3]]


def test_wrong_sizes_are_errors() -> None:
    rows = made([5, 9])
    for batch, micro in ((0, 1), (4, 8), (4, 0)):
        with pytest.raises(ValueError, match="micro-batch"):
            BatchPlan(rows, batch=batch, micro=micro, seed=0)
    with pytest.raises(ValueError, match="does not fit 8"):
        BatchPlan(rows, batch=1, micro=1, seed=0, pack_to=8)


def test_a_batch_is_padded_to_its_longest_line_and_no_further() -> None:
    rows = made([4, 7])
    batch = collate(rows, [(0,), (1,)], pad_id=PAD)
    assert set(batch) == {"input_ids", "labels"}
    assert batch["input_ids"].tolist() == [[*rows[0].input_ids, 0, 0, 0], list(rows[1].input_ids)]
    assert batch["labels"].tolist() == [[*rows[0].labels, *[IGNORED] * 3], list(rows[1].labels)]
    assert tuple(collate(rows, [(0,), (1,)], pad_id=PAD, multiple=8)["input_ids"].shape) == (2, 8)


def test_positions_begin_anew_for_each_row_of_a_line() -> None:
    rows = [*made([3, 2, 4]), EncodedRow((5, 6), (5, 6), "all", "passage")]
    batch = collate(rows, [(0, 3), (1,), (2,)], pad_id=PAD)
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 0, 1, 2], [0, 1, 2, 3, 0]]
    # What begins a row is never trained behind the end of the row before it.
    assert batch["labels"][0].tolist() == [*rows[0].labels, IGNORED, 6]
    assert batch["use_cache"] is False


@cache
def model(family: str) -> PreTrainedModel:
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    torch.manual_seed(0)
    sizes = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": 0.5,  # so that every token matters to every other
        "attn_implementation": "sdpa",
    }
    if family == "mistral":  # a window shorter than the rows
        return MistralForCausalLM(MistralConfig(**sizes, sliding_window=24)).double().eval()
    if family == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**sizes)).double().eval()
    return LlamaForCausalLM(LlamaConfig(**sizes)).double().eval()


def nll(family: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum over trained tokens, as a double."""
    import torch

    labels = batch.pop("labels")
    logits = model(family)(**batch).logits[:, :-1]
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
    )


LINES: dict[str, list[Pack]] = {
    "padded": [(0,), (1,), (2,), (3,), (4,), (5,)],
    "one packed line": [(3, 0, 5, 1, 4, 2)],
    "packed lines of unequal length": [(3, 0), (5, 1, 2), (4,)],
}


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral"])
@pytest.mark.parametrize("name", LINES)
def test_rows_cost_together_what_they_cost_alone(family: str, name: str) -> None:
    import torch

    rows = made([30, 41, 7, 64, 2, 19])
    with torch.no_grad():
        alone = sum(float(nll(family, collate(rows, [(n,)], pad_id=PAD))) for n in range(len(rows)))
        together = float(nll(family, collate(rows, LINES[name], pad_id=PAD)))
    assert together == pytest.approx(alone, rel=1e-12)


def test_without_positions_packed_rows_would_see_each_other() -> None:
    import torch

    rows = made([30, 41, 7, 64, 2, 19])
    batch = collate(rows, LINES["one packed line"], pad_id=PAD)
    with torch.no_grad():
        right = float(nll("llama", dict(batch)))
        del batch["position_ids"]
        assert abs(float(nll("llama", batch)) - right) > 1


@pytest.mark.parametrize("pack_to", [None, 128])
def test_halving_the_micro_batch_leaves_the_gradient_as_it_is(pack_to: int | None) -> None:
    import torch

    rows = made([20, 31, 64, 9, 40, 55, 12, 33])
    gradients = []
    for micro in (4, 2, 1):
        step = BatchPlan(rows, batch=4, micro=micro, seed=0, pack_to=pack_to).step(0)
        model("llama").zero_grad()
        for lines in step.micro:
            loss = nll("llama", collate(rows, lines, pad_id=PAD)) / step.trained
            loss.backward()
        found = [one.grad for one in model("llama").parameters() if one.grad is not None]
        gradients.append(torch.cat([one.flatten() for one in found]))
    assert float(gradients[0].abs().max()) > 1e-3
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-9, atol=1e-12)
