"""Rows that begin alike go through the model once, and cost and teach what they do alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from tuning_models import VOCABULARY, write_llama

from finetune.tuning.batches import BatchPlan
from finetune.tuning.cutting import cut_forests
from finetune.tuning.encode import IGNORED, EncodedRow
from finetune.tuning.forest import grow
from finetune.tuning.forward import Loss
from finetune.tuning.methods import load_for_training, trained_parameters
from finetune.tuning.passes import Passes
from finetune.tuning.ready import made_ready
from finetune.tuning.settings import TuneSettings
from finetune.tuning.sharing import Families, common, tokens_of

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.1,  # so that every token matters to every other
    "pad_token_id": 0,
}
FUSED = ["llama", "mistral", "qwen2"]
OTHERS = ["qwen3", "gemma", "phi3", "gpt_neox"]


def row(ids: Sequence[int], trained: int, name: str = "") -> EncodedRow:
    labels = (*(IGNORED,) * (len(ids) - trained), *ids[len(ids) - trained :])
    return EncodedRow(tuple(ids), labels, name, "file")


def asked(
    passages: int, questions: int, *, seed: int = 0, system: int = 10, longest: int = 60
) -> list[EncodedRow]:
    """Rows as of a library: a system message, some passages, a question of its own, an answer."""
    draw = random.Random(seed)

    def some(count: int) -> list[int]:
        return [draw.randrange(3, VOCABULARY) for _ in range(count)]

    head = some(system)
    rows = []
    for _ in range(passages):
        shown = head + some(draw.randrange(40, longest))
        for _ in range(questions):
            answer = draw.randrange(1, 6)
            rows.append(row(shown + some(draw.randrange(3, 12)) + some(answer), answer))
    draw.shuffle(rows)
    return rows


def base(family: str, folder: Path) -> Path:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(5)
    extra: dict[str, Any] = {"head_dim": 16} if family in {"qwen3", "gemma"} else {}
    config = AutoConfig.for_model(family, **SIZES, **extra)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.tuning.methods.compute_dtype", lambda: torch.float32)


def ready(folder: Path, rows: Sequence[EncodedRow], chosen: TuneSettings | None = None) -> tuple[Any, Loss]:
    chosen = chosen or TuneSettings(rank=4)
    torch.manual_seed(1)
    model = load_for_training(folder, chosen)
    with torch.no_grad():
        for one in trained_parameters(model).values():
            one.normal_(std=0.05)
    return model, made_ready(model, chosen, rows, pad_id=0)


def alone(model: Any, rows: Sequence[EncodedRow], weighting: str) -> Tensor:
    """The loss of rows that go through plain layers one by one."""
    total = torch.zeros(())
    for one in rows:
        ids = torch.tensor([one.input_ids])
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
        labels = torch.tensor(one.labels[1:])
        summed = functional.cross_entropy(logits, labels, reduction="sum", ignore_index=IGNORED)
        total = total + (summed / one.trained if weighting == "row" else summed)
    parts = len(rows) if weighting == "row" else sum(one.trained for one in rows)
    return total / parts


@pytest.mark.parametrize("weighting", ["token", "row"])
@pytest.mark.parametrize("family", FUSED + OTHERS)
def test_rows_of_a_forest_cost_and_teach_what_they_do_alone(
    family: str, weighting: Any, tmp_path: Path
) -> None:
    rows = asked(3, 5)
    model, loss = ready(base(family, tmp_path), rows, TuneSettings(rank=4, weighting=weighting))
    assert loss.forests
    parameters = trained_parameters(model)
    expected = alone(model, rows, weighting)
    expected.backward()
    wanted = {name: one.grad for name, one in parameters.items()}
    model.zero_grad()
    lines = [(place,) for place in range(len(rows))]
    micro = loss.cut(rows, lines, 200)
    assert len(micro) > 2
    found = Passes(loss, rows, list(parameters.values())).train(micro, loss.parts(rows, lines))
    assert float(found) == pytest.approx(float(expected.detach()), abs=1e-5)
    for name, one in parameters.items():
        scale = float(wanted[name].abs().max())
        assert scale > 0, name
        torch.testing.assert_close(one.grad, wanted[name], atol=1e-5 * scale, rtol=0, msg=name)


def test_what_is_shared_goes_through_once(tmp_path: Path) -> None:
    rows = asked(2, 8)
    tokens = sum(len(one.input_ids) for one in rows)
    forest = grow(rows, torch.float32)
    assert forest.tokens == tokens_of(rows) < tokens / 3
    assert int(forest.positions.max()) == max(len(one.input_ids) for one in rows) - 1


IDS = st.lists(st.integers(0, 2), min_size=1, max_size=40).map(tuple)


@settings(max_examples=60)
@given(st.lists(IDS, min_size=1, max_size=8), IDS)
def test_every_row_is_a_path_and_sees_itself_only(
    texts: list[tuple[int, ...]], head: tuple[int, ...]
) -> None:
    rows = [EncodedRow(ids, ids, "", "") for ids in [*texts, *((*head, *text) for text in texts)]]
    forest = grow(rows, torch.float32)
    seen = torch.zeros(forest.tokens, forest.tokens, dtype=torch.bool)
    for chunk in forest.chunks:
        keys = [place for start, end in chunk.keys for place in range(start, end)]
        visible = torch.ones(chunk.end - chunk.start, len(keys), dtype=torch.bool)
        visible[:, -(chunk.end - chunk.start) :] = chunk.hidden[:, 0] == 0
        for query in range(chunk.start, chunk.end):
            seen[query, keys] = visible[query - chunk.start]
    ids, positions = forest.ids[0], forest.positions[0]
    ends: dict[int, list[int]] = {}
    for place, owner in zip(forest.places.tolist(), forest.owners.tolist(), strict=True):
        ends.setdefault(owner, []).append(place)
    for number, one in enumerate(rows):
        trained = ends.get(number, [])
        assert len(trained) == len(one.input_ids) - 1
        for at, place in enumerate(trained):  # what is seen from there is the row up to there, in order
            before = seen[place].nonzero().squeeze(1)
            assert ids[before].tolist() == list(one.input_ids[: at + 1])
            assert positions[before].tolist() == list(range(at + 1))


def test_a_model_that_does_not_heed_the_layout_trains_in_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama.modeling_llama import LlamaAttention

    forward = LlamaAttention.forward

    def deaf(self: Any, *args: Any, forest: Any = None, **kwargs: Any) -> Any:
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(LlamaAttention, "forward", deaf)
    rows = asked(1, 4)
    full = TuneSettings(method="full")
    model, loss = ready(base("llama", tmp_path), rows, full)
    assert not loss.forests
    lines = [(place,) for place in range(4)]
    found = loss.of(rows, lines).detach() / loss.parts(rows, lines)
    assert float(found) == pytest.approx(float(alone(model, rows, "token").detach()), abs=1e-5)


@pytest.mark.parametrize(
    "chosen",
    [
        TuneSettings(dropout=0.1),
        TuneSettings(neftune=5.0),
        TuneSettings(method="prompt"),
    ],
)
def test_no_forests_where_noise_or_tokens_belong_to_a_row(chosen: TuneSettings, tmp_path: Path) -> None:
    rows = asked(1, 3)
    _, loss = ready(write_llama(tmp_path), rows, chosen)
    assert not loss.forests
    assert loss.workers == 1


def test_a_window_shorter_than_the_rows_forbids_forests(tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    MistralForCausalLM(MistralConfig(**SIZES, sliding_window=24)).save_pretrained(tmp_path)
    assert not ready(tmp_path, asked(1, 3))[1].forests


def test_rows_weigh_the_same_in_padded_batches(tmp_path: Path) -> None:
    rows = asked(2, 3)
    model, loss = ready(write_llama(tmp_path), rows, TuneSettings(rank=4, weighting="row"))
    loss.forests = False
    lines = [(0, 1), (2,), (3, 4, 5)]
    found = loss.of(rows, lines) / loss.parts(rows, lines)
    assert float(found.detach()) == pytest.approx(float(alone(model, rows, "row").detach()), abs=1e-5)


# Which rows come together.


def test_common_is_what_two_rows_begin_with() -> None:
    assert common((1, 2, 3), (1, 2, 4)) == 2
    assert common((1, 2), (1, 2, 4)) == 2
    assert common((), (1,)) == 0
    assert common((5, 6), (5, 6)) == 2


def test_families_are_rows_over_the_same_passages() -> None:
    rows = asked(6, 4)
    heads = [one.input_ids[:40] for one in rows]
    lines = Families(rows, 2048).lines(random.Random(0), most=4)
    assert sorted(place for line in lines for place in line) == list(range(24))
    assert all(len({heads[place] for place in line}) == 1 for line in lines)
    assert {len(line) for line in lines} == {4}


def test_what_all_rows_share_makes_no_family() -> None:
    rows = asked(12, 1, system=35)
    assert all(len(line) == 1 for line in Families(rows, 2048).lines(random.Random(0), most=8))


@pytest.mark.parametrize("batch", [1, 2, 7, 16, 64])
@pytest.mark.parametrize("questions", [1, 3, 11])
def test_an_epoch_of_shared_lines_holds_every_row_once_in_full_steps(batch: int, questions: int) -> None:
    rows = asked(9, questions)
    plan = BatchPlan(rows, batch=batch, micro=batch, seed=3, share_to=300)
    for epoch in range(3):
        size = plan.steps_per_epoch
        steps = list(plan.steps(epoch * size, (epoch + 1) * size))
        counts = [sum(len(line) for micro in step.micro for line in micro) for step in steps]
        places = [place for step in steps for micro in step.micro for line in micro for place in line]
        assert sorted(places) == list(range(len(rows)))
        assert min(counts) >= 1
        assert max(counts) <= batch + max(batch // 4, 1)
        for step in steps:
            assert step.trained == sum(
                rows[p].trained for micro in step.micro for line in micro for p in line
            )
            for micro in step.micro:
                assert all(len(line) == 1 or tokens_of([rows[p] for p in line]) <= 300 for line in micro)


def test_shared_lines_go_on_at_any_step_and_change_from_epoch_to_epoch() -> None:
    rows = asked(8, 7)

    def plan(seed: int = 3) -> BatchPlan:
        return BatchPlan(rows, batch=12, micro=12, seed=seed, share_to=1000)

    size = plan().steps_per_epoch
    whole = list(plan().steps(0, 3 * size))
    for start in (1, size - 1, size, 2 * size + 1):
        assert list(plan().steps(start, 3 * size)) == whole[start:]
    assert plan(4).step(0) != whole[0]
    assert {line for micro in whole[0].micro for line in micro} != {
        line for micro in whole[size].micro for line in micro
    }


@given(st.integers(20, 400), st.integers(1, 4), st.integers(0, 3))
def test_micro_batches_hold_every_row_and_no_more_than_fits(tokens: int, workers: int, seed: int) -> None:
    rows = asked(3, 4, seed=seed)
    lines = [tuple(range(5)), tuple(range(5, 12))]
    micro = cut_forests(rows, lines, tokens, workers)
    assert sorted(place for one in micro for line in one for place in line) == list(range(12))
    for one in micro:
        held = [rows[place] for line in one for place in line]
        assert len(held) == 1 or tokens_of(held) <= tokens
