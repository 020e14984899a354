"""A tuned model in code and at the command line: which adapter answers, how it is asked, what is refused."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_chat import tiny_model, write_adapter, write_model
from tiny_models import write_bert

from assistant.__main__ import main
from assistant.chat_models import load_chat_model, loading
from assistant.chat_models.adapters import adapter_for
from assistant.chat_models.local import LocalChatModel
from corpora.errors import AssistantError
from corpora.prompt import REFUSAL
from corpora.records import Message
from finetune.adapters.resolve import shipped_for
from finetune.card import Card, Serving
from finetune.teacher import Ask

HARBOUR = "The lighthouse of the harbour was built in 1874 by Anna Kerr.\n"
QUESTION = "When was the lighthouse of the harbour built?"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture()
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a library of one document, and the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harbour.md").write_text(HARBOUR, "utf-8")
    encoder = write_bert(tmp_path_factory.mktemp("encoder") / "tiny")
    assert main(["ingest", "harbour.md", "--encoder", str(encoder)]) == 0
    return tmp_path


def row(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    """What `ask --json` prints, or its error."""
    capfd.readouterr()
    assert main(["ask", QUESTION, "--json", "--offline", *words]) == code
    said = capfd.readouterr()
    parsed: dict[str, Any] = json.loads(said.out if code == 0 else said.err.splitlines()[-1])
    return parsed


def test_ask_serves_an_adapter_as_its_card_says(
    folder: Path, base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    adapters = folder / ".assistant" / "adapters"
    write_adapter(adapters / "shy", base, serving=Serving(examples=False, refusal_threshold=0.0))
    write_adapter(adapters / "bold", base, serving=Serving(examples=False, refusal_threshold=1.0))
    write_adapter(adapters / "taught", base, serving=Serving(examples=True, refusal_threshold=None))
    plain = row(capfd, "--model", str(base), "--adapter", "none")
    assert (plain["model"], plain["adapter"], plain["refused"]) == (str(base), None, False)

    shy = row(capfd, "--model", str(base), "--adapter", "shy")
    assert (shy["refused"], shy["refusal"], shy["answer"]) == (True, "model", REFUSAL["en"])
    assert shy["adapter"] == "shy"
    assert shy["usage"]["completion_tokens"] == len(REFUSAL["en"])

    bold = row(capfd, "--model", str(base), "--adapter", "bold")
    assert (bold["adapter"], bold["refused"], bold["unsupported"]) == ("bold", False, True)
    assert bold["usage"]["prompt_tokens"] == shy["usage"]["prompt_tokens"]
    assert bold["usage"]["prompt_tokens"] < plain["usage"]["prompt_tokens"] - 400  # no examples
    assert bold["passages_left_out"] == 0

    taught = row(capfd, "--model", str(base), "--adapter", "taught")
    assert taught["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"]
    assert taught["answer"] == plain["answer"]  # an adapter of zeros, asked in the same way


def test_the_adapter_in_use_answers_by_itself_and_none_is_the_plain_base(
    folder: Path, base: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters = folder / ".assistant" / "adapters"
    for name in ("first", "second"):
        write_adapter(adapters / name, base, serving=Serving(examples=False, refusal_threshold=0.0))
    monkeypatch.setenv("ASSISTANT_MODEL", str(base))
    assert row(capfd)["adapter"] is None
    assert main(["adapters", "use", "first"]) == 0
    assert row(capfd)["adapter"] == "first"
    assert row(capfd, "--adapter", "second")["adapter"] == "second"
    assert row(capfd, "--adapter", "none")["adapter"] is None
    monkeypatch.setenv("ASSISTANT_ADAPTER", "second")
    assert row(capfd)["adapter"] == "second"
    monkeypatch.setenv("ASSISTANT_ADAPTER", "none")
    assert row(capfd)["adapter"] is None


def test_an_adapter_that_does_not_fit_is_refused_if_named_and_passed_over_if_in_use(
    folder: Path, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = write_model(tmp_path / "other", seed=4)
    write_adapter(folder / ".assistant" / "adapters" / "mine", base, serving=Serving(False, 0.0))
    assert main(["adapters", "use", "mine"]) == 0
    error = row(capfd, "--model", str(other), "--adapter", "mine", code=5)["error"]
    assert error["code"] == "wrong_base"
    assert "--adapter none" in error["hint"]
    assert (
        row(capfd, "--model", str(base), "--adapter", "absent", code=8)["error"]["code"] == "adapter_missing"
    )
    for file in other.iterdir():  # other weights where the adapter's were
        (base / file.name).replace(tmp_path / f"kept-{file.name}")
        (base / file.name).write_bytes(file.read_bytes())
    try:
        capfd.readouterr()
        assert main(["ask", QUESTION, "--offline", "--model", str(base)]) == 0
        assert "Answering without it" in capfd.readouterr().err
    finally:
        for file in other.iterdir():
            (tmp_path / f"kept-{file.name}").replace(base / file.name)


def spoil_template(base: Path, folder: Path) -> None:
    folder.mkdir()
    for file in base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}Say:")


def test_what_does_not_fit_is_told_before_any_weight_is_loaded(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_weights(_folder: Path) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(loading, "_model", no_weights)
    other, template = write_model(tmp_path / "other", seed=4), tmp_path / "template"
    spoil_template(base, template)
    good = write_adapter(tmp_path / "good", base, serving=None)
    foreign = write_adapter(tmp_path / "foreign", base, serving=None)
    (foreign / "card.json").unlink()
    pickled = write_adapter(tmp_path / "pickled", base, serving=None)
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    damaged = write_adapter(tmp_path / "damaged", base, serving=None)
    weights = damaged / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    old = write_adapter(tmp_path / "old", base, serving=None, prompt_version="0")
    for model, adapter, code, exit_code in (
        (other, good, "wrong_base", 5),
        (other, foreign, "wrong_base", 5),
        (template, good, "wrong_template", 5),
        (base, old, "wrong_prompt", 5),
        (base, pickled, "pickle_refused", 5),
        (base, damaged, "bad_adapter", 5),
        (base, tmp_path / "absent", "adapter_missing", 8),
    ):
        with pytest.raises(AssistantError) as caught:
            load_chat_model(str(model), adapter=str(adapter))
        assert (caught.value.code, caught.value.exit_code) == (code, exit_code), adapter.name


def test_a_folder_with_or_without_a_card_is_an_adapter(base: Path, tmp_path: Path) -> None:
    mine = write_adapter(tmp_path / "mine", base, serving=Serving(False, 0.5), scale=0.4)
    loaded = load_chat_model(str(base), adapter=str(mine))
    plain = load_chat_model(str(base))
    assert isinstance(loaded, LocalChatModel) and isinstance(plain, LocalChatModel)
    assert (loaded.adapter_name, loaded.serving) == ("mine", Serving(False, 0.5))
    assert (plain.adapter_name, plain.serving) == (None, None)
    (mine / "card.json").unlink()
    foreign = load_chat_model(str(base), adapter=str(mine))
    assert isinstance(foreign, LocalChatModel)
    assert (foreign.adapter_name, foreign.serving) == (str(mine), None)
    assert len({loaded.fingerprint, plain.fingerprint, foreign.fingerprint}) == 3
    said = [str(model.invoke("Where?", max_new_tokens=20).content) for model in (plain, loaded, foreign)]
    assert said[0] != said[1] == said[2]


@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig", "PromptEncoderConfig"])
def test_virtual_tokens_stand_once_before_a_prompt_as_in_training(
    kind: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(loading, "_cpu_dtype", lambda: torch.float32)  # equal but for rounding
    sizes = {"encoder_hidden_size": 16} if kind == "PromptEncoderConfig" else {}
    config = getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=5, **sizes)
    folder = write_adapter(tmp_path / "virtual", base, serving=Serving(False, None), config=config)
    model = load_chat_model(str(base), adapter=str(folder))
    assert isinstance(model, LocalChatModel)
    assert model.context_tokens == 2048 - 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        tuned = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(folder)).eval()
    asks = [
        Ask((Message("user", f"{'same ' * 12}{text}"),), 12) for text in ("why?", "and where, then?", "a")
    ]
    replies = model.generate_batch(asks)
    for ask, reply in zip(asks, replies, strict=True):
        ids, written = model.prompt_ids(ask.messages), []
        with torch.inference_mode():
            for _ in range(12):
                whole = torch.tensor([[*ids, *written]])
                logits = tuned(input_ids=whole, attention_mask=torch.ones_like(whole)).logits
                token = int(logits[0, -1].argmax())
                if token in model.loaded.stop_ids:
                    break
                written.append(token)
        assert list(model._tokens(ids, ask)) == written
        assert reply.usage.completion_tokens == len(written)
        assert reply.text == model.invoke(ask.messages[0].content, max_new_tokens=12).content
    assert replies == [model.generate_batch([ask])[0] for ask in asks]


def test_another_threshold_is_another_model_to_a_cache_of_replies(base: Path, tmp_path: Path) -> None:
    prints = set()
    for n, threshold in enumerate((None, 0.4, 0.6)):
        adapter = write_adapter(tmp_path / f"a{n}", base, serving=Serving(False, threshold))
        model = load_chat_model(str(base), adapter=str(adapter))
        assert isinstance(model, LocalChatModel)
        prints.add(model.fingerprint)
    assert len(prints) == 3


def test_a_whole_model_is_asked_as_its_card_says(base: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(base, whole)
    adapter = write_adapter(tmp_path / "adapter", base, serving=Serving(False, 0.25))
    card = Card.read(adapter)
    card.write(whole)
    model = load_chat_model(str(whole))
    assert isinstance(model, LocalChatModel) and model.serving == Serving(False, 0.25)
    plain = load_chat_model(str(base))
    assert isinstance(plain, LocalChatModel) and plain.fingerprint != model.fingerprint
    replace(card, prompt_version="0").write(whole)
    for spoil in (lambda: None, lambda: (whole / "card.json").write_text("{}")):
        spoil()
        model = load_chat_model(str(whole))
        assert isinstance(model, LocalChatModel) and model.serving is None


def test_without_a_name_the_plain_model_is_loaded(base: Path) -> None:
    assert adapter_for(str(base), base, None, None, default=False) is None
    assert adapter_for(str(base), base, "none", None, default=True) is None
    assert tiny_model().serving is None


@pytest.mark.models
def test_the_shipped_adapter_answers_for_the_embedded_model(
    embedded_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shipped = shipped_for("smollm2-135m")
    if not shipped:
        pytest.skip("no adapter is shipped yet")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harbour.md").write_text(HARBOUR, "utf-8")
    assert main(["ingest", "harbour.md"]) == 0
    answer = row(capfd)
    assert (answer["adapter"], answer["model"], answer["kind"]) == (
        shipped[0].name,
        "smollm2-135m",
        "generated",
    )
    assert "1874" in answer["answer"]
    assert not answer["unsupported"]
    assert [citation["path"] for citation in answer["citations"]] == ["harbour.md"]
    assert row(capfd, "--adapter", "none")["adapter"] is None
