"""Rows written side by side with a place for each key: as if each were alone, whoever leaves."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_chat import tiny_model, write_adapter, write_model

from assistant.chat_models.adapters import attach_adapter
from assistant.chat_models.batch import Meter, _groups
from assistant.chat_models.folding import folded
from assistant.chat_models.loading import _model, load_local
from corpora.records import Message
from finetune.card import Serving
from finetune.teacher import Ask

if TYPE_CHECKING:
    import torch

    from assistant.chat_models.local import LocalChatModel


@pytest.fixture(scope="module")
def model() -> LocalChatModel:
    return tiny_model(max_position_embeddings=2048)


def prompt(seed: int, length: int) -> list[int]:
    return [(seed * 7 + n * n) % 200 for n in range(length)]


def reference(model: LocalChatModel, ids: Sequence[int], tokens: Sequence[int]) -> list[torch.Tensor]:
    """Logits behind each of `tokens`, from whole passes over everything before."""
    import torch

    with torch.inference_mode():
        logits = model.loaded.model(input_ids=torch.tensor([[*ids, *tokens]])).logits[0]
    return list(logits[len(ids) :])


def test_a_step_is_what_a_whole_pass_says_for_each_row(model: LocalChatModel) -> None:
    import torch

    from assistant.chat_models.decoding import SlotDecoder
    from assistant.chat_models.prefill import Prefiller

    prefiller = Prefiller(model.loaded.model)
    prompts = [prompt(n, length) for n, length in enumerate((60, 5, 64, 130, 63))]
    decoder = SlotDecoder(model.loaded.model, [prefiller.read_alone(ids)[0] for ids in prompts])
    tokens = [[(3 * n + 11 * step) % 200 for step in range(80)] for n in range(5)]
    wanted = [reference(model, ids, own) for ids, own in zip(prompts, tokens, strict=True)]
    going = [0, 1, 2, 3, 4]
    for step in range(80):
        logits = decoder.step([tokens[n][step] for n in going])
        for place, n in enumerate(going):
            torch.testing.assert_close(logits[place], wanted[n][step], rtol=1e-4, atol=1e-4)
        leaving = {10: 3, 20: 0, 40: 1, 70: 4}.get(step)
        if leaving is not None:
            decoder.keep([place for place, n in enumerate(going) if n != leaving])
            going.remove(leaving)


def test_a_stem_is_kept_where_that_pays_and_changes_nothing(model: LocalChatModel) -> None:
    import torch

    from assistant.chat_models.prefill import Prefiller, stem_kept

    assert stem_kept(prompt(1, 96), 40) == 32
    assert stem_kept(prompt(1, 100), 20) == 0  # too short
    assert stem_kept(prompt(1, 100), 33) == stem_kept(prompt(1, 97), 33) == 0  # too small a part
    assert stem_kept(prompt(1, 64), 64) == 48  # a token is left to be read
    passes: list[int] = []
    hook = model.loaded.model.register_forward_pre_hook(
        lambda _module, _args, given: passes.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    prefiller = Prefiller(model.loaded.model)
    ids = prompt(2, 90)
    _, whole = prefiller.read_alone(ids)
    layers, first = prefiller.read_alone(ids, 64)
    _, second = prefiller.read_alone(ids, 64)
    hook.remove()
    assert passes == [90, 64, 26, 26]
    assert layers[0][0].shape[2] == 90
    torch.testing.assert_close(first, whole, rtol=1e-4, atol=1e-4)
    assert torch.equal(first, second)


def test_what_stands_before_the_last_message_is_the_stem(model: LocalChatModel) -> None:
    rules = Message("system", "Rivers and seas are what you know. " * 3)
    for text in ("Why?", "1" * 300):
        messages = (rules, Message("user", text))
        ids = model.prompt_ids(messages)
        shared = model._stems.shared(messages, ids)
        assert ids[:shared] == model.prompt_ids((rules, Message("user", "other")))[:shared]
        assert shared > len(rules.content)
    assert model._stems.shared(messages[1:], model.prompt_ids(messages[1:])) == 0


def test_long_and_short_prompts_are_written_as_they_are_streamed(model: LocalChatModel) -> None:
    rules = Message("system", "You are asked about rivers and seas. " * 3)
    texts = ["why?", "x " * 200, "and " * 100, "a", "The end. " * 40, "list three rivers"]
    calls = [Ask((rules, Message("user", text)), 24) for text in texts]
    meter = Meter()
    together = model.generate_batch(calls, meter=meter)
    streamed = [
        model.invoke([("system", rules.content), ("user", text)], max_new_tokens=24).content for text in texts
    ]
    assert [reply.text for reply in together] == streamed
    assert meter.read_tokens == sum(reply.usage.prompt_tokens for reply in together)
    assert meter.written_tokens == sum(reply.usage.completion_tokens for reply in together)
    assert meter.read_seconds > 0 and meter.written_seconds > 0


def test_models_that_forget_are_written_in_a_padded_batch() -> None:
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    from assistant.chat_models.local import LocalChatModel
    from assistant.chat_models.prefill import Prefiller

    plain = tiny_model()
    shape = {name: getattr(plain.loaded.model.config, name) for name in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "max_position_embeddings", "initializer_range")}  # fmt: skip
    torch.manual_seed(1)
    sliding = MistralForCausalLM(MistralConfig(**shape, sliding_window=16)).eval()
    weights = dataclasses.replace(plain.loaded, model=sliding)
    model = LocalChatModel(weights, model_name="sliding", max_new_tokens=12)
    assert Prefiller(plain.loaded.model).keeps_places and not Prefiller(sliding).keeps_places
    texts = ("a", "why is the sky blue?", "x " * 30)
    together = model.generate_batch([Ask((Message("user", text),), 12) for text in texts])
    assert [reply.text for reply in together] == [model.invoke(text).content for text in texts]


def test_a_watch_hears_the_text_and_ends_its_row(model: LocalChatModel) -> None:
    calls = [Ask((Message("user", text),), 30) for text in ("a", "why is the sky blue?", "x " * 150)]
    free = model.generate_batch(calls)
    heard: list[list[str]] = [[], [], []]

    def watch(n: int, most: int) -> Any:
        def take(piece: str) -> bool:
            heard[n].append(piece)
            return len("".join(heard[n])) < most

        return take

    watched = model.generate_batch(calls, watches=[watch(0, 9999), watch(1, 4), watch(2, 9999)])
    assert [watched[0], watched[2]] == [free[0], free[2]]
    assert ["".join(pieces) for pieces in heard] == [reply.text for reply in watched]
    assert 4 <= len(watched[1].text or "") < len(free[1].text or "") and (free[1].text or "").startswith(
        watched[1].text or "?"
    )
    assert not watched[1].cut


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_batch_stops_when_it_is_asked_to(model: LocalChatModel, after: int) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > after

    replies = model.generate_batch([Ask((Message("user", "x " * n),), 30) for n in (1, 150, 200)], stop=stop)
    assert {reply.error for reply in replies} == {"cancelled"}


def test_rows_are_grouped_by_length_and_memory(model: LocalChatModel) -> None:
    from assistant.chat_models.batch import Row

    rows = [Row(Ask((), 8), [1] * n, 8, model.loaded.tokenizer) for n in (500, 10, 30, 500)]
    assert list(_groups(rows, 1)) == [[rows[1], rows[2], rows[0], rows[3]]]
    assert list(_groups(rows, 1 << 22)) == [[rows[1], rows[2]], [rows[0]], [rows[3]]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def test_a_lora_is_folded_into_the_weights_it_is_served_with(base: Path, tmp_path: Path) -> None:
    import torch

    adapter = write_adapter(tmp_path / "mine", base, serving=Serving(False, 0.5), scale=0.3)
    served = load_local(
        str(base), adapter=str(adapter), library=None, default_adapter=False, offline=True, max_new_tokens=8
    )
    plain = _model(base)
    assert type(served.loaded.model) is type(plain)
    assert not any("lora" in name for name, _ in served.loaded.model.named_parameters())
    beside, _ = attach_adapter(_model(base).float(), adapter)
    whole, done = folded(attach_adapter(_model(base).float(), adapter)[0])
    assert done
    ids = torch.tensor([prompt(3, 50)])
    with torch.inference_mode():
        one, two, three = (m.float().eval()(input_ids=ids).logits for m in (whole, beside, plain))
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)
    assert float((one - three).abs().max()) > 1


def test_other_adapters_and_weights_that_layers_share_are_left_beside(base: Path, tmp_path: Path) -> None:
    from peft import IA3Config, LoraConfig

    others = {
        "scales": IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM"),
        "words": LoraConfig(r=2, target_modules=["embed_tokens", "q_proj"], task_type="CAUSAL_LM"),
        "last": LoraConfig(r=2, target_modules=["lm_head"], task_type="CAUSAL_LM"),
    }
    for name, config in others.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # peft has its say on tied embeddings
            adapter = write_adapter(tmp_path / name, base, serving=None, config=config)
        tuned, _ = attach_adapter(_model(base), adapter)
        assert folded(tuned) == (tuned, False), name
    assert folded(_model(base))[1] is False
