"""Several adapters on one base in memory: each answers as it does alone, the base is not loaded again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_chat import write_adapter, write_model

from assistant.chat_models.loading import load_local
from assistant.chat_models.local import LocalChatModel
from assistant.chat_models.switching import Switchboard
from corpora.errors import Conflict, UsageError
from corpora.records import Message
from finetune.card import Serving
from finetune.teacher import Ask

HISTORY = Message("user", "Tell me about the lighthouse of the harbour, and of its engineer. " * 3)
MESSAGES = (HISTORY, Message("assistant", "It was built in 1874."), Message("user", "How high?"))
ASKS = [Ask(MESSAGES, max_new_tokens=8), Ask((*MESSAGES[:2], Message("user", "By whom?")), max_new_tokens=8)]
SERVING = Serving(examples=False, refusal_threshold=0.5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("adapters")
    scales = {"one.v1": 0.3, "two": 0.6}
    return {
        name: write_adapter(made / name, base, serving=SERVING if name == "two" else None, scale=scale)
        for name, scale in scales.items()
    }


@pytest.fixture(scope="module")
def virtual(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of virtual tokens, as training leaves it."""
    import torch

    from finetune.tuning.methods import load_for_training, settings_for

    torch.manual_seed(1)
    model: Any = load_for_training(base, settings_for("prompt"))
    folder = tmp_path_factory.mktemp("virtual") / "tokens"
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def loaded(base: Path, adapter: Path | None) -> LocalChatModel:
    return load_local(
        str(base),
        adapter=str(adapter) if adapter else "none",
        library=None,
        default_adapter=False,
        offline=True,
        max_new_tokens=8,
    )


def answers(model: LocalChatModel) -> list[object]:
    """Texts written one by one and side by side, and the likelihoods of a reply: to the last bit."""
    texts = [model.invoke([(one.role, one.content) for one in ask.messages]).content for ask in ASKS]
    written = [reply.text for reply in model.generate_batch(ASKS)]
    return [*texts, *written, *model.reply_log_likelihoods([(MESSAGES, "Kerr"), (MESSAGES[:1], "31 m")])]


def test_each_answers_as_it_does_alone_in_any_order(
    base: Path, adapters: dict[str, Path], virtual: Path
) -> None:
    expected = {None: answers(loaded(base, None)), "tokens": answers(loaded(base, virtual))}
    expected |= {name: answers(loaded(base, folder)) for name, folder in adapters.items()}
    assert len({str(one) for one in expected.values()}) == 4, "they differ, so that a mistake is seen"
    board = Switchboard(loaded(base, None))
    model = board.model
    for name, folder in adapters.items():
        board.load(name, folder)
        assert answers(model) == expected[None], "loading is not using"
    board.load("tokens", virtual)
    for name in ("one.v1", "two", None, "tokens", "two", "tokens", None, "one.v1", "one.v1"):
        board.use(name)
        assert board.active == model.adapter_name == name
        assert answers(model) == expected[name], name
    assert board.names == ("one.v1", "two", "tokens")


def test_virtual_tokens_first_then_layers(base: Path, adapters: dict[str, Path], virtual: Path) -> None:
    alone = {"two": answers(loaded(base, adapters["two"])), "tokens": answers(loaded(base, virtual))}
    board = Switchboard(loaded(base, None))
    board.load("tokens", virtual)
    board.use("tokens")
    board.load("two", adapters["two"])
    for name in ("tokens", "two", "tokens"):
        board.use(name)
        assert answers(board.model) == alone[name]


def test_the_base_is_in_memory_once_and_never_changed(base: Path, adapters: dict[str, Path]) -> None:
    import torch

    board = Switchboard(loaded(base, None))
    weights = {one.data_ptr(): one.detach().clone() for one in board.model.loaded.model.parameters()}

    def others() -> set[str]:
        """Weights that are not those of the base."""
        now = dict(board.model.loaded.model.named_parameters())
        assert not any(one.requires_grad for name, one in now.items() if "lora_" in name)
        own = {name: one for name, one in now.items() if "lora_" not in name}
        assert len(own) == len(weights)
        kept = {name: one for name, one in own.items() if one.data_ptr() in weights}
        assert all(torch.equal(one, weights[one.data_ptr()]) for one in kept.values())
        return own.keys() - kept.keys()

    for name, folder in adapters.items():
        board.load(name, folder)
        assert others() == set()
    for name in ("two", "one.v1", "two"):
        board.use(name)
        assert len(others()) == 4  # q_proj and v_proj of two layers
    board.use(None)
    assert others() == set()
    assert not board.model.loaded.model.training


def test_how_it_is_asked_and_what_it_is_called_go_with_it(base: Path, adapters: dict[str, Path]) -> None:
    board = Switchboard(loaded(base, None))
    board.load("one.v1", adapters["one.v1"])
    board.load("two", adapters["two"], SERVING)
    prints = []
    for name in (None, "one.v1", "two"):
        with board.using(name) as model:
            prints.append(model.fingerprint)
            assert model.serving == (SERVING if name == "two" else None)
        assert board.active is None
    assert len(set(prints)) == 3
    with pytest.raises(ZeroDivisionError), board.using("two"):
        raise ZeroDivisionError
    assert board.active is None and board.model.adapter_name is None


def test_names_that_are_not_in_memory_or_already_are(base: Path, adapters: dict[str, Path]) -> None:
    board = Switchboard(loaded(base, None))
    with pytest.raises(UsageError):
        board.use("two")
    board.load("two", adapters["two"])
    with pytest.raises(UsageError):
        board.load("two", adapters["two"])
    with pytest.raises(UsageError):
        Switchboard(loaded(base, adapters["two"]))


@pytest.mark.parametrize("kind", ["damaged", "other base"])
def test_one_that_does_not_fit_leaves_the_others_in_use(
    base: Path, adapters: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    from safetensors.torch import load_file, save_file

    bad = shutil.copytree(adapters["one.v1"], tmp_path / "bad")
    if kind == "damaged":
        config = (bad / "adapter_config.json").read_text()
        (bad / "adapter_config.json").write_text(config.replace('"r": 2', '"r": 3'))
    else:
        weights = load_file(bad / "adapter_model.safetensors")
        narrow = {name: one[:, :16] if "lora_A" in name else one for name, one in weights.items()}
        save_file({n: one.contiguous() for n, one in narrow.items()}, bad / "adapter_model.safetensors")
    board = Switchboard(loaded(base, None))
    board.load("two", adapters["two"])
    board.use("two")
    before = answers(board.model)
    with pytest.raises(Conflict):
        board.load("bad", bad)
    assert (board.active, board.names) == ("two", ("two",))
    assert answers(board.model) == before
    board.load("one.v1", adapters["one.v1"])
    assert answers(board.model) == before
