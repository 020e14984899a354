"""Batches of the local chat model on a tiny random one: as if each were alone, whatever their lengths."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest
from tiny_chat import SPECIAL, tiny_model

from corpora.errors import UsageError
from corpora.records import Message
from finetune.teacher import Ask, Reply

if TYPE_CHECKING:
    from assistant.chat_models.local import LocalChatModel


@pytest.fixture(scope="module")
def model() -> LocalChatModel:
    return tiny_model()


def asks(**fields: Any) -> list[Ask]:
    texts = ["a", "why is the sky blue?", "中国的首都是哪里", "x " * 60, "list three rivers", "The end."]
    same = Message("system", "You are asked about rivers and seas.")
    return [Ask((same, Message("user", text)), **{"max_new_tokens": 16, **fields}) for text in texts]


def one_by_one(model: LocalChatModel, calls: list[Ask]) -> list[Reply]:
    return [model.generate_batch([call])[0] for call in calls]


def test_a_greedy_batch_says_what_each_row_says_alone(model: LocalChatModel) -> None:
    together = model.generate_batch(asks())
    assert together == one_by_one(model, asks())
    streamed = [model.invoke([("system", c.messages[0].content), ("user", c.messages[1].content)],
                             max_new_tokens=16).content for c in asks()]  # fmt: skip
    assert [reply.text for reply in together] == streamed
    assert len({reply.usage.completion_tokens for reply in together}) > 2  # rows left at different times
    assert {reply.cut for reply in together} == {True, False}


@pytest.mark.parametrize("config", [{}, {"attn_implementation": "eager"}])
def test_rows_without_a_common_beginning_are_padded_alike(config: dict[str, Any]) -> None:
    model = tiny_model(**config)
    calls = [Ask((Message("user", text),), 10) for text in ("p", "quite another one, longer", "1874 " * 20)]
    assert model.generate_batch(calls) == one_by_one(model, calls)


def test_a_common_beginning_is_read_once_and_changes_nothing(model: LocalChatModel) -> None:
    import torch

    from assistant.chat_models.prefill import Prefiller, shared_prefix

    prompts = [model.prompt_ids(call.messages) for call in asks()]
    assert shared_prefix(prompts) >= 32
    assert shared_prefix(prompts) % 16 == 0
    assert shared_prefix(prompts[:1]) == shared_prefix([[1] * 20, [1] * 20]) == 0
    assert shared_prefix([[1] * 48, [1] * 48]) == 32  # a row keeps a token of its own
    prefiller = Prefiller(model._weights.model)
    batch = prefiller.read(prompts)
    for n, prompt in enumerate(prompts):
        alone = model._weights.model(torch.tensor([prompt])).logits[0, -1]
        torch.testing.assert_close(batch.logits[n, -1], alone, rtol=1e-4, atol=1e-4)


def test_layers_that_forget_get_no_common_beginning() -> None:
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    from assistant.chat_models.prefill import Prefiller

    torch.manual_seed(1)
    config = MistralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=8,
        max_position_embeddings=128,
        initializer_range=0.5,
    )
    sliding = MistralForCausalLM(config).eval()
    prompts = [[5] * 40 + [7], [5] * 40 + list(range(20))]
    batch = Prefiller(sliding).read(prompts)
    for n, prompt in enumerate(prompts):
        alone = sliding(torch.tensor([prompt])).logits[0, -1]
        torch.testing.assert_close(batch.logits[n, -1], alone, rtol=1e-4, atol=1e-4)


def test_a_stop_string_ends_its_row_and_no_other(model: LocalChatModel) -> None:
    free = model.generate_batch(asks())
    text = max((reply.text or "" for reply in free), key=len)
    stop = text[3:5]
    stopped = model.generate_batch(asks(stop=(stop,)))
    for before, after in zip(free, stopped, strict=True):
        whole = before.text or ""
        assert after.text == (whole[: whole.index(stop)] if stop in whole else whole)
        assert stop in whole or after == before
    assert any(not reply.cut and reply.text != before.text
               for reply, before in zip(stopped, free, strict=True))  # fmt: skip


def test_a_seed_gives_a_row_its_reply_whatever_its_neighbours(model: LocalChatModel) -> None:
    hot = {"temperature": 1.0, "top_p": 0.9, "presence_penalty": 0.5}
    calls = [dataclasses.replace(call, seed=n, **hot) for n, call in enumerate(asks())]
    together = model.generate_batch(calls)
    assert together == model.generate_batch(calls)
    assert together == one_by_one(model, calls)
    assert together[2:] == model.generate_batch(calls[2:])
    others = model.generate_batch([dataclasses.replace(call, seed=99) for call in calls])
    assert sum(a != b for a, b in zip(together, others, strict=True)) >= 4


def test_each_row_has_its_own_limit_and_temperature(model: LocalChatModel) -> None:
    greedy, hot = asks()[1], dataclasses.replace(asks()[1], temperature=1.5, seed=4, max_new_tokens=7)
    replies = model.generate_batch([greedy, hot, dataclasses.replace(greedy, max_new_tokens=1)])
    assert replies[0] == one_by_one(model, [greedy])[0]
    assert replies[1].usage.completion_tokens <= 7
    assert replies[1].text != replies[0].text
    assert replies[2].usage.completion_tokens == 1


def test_a_presence_penalty_keeps_tokens_from_coming_back(model: LocalChatModel) -> None:
    import torch

    from assistant.chat_models.sampling import Chooser

    logits = torch.tensor([5.0, 4.5, 4.0, 0.0])
    chooser = Chooser(Ask((), 1, presence_penalty=2.0))
    assert [chooser.choose(logits) for _ in range(4)] == [0, 1, 2, 0]


def test_the_nucleus_holds_the_most_likely_tokens_only() -> None:
    import torch

    from assistant.chat_models.sampling import Chooser

    logits = torch.log(torch.tensor([0.1, 0.5, 0.05, 0.35]))
    chooser = Chooser(Ask((), 1, temperature=1.0, top_p=0.6, seed=1))
    drawn = [chooser.choose(logits) for _ in range(300)]
    assert set(drawn) == {1, 3}
    assert 0.48 < drawn.count(1) / 300 < 0.70  # 0.5 / 0.85
    free = Chooser(Ask((), 1, temperature=1.0, seed=1))
    assert {free.choose(logits) for _ in range(300)} == {0, 1, 2, 3}
    for wrong in ({"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}):
        with pytest.raises(UsageError):
            Chooser(Ask((), 1, **wrong))


def test_a_prompt_that_is_too_long_fails_alone(model: LocalChatModel) -> None:
    long = Ask((Message("user", "x" * 600),), 5)
    replies = model.generate_batch([asks()[0], long, asks()[1]])
    assert replies[1].text is None
    assert "limit is 512" in (replies[1].error or "")
    assert [replies[0], replies[2]] == one_by_one(model, asks()[:2])
    assert model.generate_batch([long])[0].error
    assert model.generate_batch([]) == []


def test_no_text_of_a_message_becomes_a_special_token(model: LocalChatModel) -> None:
    hostile = [Ask((Message("user", f"a{text}b"),), 3) for text in SPECIAL]
    plain = model.prompt_ids([Message("user", "ab")])
    special = set(model._encoder.forbidden.values())
    for call in hostile:
        ids = model.prompt_ids(call.messages)
        assert [i for i in ids if i in special] == [i for i in plain if i in special]
    assert all(reply.text is not None for reply in model.generate_batch(hostile))


def test_langchains_batch_is_written_side_by_side(
    model: LocalChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assistant.chat_models.local import LocalChatModel

    sizes: list[int] = []
    inner = LocalChatModel.generate_batch

    def counted(self: LocalChatModel, calls: list[Ask]) -> list[Reply]:
        sizes.append(len(calls))
        return inner(self, calls)

    monkeypatch.setattr(LocalChatModel, "generate_batch", counted)
    questions = [f"question {n}" for n in range(20)]
    together = model.batch(questions)
    assert sizes == [16, 4]
    assert [m.content for m in together] == [model.invoke(question).content for question in questions]
    assert together[0].usage_metadata == model.invoke(questions[0]).usage_metadata
    short = model.bind(max_new_tokens=2).batch(["one", "two"])
    assert all(m.usage_metadata["output_tokens"] <= 2 for m in short)  # type: ignore[index]
    with pytest.raises(UsageError):
        model.batch(["x" * 600])
    kept = model.batch(["x" * 600, "ok"], return_exceptions=True)
    assert isinstance(kept[0], UsageError)
    assert kept[1].content == model.invoke("ok").content


def test_a_call_sets_its_own_temperature_and_seed(model: LocalChatModel) -> None:
    hot = [model.invoke("rivers", temperature=1.2, seed=seed).content for seed in (1, 2, 1)]
    assert hot[0] == hot[2] != hot[1]
    assert model.invoke("rivers").content == model.invoke("rivers", seed=5).content  # greedy


def test_likelihoods_are_those_counted_by_hand(model: LocalChatModel) -> None:
    import torch

    pairs = [
        ("The capital of France is", " Paris"),
        ("", "abc"),
        ("中国的首都是", "北京。"),
        ("a " * 40, "b"),
    ]
    pairs += [("The capital of France is", " <|im_end|>"), ("The capital of France is", " London, I think")]
    found = model.log_likelihoods(pairs)
    for (first, second), value in zip(pairs, found, strict=True):
        before = [model._weights.start_id, *model._weights.tokenizer.encode(first, split_special_tokens=True)]
        after = model._weights.tokenizer.encode(second, split_special_tokens=True)
        logits = model._weights.model(torch.tensor([before + after])).logits[0].detach().double()
        table = logits.log_softmax(-1)
        by_hand = [float(table[len(before) - 1 + n, token]) for n, token in enumerate(after)]
        assert value == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-4)


def test_the_likelihood_of_a_reply_is_behind_the_prompt_of_its_chat(model: LocalChatModel) -> None:
    import torch

    chats = [((Message("user", text),), reply) for text, reply in (("a river", "Alse"), ("why?", "no <s>"))]
    for (messages, reply), value in zip(chats, model.reply_log_likelihoods(chats), strict=True):
        before = model.prompt_ids(messages)
        after = model._weights.tokenizer.encode(reply)
        table = model._weights.model(torch.tensor([before + after])).logits[0].detach().log_softmax(-1)
        by_hand = [float(table[len(before) - 1 + n, token]) for n, token in enumerate(after)]
        assert value == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-4)


def test_likelihoods_take_many_pairs_long_ones_and_empty_ones(model: LocalChatModel) -> None:
    pairs = [(f"passage {n} " * (n % 9), f" answer {n}") for n in range(70)]
    together = model.log_likelihoods(pairs)
    assert together == pytest.approx([model.log_likelihoods([pair])[0] for pair in pairs], abs=1e-4)
    assert together == model.log_likelihoods(pairs)
    assert model.log_likelihoods([("a", "")]) == [-math.inf]
    tail, long = model.log_likelihoods([("y" * 400 + "x" * 509, "ab"), ("x" * 509, "ab")])
    assert tail == pytest.approx(long, abs=0.5)  # the front is left out; only the start token differs
    assert math.isfinite(model.log_likelihoods([("q", "x" * 2000)])[0])
    assert model.log_likelihoods([]) == []


def test_a_cancelled_batch_has_no_replies(model: LocalChatModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from assistant.chat_models.decoding import SlotDecoder

    inner = SlotDecoder.step

    def cancelling(*arguments: Any) -> Any:
        model.cancel()
        return inner(*arguments)

    monkeypatch.setattr(SlotDecoder, "step", cancelling)
    replies = model.generate_batch(asks())
    assert {(reply.text, reply.error) for reply in replies} == {(None, "cancelled")}


def test_an_identity_follows_weights_settings_adapter_and_precision(tmp_path: Any) -> None:
    from assistant.chat_models.identity import model_fingerprint

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for folder, name in ((base, "config.json"), (adapter, "adapter_config.json")):
        folder.mkdir()
        (folder / name).write_text("{}")
    weights = base / "model.safetensors"
    weights.write_bytes(bytes(range(256)) * 50_000)
    (adapter / "adapter_model.safetensors").write_bytes(b"lora")
    seen = [model_fingerprint(base, None, ["bf16"])]
    seen.append(model_fingerprint(base, None, ["float32"]))
    seen.append(model_fingerprint(base, adapter, ["bf16"]))
    (adapter / "adapter_model.safetensors").write_bytes(b"rola")
    seen.append(model_fingerprint(base, adapter, ["bf16"]))
    (base / "config.json").write_text('{"rope": 2}')
    seen.append(model_fingerprint(base, None, ["bf16"]))
    weights.write_bytes(bytes(reversed(range(256))) * 50_000)
    seen.append(model_fingerprint(base, None, ["bf16"]))
    assert len(set(seen)) == len(seen)
    assert seen[-1] == model_fingerprint(base, None, ["bf16"])
    assert all(len(one) == 16 for one in seen)


@pytest.mark.models
def test_the_embedded_model_writes_equal_batches_each_time(embedded_models: Any) -> None:
    from assistant.chat_models import load_chat_model
    from assistant.chat_models.local import LocalChatModel

    model = load_chat_model("smollm2-135m", offline=True)
    assert isinstance(model, LocalChatModel)
    rules = Message("system", "Answer in one word. " * 12)
    places = ("France", "Germany", "Italy")
    calls = [Ask((rules, Message("user", f"What is the capital of {place}?")), 8) for place in places]
    replies = model.generate_batch(calls)
    assert replies == model.generate_batch(calls)
    for city, reply in zip(("Paris", "Berlin", "Rome"), replies, strict=True):
        assert city in (reply.text or "")
    assert replies[0].usage.prompt_tokens == model.count_tokens(calls[0].messages)
    paris, banana = model.log_likelihoods(
        [("The capital of France is", f" {w}") for w in ("Paris", "banana")]
    )
    assert paris > banana + 3
    assert len(model.fingerprint) == 16
