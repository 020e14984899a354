"""Encoders on tiny random models: both paths against transformers, limits, order, choice by script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch

from corpora.errors import UsageError
from index.encoders import choose_encoder, load_encoder
from index.encoders.bert_numpy import NumpyBert
from index.encoders.bert_torch import BATCH_TOKENS, TorchBert, batches
from index.encoders.embedded import RECIPES, EmbeddedEncoder, Recipe

TEXTS = ["the river", "", "north " * 9, "a b c d e f g", "the norths of rivers", "zzz!", "river " * 20]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tiny_models.write_bert(tmp_path_factory.mktemp("models") / "tiny")
    return path


@pytest.fixture()
def encoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedEncoder:
    recipe = Recipe(max_tokens=32, query_prefix="the ", dimension=tiny_models.HIDDEN)
    monkeypatch.setitem(RECIPES, "all-minilm-l6-v2", recipe)
    return EmbeddedEncoder("all-minilm-l6-v2", folder)


def reference(folder: Path, ids: list[int]) -> np.ndarray:
    from transformers import BertModel

    model = BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True).eval()
    with torch.no_grad():
        row = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
    return (row / row.norm()).numpy()


IDS = [[2, 5, 3], [2, 3], [2, *range(4, 35), 3], [2, *[30] * 40, 3], [2, 7, 8, 9, 10, 11, 12, 13, 3]]


def test_numpy_forward_is_that_of_transformers(folder: Path) -> None:
    bert = NumpyBert(folder)
    for ids in IDS:
        assert np.abs(bert.encode(ids) - reference(folder, ids)).max() < 1e-5


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 0.999999), (torch.bfloat16, 0.999)])
def test_torch_forward_is_that_of_transformers_in_any_batch(
    folder: Path, dtype: torch.dtype, least: float
) -> None:
    rows = TorchBert(folder, dtype).encode(IDS)
    for row, ids in zip(rows, IDS, strict=True):
        assert row @ reference(folder, ids) > least


def test_without_onednn_the_vectors_are_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fused = TorchBert(folder, torch.float32).encode(IDS)
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert np.abs(TorchBert(folder, torch.float32).encode(IDS) - fused).max() < 1e-5


def test_batches_hold_every_text_once_within_the_budget() -> None:
    texts = [[0] * length for length in np.random.default_rng(0).integers(1, 257, 500)] + [[0] * 9000]
    found = batches(texts)
    assert sorted(place for batch in found for place in batch) == list(range(len(texts)))
    for batch in found:
        longest = max(len(texts[place]) for place in batch)
        assert len(batch) == 1 or len(batch) * longest <= BATCH_TOKENS
        assert longest - min(len(texts[place]) for place in batch) < 16
    assert batches([]) == []


def test_rows_are_unit_vectors_in_the_order_of_the_texts(encoder: EmbeddedEncoder) -> None:
    rows = encoder.encode_passages(TEXTS)
    assert rows.shape == (len(TEXTS), encoder.dimension) and rows.dtype == np.float32
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
    for text, row in zip(TEXTS, rows, strict=True):
        assert encoder.encode_passages([text])[0] @ row > 0.999
    assert encoder.encode_passages([]).shape == (0, encoder.dimension)


def test_progress_ends_at_the_number_of_texts(encoder: EmbeddedEncoder) -> None:
    heard: list[int] = []
    encoder.encode_passages(TEXTS, heard.append)
    assert heard == sorted(heard) and heard[-1] == len(TEXTS)


def test_an_interrupt_in_progress_ends_the_work(encoder: EmbeddedEncoder) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        encoder.encode_passages(TEXTS * 50, stop)
    assert torch.get_num_threads() == before


def test_one_question_and_many_give_the_same_vectors(encoder: EmbeddedEncoder) -> None:
    rows = encoder.encode_queries(TEXTS)
    for text, row in zip(TEXTS, rows, strict=True):
        assert encoder.encode_query(text) @ row > 0.999


def test_prefixes_are_the_encoders_own_business(encoder: EmbeddedEncoder) -> None:
    assert encoder.encode_query("river") @ encoder.encode_passages(["the river"])[0] > 0.999
    assert encoder.encode_query("river") @ encoder.encode_passages(["river"])[0] < 0.999


def test_no_passage_is_cut_silently(encoder: EmbeddedEncoder) -> None:
    counts = encoder.count_tokens(["river " * 30, "river " * 31])
    assert counts == [32, 33]
    assert len(encoder.encode_passages(["river " * 30])) == 1
    with pytest.raises(UsageError, match="33 tokens is over the limit"):
        encoder.encode_passages(["a", "river " * 31])


def test_the_end_of_a_long_question_counts(encoder: EmbeddedEncoder) -> None:
    start = "river " * 40
    assert encoder.encode_query(start + "north " * 20) @ encoder.encode_query(start + "the " * 20) < 0.9999


def test_the_fingerprint_follows_the_recipe(
    encoder: EmbeddedEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encoder.fingerprint
    assert len(first) == 16 and first == EmbeddedEncoder("all-minilm-l6-v2", folder).fingerprint
    monkeypatch.setitem(RECIPES, "all-minilm-l6-v2", Recipe(max_tokens=32, query_prefix="find: "))
    assert EmbeddedEncoder("all-minilm-l6-v2", folder).fingerprint != first


def test_one_question_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from index.encoders.embedded import RECIPES, EmbeddedEncoder, Recipe\n"
        "RECIPES['all-minilm-l6-v2'] = Recipe(max_tokens=32)\n"
        f"EmbeddedEncoder('all-minilm-l6-v2', Path({str(folder)!r})).encode_query('the river')\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'faiss', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_language_model_is_no_encoder() -> None:
    with pytest.raises(UsageError, match="language model"):
        load_encoder("smollm2-135m")


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        (["The river runs north."], "all-minilm-l6-v2"),
        (["Überraschung, naïveté, señor, łódź, Việt Nam"], "all-minilm-l6-v2"),
        ([], "multilingual-e5-small"),
        (["12345 !!! …"], "multilingual-e5-small"),
        (["Der Fluss fließt nach Norden, und die Stadt liegt an der Mündung."], "multilingual-e5-small"),
        (["Le fleuve coule vers le nord, et la ville est sur la rive."], "multilingual-e5-small"),
        (["El río corre hacia el norte de la ciudad."], "multilingual-e5-small"),
        (["Kraków Łódź Gdańsk " * 40], "multilingual-e5-small"),
        (["def read(path): # the text of a file\n    return path.read_text()\n" * 20], "all-minilm-l6-v2"),
        (["这条河向北流。"], "multilingual-e5-small"),
        (["Река течёт на север."], "multilingual-e5-small"),
        (["النهر يجري شمالا"], "multilingual-e5-small"),
        (["a" * 95, "河" * 5], "multilingual-e5-small"),
        (["a" * 96, "河" * 4], "all-minilm-l6-v2"),
    ],
)
def test_the_encoder_is_chosen_by_script_and_language(sample: list[str], name: str) -> None:
    assert choose_encoder(sample) == name


def test_choosing_reads_no_more_of_the_sample_than_it_needs() -> None:
    seen = 0

    def texts() -> Iterator[str]:
        nonlocal seen
        while True:
            seen += 1
            yield "river " * 1000

    choose_encoder(texts())
    assert seen < 100


@pytest.mark.filterwarnings("default")  # third parties' own, while they are imported
def test_any_sentence_transformers_folder_is_an_encoder(folder: Path, encoder: EmbeddedEncoder) -> None:
    loaded = load_encoder(str(folder), offline=True)
    assert (loaded.dimension, loaded.max_tokens) == (tiny_models.HIDDEN, 32)
    assert loaded.count_tokens(["river", "the"]) == [4, 4]  # the prefix of its configuration is counted
    rows = loaded.encode_passages(["a b", "north", "a " * 25])
    assert rows.dtype == np.float32 and rows.shape == (3, tiny_models.HIDDEN)
    assert (rows * encoder.encode_passages(["river a b", "river north", "river " + "a " * 25])).sum(
        1
    ).min() > 0.999
    assert loaded.encode_query("river") @ encoder.encode_query("river") > 0.999
    with pytest.raises(UsageError, match="over the limit"):
        loaded.encode_passages(["a " * 30])
    assert len(loaded.fingerprint) == 16 and loaded.fingerprint != encoder.fingerprint
