"""Rows of a library and of a file, encoded: what is trained, what is held out, what the card says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import chat_tokenizers as made
import pytest
import taught_library as taught

from corpora.errors import Conflict, NothingToDo, UsageError
from corpora.prompt import REFUSAL
from corpora.records import Message
from corpora.store import ExampleStore, Library
from finetune.formats.export import export_lines
from finetune.rows.build import build_rows
from finetune.rows.records import RowMix, TrainingRow
from finetune.tuning.data import Source, TuningData, library_data, passage_data, rows_sha256
from finetune.tuning.encode import IGNORED, PASSAGE, ChatEncoder, EncodedRow
from finetune.tuning.file_data import file_data
from finetune.tuning.preflight import check

MIX = RowMix(k=3, mode="lexical", missing=0.3, replay=0)
LENGTH = 1500


@pytest.fixture(scope="module")
def chat() -> ChatEncoder:
    return ChatEncoder(made.tokenizer("smollm2"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with taught.make(tmp_path_factory.mktemp("tuning") / ".assistant") as library:
        taught.add(library, taught.examples(library))
        yield library


@pytest.fixture(scope="module")
def data(library: Library, chat: ChatEncoder) -> TuningData:
    return of_library(library, chat)


def of_library(library: Library, chat: ChatEncoder, mix: RowMix = MIX, length: int = LENGTH) -> TuningData:
    examples = ExampleStore(library).find("accepted")
    return library_data(examples, taught.retriever(library), library, mix, chat, max_length=length)


def built(library: Library, chat: ChatEncoder) -> list[TrainingRow]:
    examples = ExampleStore(library).find("accepted")
    return list(
        build_rows(
            examples,
            taught.retriever(library),
            library,
            MIX,
            count_tokens=chat.count_tokens,
            limit=LENGTH,
        )
    )


def answer(chat: ChatEncoder, row: EncodedRow) -> str:
    return chat.text([label for label in row.labels if label != IGNORED])


def test_every_row_teaches_its_answer_and_passes_the_preflight(
    library: Library, chat: ChatEncoder, data: TuningData
) -> None:
    expected = {row.id: row for row in built(library, chat)}
    for row in (*data.train, *data.validation):
        assert answer(chat, row) == expected[row.id].completion.content + "<|im_end|>"
        assert row.kind == expected[row.id].kind
        prompt = row.input_ids[: len(row.input_ids) - row.trained]
        assert list(prompt) == chat.prompt_ids(expected[row.id].messages)
    template = chat.template_sha256
    found = check(data.train, ends=chat.ends, max_length=LENGTH, template=template, base_template=template)
    assert found.kept == data.train
    assert any(answer(chat, row).startswith(REFUSAL["en"]) for row in data.train)


def test_validation_is_by_document_and_the_test_documents_are_not_read(
    library: Library, chat: ChatEncoder, data: TuningData
) -> None:
    by_split: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for row in built(library, chat):
        by_split[row.split].add(row.id)
    assert all(by_split.values())
    assert {row.id for row in data.train} == by_split["train"]
    assert {row.id for row in data.validation} == by_split["validation"]
    accepted = ExampleStore(library).find("accepted")
    assert data.left_out["test"] == sum(example.split == "test" for example in accepted)


def test_the_documents_that_were_learnt_from_are_named(library: Library, data: TuningData) -> None:
    assert data.sources == of_split(library, "train")
    example = {one.id: one for one in ExampleStore(library).find("accepted")}
    named = [one.example_id for one in data.taught]
    assert len(named) == len(set(named)) > len(data.sources)
    for origin in data.taught:
        assert origin.example_id is not None
        own = example[origin.example_id]
        assert (origin.method, origin.language) == (own.method, own.language)


def of_split(library: Library, wanted: str) -> tuple[Source, ...]:
    splits = ExampleStore(library).splits()
    return tuple(
        sorted(Source(one.path, one.sha256) for one in library.documents() if splits[one.id] == wanted)
    )


def test_of_fewer_rows_fewer_documents_are_named(library: Library, data: TuningData) -> None:
    grounded = next(row for row in data.train if row.kind == "grounded")
    some = replace(data, train=(grounded,))
    assert some.sources == data.origins[grounded.id].documents
    assert 0 < len(some.sources) < len(data.sources)
    assert [one.example_id for one in some.taught] == [data.origins[grounded.id].example_id]


def test_no_row_is_over_the_length_and_what_is_left_out_is_counted(
    library: Library, chat: ChatEncoder, data: TuningData
) -> None:
    longest = max(len(row.input_ids) for row in data.train)
    shorter = of_library(library, chat, length=longest - 40)
    assert max(len(row.input_ids) for row in shorter.train) <= longest - 40
    none = of_library(library, chat, length=60)
    assert none.left_out["too_long"] > 0
    assert all(len(row.input_ids) <= 60 for row in none.train)


def test_nothing_left_out_is_nothing_said(library: Library, chat: ChatEncoder) -> None:
    examples = [one for one in ExampleStore(library).find("accepted") if one.split == "train"][:3]
    retriever = taught.retriever(library)
    assert library_data(examples, retriever, library, MIX, chat, max_length=LENGTH).left_out == {}


def test_the_hash_is_the_same_for_the_same_rows_and_no_others(
    library: Library, chat: ChatEncoder, data: TuningData
) -> None:
    assert of_library(library, chat).sha256 == data.sha256
    assert of_library(library, chat, replace(MIX, seed=1)).sha256 != data.sha256
    one, two = data.train[:2]
    hashes = {
        rows_sha256([one, two], []),
        rows_sha256([one], [two]),
        rows_sha256([two, one], []),
        rows_sha256([replace(one, labels=(IGNORED,) * len(one.labels)), two], []),
    }
    assert len(hashes) == 4
    assert rows_sha256([replace(one, id="other name")]) == rows_sha256([one])


def test_counts_are_by_split_and_kind(data: TuningData) -> None:
    counts = data.counts
    assert sum(counts["train"].values()) == len(data.train)
    assert sum(counts["validation"].values()) == len(data.validation)
    assert {"grounded", "missing"} <= set(counts["train"])


def test_passages_are_trained_whole_and_those_of_test_documents_are_not(
    library: Library, chat: ChatEncoder
) -> None:
    plain = passage_data(library, chat, max_length=400)
    splits = ExampleStore(library).splits()
    for name, rows in (("train", plain.train), ("validation", plain.validation)):
        texts = {
            passage.id: passage.text
            for document in library.documents()
            if splits[document.id] == name
            for passage in library.passages_of(document.id)
        }
        assert {row.id: chat.text(row.input_ids[1:]) for row in rows} == texts
        assert {row.kind for row in rows} == {PASSAGE}
    assert plain.sources == of_split(library, "train")


def test_passages_of_a_library_without_splits_settle_them(tmp_path: Path, chat: ChatEncoder) -> None:
    with taught.make(tmp_path / ".assistant", settle=False) as library:
        first = passage_data(library, chat, max_length=400)
        assert set(ExampleStore(library).splits().values()) == {"train", "validation", "test"}
        assert passage_data(library, chat, max_length=400) == first


# -- files -----------------------------------------------------------------------------------------


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("form", ["prompt-completion", "messages"])
def test_an_exported_file_gives_the_rows_of_the_library(
    library: Library, chat: ChatEncoder, data: TuningData, tmp_path: Path, form: Any
) -> None:
    export_lines(built(library, chat), form, tmp_path / "rows.jsonl")
    read = file_data(tmp_path / "rows.jsonl", chat)
    assert read.sha256 == data.sha256
    assert read.counts == data.counts
    assert read.left_out["test"] > 0
    assert read.sources == data.sources and set(read.taught) == set(data.taught)


def test_what_a_file_says_of_its_documents_is_no_truth(tmp_path: Path, chat: ChatEncoder) -> None:
    row = {"prompt": "When?", "completion": "in 1874", "example_id": 7, "kind": "grounded"}
    quotes: list[Any] = [
        None,
        {"path": 1, "document_sha256": "0" * 64},
        {"path": "a.md"},
        {"path": "a.md", "document_sha256": "../x"},
        {"path": "b.md", "document_sha256": "1" * 64},
    ]
    example: list[Any] = [None, 3, {}, {"quotes": 4}, {"quotes": quotes, "method": [], "language": "en"}]
    rows = [*({**row, "example": one} for one in example), {"prompt": "Who?", "completion": "Anna"}]
    read = file_data(write(tmp_path / "f.jsonl", rows), chat)
    assert len(read.train) == len(rows)
    assert read.sources == (Source("b.md", "1" * 64),)
    assert all(one.example_id is None and one.method is None for one in read.taught)


def test_prompts_and_messages_of_others_are_read(tmp_path: Path, chat: ChatEncoder) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "When?"}]
    said = {"role": "assistant", "content": "in 1874"}
    rows = [
        {"prompt": "When?", "completion": "in 1874"},
        {"prompt": turns, "completion": [said]},
        {"messages": [*turns, said]},
        {"messages": [*turns, said, {"role": "user", "content": "灯塔？<|im_end|>"}, said]},
    ]
    read = file_data(write(tmp_path / "f.jsonl", rows), chat)
    brief = (Message("system", "Be brief."), Message("user", "When?"))
    assert len(read.train) == 4
    assert read.train[0].input_ids == chat.encode(brief[1:], Message("assistant", "in 1874")).input_ids
    assert read.train[1].input_ids == chat.encode(brief, Message("assistant", "in 1874")).input_ids
    assert read.train[1].input_ids == read.train[2].input_ids
    assert [answer(chat, row) for row in read.train] == ["in 1874<|im_end|>"] * 4
    assert [row.id for row in read.train] == ["line 1", "line 2", "line 3", "line 4"]


def test_a_tenth_of_the_prompts_is_held_out_whatever_the_order(tmp_path: Path, chat: ChatEncoder) -> None:
    rows = [{"prompt": f"Question {n}?", "completion": f"{n} {end}"} for n in range(40) for end in "ab"]
    read = file_data(write(tmp_path / "a.jsonl", rows), chat)
    assert (len(read.train), len(read.validation)) == (72, 8)
    prompts = [
        {chat.text(row.input_ids[: -row.trained]) for row in part} for part in (read.train, read.validation)
    ]
    assert not prompts[0] & prompts[1]
    again = file_data(write(tmp_path / "b.jsonl", rows[::-1]), chat)
    assert {row.input_ids for row in again.validation} == {row.input_ids for row in read.validation}
    assert file_data(write(tmp_path / "c.jsonl", rows[:10]), chat).validation == ()


def test_named_splits_are_kept(tmp_path: Path, chat: ChatEncoder) -> None:
    rows = [
        {"prompt": f"Question {n}?", "completion": "yes", "split": split}
        for n, split in enumerate(["train"] * 30 + ["validation"] * 2 + ["test"] * 3 + [None])
    ]
    read = file_data(write(tmp_path / "f.jsonl", rows), chat)
    assert (len(read.train), len(read.validation), read.left_out) == (31, 2, {"test": 3})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"text": "a"}', "neither prompt and completion nor messages"),
        ('{"prompt": "a", "completion": " "}', "the answer is empty"),
        ('{"prompt": "a", "completion": 7}', "no text"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "does not end with a turn"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "does not end with a turn"),
        ('{"messages": [{"role": "tool", "content": "a"}]}', "by none of"),
        ('{"messages": {"role": "user"}}', "no list"),
        ('{"messages": [7]}', "by none of"),
        ('{"prompt": "a", "completion": "b", "split": "dev"}', "none of train"),
        ('{"prompt": "\\ud800", "completion": "b"}', "not valid Unicode"),
    ],
)
def test_the_first_bad_line_is_named(tmp_path: Path, chat: ChatEncoder, line: str, reason: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n\n' + line + "\n")
    with pytest.raises(UsageError, match=f":3: .*{reason}") as caught:
        file_data(path, chat)
    assert caught.value.exit_code == 2


def test_a_file_without_rows_or_none_at_all_is_an_error(tmp_path: Path, chat: ChatEncoder) -> None:
    with pytest.raises(NothingToDo):
        file_data(write(tmp_path / "f.jsonl", []), chat)
    with pytest.raises(UsageError, match="No such file"):
        file_data(tmp_path / "g.jsonl", chat)
    with pytest.raises(UsageError):
        file_data(tmp_path, chat)


def test_turns_that_a_template_cannot_write_are_a_conflict(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}] * 2 + [{"role": "assistant", "content": "b"}]
    with pytest.raises(Conflict, match="alternate"):
        file_data(write(tmp_path / "f.jsonl", [{"messages": turns}]), ChatEncoder(made.tokenizer("mistral")))
