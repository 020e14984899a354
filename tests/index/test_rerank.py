"""The cross-encoder door against sentence-transformers' own, on a small random model in a local folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from corpora.errors import Conflict, Missing
from index.rerank import CrossEncoder

QUERY = "which river runs north"
TEXTS = ["the river runs north", "a north star", "rivers " * 30, "z", "the the the"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "which",
        "river",
        "runs",
        "north",
        "the",
        "a",
        "star",
        "rivers",
    ]
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.model_max_length = 64
    torch.manual_seed(3)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
            num_labels=1,
            initializer_range=0.5,  # spread enough for scores that differ
        )
    )
    place = tmp_path_factory.mktemp("cross-encoder")
    model.save_pretrained(place, safe_serialization=True)
    fast.save_pretrained(place)
    return place


@pytest.mark.filterwarnings("default")  # third parties' own, while they are imported
def test_scores_are_those_of_sentence_transformers(folder: Path) -> None:
    from sentence_transformers import CrossEncoder as Reference

    reference = Reference(str(folder)).predict([(QUERY, text) for text in TEXTS])
    scores = CrossEncoder(str(folder), offline=True).scores(QUERY, TEXTS)
    assert np.allclose(scores, reference, atol=1e-5)
    assert len({round(score, 4) for score in scores}) > 2


def test_a_score_does_not_depend_on_the_batch(folder: Path) -> None:
    encoder = CrossEncoder(str(folder), offline=True)
    together = encoder.scores(QUERY, TEXTS * 5)
    alone = [encoder.scores(QUERY, [text])[0] for text in TEXTS]
    assert np.allclose(together, alone * 5, atol=1e-5)


def test_no_texts_give_no_scores(folder: Path) -> None:
    assert CrossEncoder(str(folder), offline=True).scores(QUERY, []).shape == (0,)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        CrossEncoder(str(tmp_path), offline=True).scores(QUERY, TEXTS)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(Conflict, match="pickle"):
        CrossEncoder(str(tmp_path), offline=True).scores(QUERY, TEXTS)
