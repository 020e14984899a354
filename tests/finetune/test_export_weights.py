"""Merged weights are the base with the adapter in it: of each kind of LoRA, on the base as trained on."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from export_models import log_probabilities, write_adapter, write_model
from safetensors.torch import load_file, save_file

from corpora.errors import Conflict, StorageError
from finetune.export.answers import load_adapted, load_source
from finetune.export.folder import new_folder
from finetune.export.rounding import rounded, rounded_weights
from finetune.export.run import Exported, Format, export
from finetune.export.source import Source, read_source

IDS = [5, 90, 17, 200, 33, 41, 8, 77, 120, 61]


def written(source: Source, form: Format, target: Path, **options: Any) -> Exported:
    return export(source, form, target, advance=lambda _n, _total: None, **options)


def merged_model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()


def adapted(base: Path, adapter: Path) -> Any:
    """The adapter beside the base, by peft alone, in float32."""
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel.from_pretrained(merged_model(base), str(adapter)).eval()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("export") / "llama", "smollm2")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.mlp.up_proj": 3, "q_proj": 16}},
    ],
    ids=["lora", "rslora", "dora", "patterns"],
)
def test_merged_weights_say_what_base_and_adapter_say(
    base: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    from peft import LoraConfig

    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM", **options)
    adapter = write_adapter(tmp_path / "adapter", base, config=config)
    done = written(read_source(adapter, offline=True), "merged", tmp_path / "out")
    ours = log_probabilities(merged_model(done.folder), IDS)
    torch.testing.assert_close(ours, log_probabilities(adapted(base, adapter), IDS), atol=2e-4, rtol=0)
    assert (ours - log_probabilities(merged_model(base), IDS)).abs().max() > 1


def test_a_merged_folder_is_a_model_by_itself(tmp_path: Path) -> None:
    """In as many files as the base has, with its tokenizer and template, card and licences."""
    from transformers import AutoTokenizer

    base = write_model(tmp_path / "mistral", "mistral", dtype=torch.bfloat16)
    (base / "LICENSE").write_text("of the base")
    adapter = write_adapter(tmp_path / "adapter", base, licences=("CC-BY-SA-4.0",))
    (adapter / "NOTICE").write_text("of the adapter")
    (adapter / "LICENSE").symlink_to(base / "config.json")  # whatever a stranger's adapter points to
    done = written(read_source(adapter, offline=True), "merged", tmp_path / "out")
    names = {path.name for path in base.glob("*.safetensors")}
    assert len(names) > 1 and names < set(done.files)
    index = json.loads((done.folder / "model.safetensors.index.json").read_text())
    assert (
        index["weight_map"] == json.loads((base / "model.safetensors.index.json").read_text())["weight_map"]
    )
    assert {one.dtype for name in names for one in load_file(done.folder / name).values()} == {torch.bfloat16}
    template = AutoTokenizer.from_pretrained(done.folder).chat_template
    assert template == AutoTokenizer.from_pretrained(base).chat_template
    assert (done.folder / "NOTICE").read_text() == "of the adapter"
    assert not (done.folder / "LICENSE").exists()
    assert (done.folder / "base-LICENSE").read_text() == "of the base"
    assert (done.folder / "card.json").read_bytes() == (adapter / "card.json").read_bytes()
    assert "CC-BY-SA-4.0" in (done.folder / "README.md").read_text()
    merged_model(done.folder)


@pytest.mark.parametrize("rounding", ["nf4", "int8"])
def test_the_rounding_is_that_of_a_base_loaded_in_few_bits(base: Path, rounding: Any) -> None:
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit, Linear8bitLt
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    four = rounding == "nf4"
    kind = BitsAndBytesConfig(
        load_in_4bit=four,
        load_in_8bit=not four,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = AutoModelForCausalLM.from_pretrained(base, quantization_config=kind, dtype=torch.bfloat16)
    plain = load_file(base / "model.safetensors")
    layers = {name: one for name, one in model.named_modules() if isinstance(one, Linear4bit | Linear8bitLt)}
    assert rounded_weights(base) == {f"{name}.weight" for name in layers}
    assert len(layers) == 14
    for name, layer in layers.items():
        if four:
            expected = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        else:
            expected = layer.weight.data.float() * (layer.weight.SCB.float().unsqueeze(1) / 127)
        ours = rounded(plain[f"{name}.weight"], rounding)
        torch.testing.assert_close(ours, expected.to(torch.bfloat16), atol=0, rtol=0)


def test_an_adapter_of_an_nf4_base_is_merged_onto_that(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base, method="qlora")
    source = read_source(adapter, offline=True)
    assert source.rounding == "nf4"
    done = written(source, "merged", tmp_path / "out")
    assert json.loads((done.folder / "config.json").read_text())["dtype"] == "bfloat16"
    judged = log_probabilities(load_source(source), IDS)  # NF4 layers, the adapter beside them
    ours = log_probabilities(merged_model(done.folder), IDS)
    naive = written(replace(source, rounding=None), "merged", tmp_path / "naive")
    theirs = log_probabilities(merged_model(naive.folder), IDS)
    # What is left is bfloat16's rounding of the sum.
    assert (ours - judged).abs().mean() < (theirs - judged).abs().mean() / 4


def test_whole_models_are_copied_with_the_tokenizer_of_their_base(base: Path, tmp_path: Path) -> None:
    """As full tuning leaves them, without the chat template's file."""
    import adapter_makers

    from finetune.base_identity import identity_of

    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "model.safetensors"):
        (model / name).write_bytes((base / name).read_bytes())
    (model / "adapter_model.safetensors").write_bytes(b"")  # what its card's hash is taken of
    adapter_makers.write_card(model, identity_of(str(base), base), method="full")
    (model / "adapter_model.safetensors").unlink()
    source = read_source(model, offline=True)
    assert source.is_whole
    done = written(source, "merged", tmp_path / "out")
    assert load_file(done.folder / "model.safetensors").keys() == load_file(base / "model.safetensors").keys()
    torch.testing.assert_close(
        log_probabilities(merged_model(done.folder), IDS), log_probabilities(merged_model(base), IDS)
    )
    assert (done.folder / "chat_template.jinja").read_text() == (base / "chat_template.jinja").read_text()
    with pytest.raises(Conflict, match="whole model"):
        written(source, "peft", tmp_path / "peft")


def test_a_peft_folder_loads_on_its_base_and_holds_the_same_bytes(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base)
    source = read_source(adapter, offline=True)
    done = written(source, "peft", tmp_path / "out")
    name = "adapter_model.safetensors"
    assert (done.folder / name).read_bytes() == (adapter / name).read_bytes()
    config = json.loads((done.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)
    assert {"README.md", "card.json", "tokenizer.json", "chat_template.jinja"} <= set(done.files)
    again = read_source(done.folder, offline=True)  # it is an adapter for this program too
    torch.testing.assert_close(
        log_probabilities(load_adapted(source, done.folder), IDS), log_probabilities(load_source(again), IDS)
    )


def test_a_hub_id_stays_one(base: Path, tmp_path: Path) -> None:
    source = read_source(write_adapter(tmp_path / "adapter", base), offline=True)
    done = written(replace(source, base_name="Qwen/Qwen2.5-7B-Instruct"), "peft", tmp_path / "out")
    config = json.loads((done.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "Qwen/Qwen2.5-7B-Instruct"
    assert "vllm serve Qwen/Qwen2.5-7B-Instruct --enable-lora" in (done.folder / "README.md").read_text()


@pytest.mark.parametrize("form", ["merged", "gguf"])
def test_virtual_tokens_cannot_be_merged(base: Path, tmp_path: Path, form: Format) -> None:
    from peft import PromptTuningConfig

    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    adapter = write_adapter(tmp_path / "adapter", base, config=config, method="prompt")
    source = read_source(adapter, offline=True)
    with pytest.raises(Conflict) as refused:
        written(source, form, tmp_path / "out")
    assert refused.value.exit_code == 5 and "--format peft" in str(refused.value.hint)
    assert "virtual tokens" in (written(source, "peft", tmp_path / "peft").folder / "README.md").read_text()


def test_nothing_is_overwritten_and_an_empty_folder_gives_way(base: Path, tmp_path: Path) -> None:
    source = read_source(write_adapter(tmp_path / "adapter", base), offline=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(Conflict, match="nothing is overwritten"):
        written(source, "merged", out)
    assert [path.name for path in out.iterdir()] == ["mine"]
    (out / "mine").unlink()
    assert written(source, "merged", out).folder == out and (out / "model.safetensors").is_file()


def test_a_full_disk_is_seen_before_and_a_failure_leaves_nothing(base: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as full, new_folder(tmp_path / "out", 10**18):
        raise AssertionError
    assert (full.value.exit_code, full.value.code) == (6, "no_space")
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out", 1) as building:
        (building / "half").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    stale = tmp_path / ".out.tmp-999999999"  # of a process that was killed
    stale.mkdir()
    with new_folder(tmp_path / "out", 1) as building:
        (building / "whole").write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_adapter_of_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base)
    other = write_model(tmp_path / "other", "smollm2", hidden_size=32)
    card = json.loads((adapter / "card.json").read_text())
    card["base"]["name"] = str(other)
    (adapter / "card.json").write_text(json.dumps(card))
    with pytest.raises(Conflict) as refused:
        read_source(adapter, offline=True)
    assert refused.value.code == "wrong_base"


def test_a_damaged_base_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base)
    (adapter / "card.json").unlink()
    source = read_source(adapter, offline=True)
    cut = tmp_path / "cut"
    shutil.copytree(base, cut)
    whole = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Conflict, match="no sound safetensors file"):
        written(replace(source, base_folder=cut), "merged", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_layers_that_the_files_name_otherwise_are_not_dropped_silently(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base)
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    save_file({name.replace("layers.1", "blocks.1"): one for name, one in tensors.items()}, path)
    (adapter / "card.json").unlink()
    with pytest.raises(Conflict, match="blocks") as refused:
        written(read_source(adapter, offline=True), "merged", tmp_path / "out")
    assert refused.value.code == "not_mergeable"
