"""The embedded models themselves: both encoders against sentence-transformers, the language model's words."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from index.encoders import load_encoder
from index.encoders.embedded import EmbeddedEncoder
from index.weights import CATALOGUE, model_folder
from index.weights.cache import verify

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # torch's own, at its import
]

ENGLISH = [
    "Slender bodies of revolution at supersonic speed have a wave drag that depends on their area rule.",
    "The river rises in the north, crosses the plain and reaches the sea after 310 kilometres.",
    "Payment is due within 30 days; late payment is charged at 1.5 % a month.",
    "def area(radius): return 3.14159 * radius ** 2  # a comment",
    "naïve café, Ørsted & Łódź — “quoted”, it's 5 > 3",
]
CHINESE = [
    "黄河发源于青海省，流经九个省区，最后注入渤海。",
    "合同自双方签字之日起生效，有效期为三年。",
    "台灣的夜市以小吃聞名，價格約 50～100 元。",
    "今天天气很好，我们去公园散步吧！",
]
OTHER = ["Река течёт на север.", "النهر يجري شمالا نحو البحر", "東京は日本の首都です。", "한국어 문장입니다."]


def loaded(name: str) -> EmbeddedEncoder:
    encoder = load_encoder(name)
    assert isinstance(encoder, EmbeddedEncoder)
    return encoder


def texts_of(name: str) -> list[str]:
    long = " ".join(ENGLISH * 2)
    return (
        [*ENGLISH, long] if name == "all-minilm-l6-v2" else [*ENGLISH, *CHINESE, *OTHER, "".join(CHINESE * 5)]
    )


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "multilingual-e5-small"])
def test_vectors_are_those_of_sentence_transformers_in_float32(name: str, embedded_models: Path) -> None:
    from sentence_transformers import SentenceTransformer

    ours, texts = loaded(name), texts_of(name)
    theirs = SentenceTransformer(str(model_folder(name, offline=False)), device="cpu", local_files_only=True)
    prompts = theirs.prompts or {}
    for kind, rows in (("document", ours.encode_passages(texts)), ("query", ours.encode_queries(texts))):
        expected = theirs.encode(texts, prompt=prompts.get(kind) or None, normalize_embeddings=True)
        assert (rows * expected).sum(1).min() >= 0.999
    encoded = theirs.tokenizer([prompts.get("document", "") + text for text in texts])
    assert ours.count_tokens(texts) == [len(ids) for ids in encoded["input_ids"]]


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "multilingual-e5-small"])
def test_the_quick_path_agrees_with_the_bulk_path(name: str, embedded_models: Path) -> None:
    encoder, texts = loaded(name), texts_of(name)
    one_by_one = np.stack([encoder.encode_query(text) for text in texts])
    assert (one_by_one * encoder.encode_queries(texts)).sum(1).min() >= 0.999


def test_both_paths_agree_on_questions_people_asked(embedded_models: Path, shared_data: Path) -> None:
    for name, data in (("all-minilm-l6-v2", "squad2"), ("multilingual-e5-small", "cmrc")):
        lines = (
            (shared_data / "qa" / f"{data}.questions.jsonl").read_text(encoding="utf-8").splitlines()[:200]
        )
        questions = [json.loads(line)["question"] for line in lines]
        encoder = loaded(name)
        one_by_one = np.stack([encoder.encode_query(question) for question in questions])
        assert (one_by_one * encoder.encode_queries(questions)).sum(1).min() >= 0.999


def test_chinese_questions_find_their_sentence(embedded_models: Path) -> None:
    encoder = loaded("multilingual-e5-small")
    rows = encoder.encode_passages(CHINESE)
    for question, place in (
        ("黄河在哪里入海？", 0),
        ("合同的有效期多长？", 1),
        ("Where are the night markets?", 2),
    ):
        assert int((rows @ encoder.encode_query(question)).argmax()) == place


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_stored_file_has_the_hash_of_its_manifest(name: str, embedded_models: Path) -> None:
    model_folder(name, offline=False)
    assert verify(CATALOGUE[name]) == []


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "multilingual-e5-small"])
def test_one_question_from_a_cold_process_loads_little(name: str, embedded_models: Path) -> None:
    model_folder(name, offline=False)
    code = (
        "import sys\n"
        "from index.encoders import load_encoder\n"
        f"load_encoder({name!r}, offline=True).encode_query('Where does the river rise?')\n"
        "print(sorted({'torch', 'transformers', 'faiss', 'huggingface_hub'} & set(sys.modules)))\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - began < 10  # 0.4 s where nothing else runs


def test_the_language_model_speaks_and_stops(embedded_models: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = model_folder("smollm2-135m", offline=False)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    special = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    assert special == [0, 1, 2] and tokenizer.eos_token_id == 2
    assert tokenizer("Hello 2023!").input_ids == [19556, 216, 34, 32, 34, 35, 17]
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    written = model.generate(**prompt, max_new_tokens=24, do_sample=False)[0][prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(written) == "The capital of France is Paris.<|im_end|>"


def test_the_language_model_finds_plain_english_likely(embedded_models: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = model_folder("smollm2-135m", offline=False)
    text = (
        "The Amazon rainforest, covering much of northwestern Brazil and extending into Colombia, Peru and "
        "other South American countries, is the world's largest tropical rainforest, famed for its "
        "biodiversity. It's crisscrossed by thousands of rivers, including the powerful Amazon."
    )
    ids = AutoTokenizer.from_pretrained(folder, local_files_only=True)(text, return_tensors="pt").input_ids
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    with torch.no_grad():
        perplexity = float(model(ids, labels=ids).loss.exp())
    assert 5 < perplexity < 25  # thousands when the rotary rows are in the wrong order
