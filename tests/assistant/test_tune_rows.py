"""What is trained on and what is asked at the gate: from a small library, by words, without a model."""

from __future__ import annotations

import json
from pathlib import Path

import chat_tokenizers
import pytest
import taught_library

from assistant.runtime import Runtime
from assistant.settings import resolve
from assistant.tuning.card import _sources
from assistant.tuning.choices import Wish
from assistant.tuning.gating import refusal_ids
from assistant.tuning.lessons import ExampleLesson, FileLesson, open_lesson, passed
from assistant.tuning.papers import papers, read_own
from assistant.tuning.rows import Builder, Material, _stock, evenly
from corpora.errors import NothingToDo, UsageError
from finetune.tuning.encode import ChatEncoder
from finetune.tuning.inspect import findings, shown_rows


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    library = taught_library.make(tmp_path_factory.mktemp("rows") / "lib")
    taught_library.add(library, taught_library.examples(library))
    return Runtime(library, resolve(None, {"mode": "lexical"}))


@pytest.fixture(scope="module")
def builder(runtime: Runtime) -> Builder:
    return Builder.of(runtime, ChatEncoder(chat_tokenizers.tokenizer("smollm2")), 2048, 0)


@pytest.fixture(scope="module")
def lesson(runtime: Runtime) -> ExampleLesson:
    found = open_lesson(runtime, Wish())
    assert isinstance(found, ExampleLesson)
    return found


def test_offers_have_fewer_tokens_with_fewer_passages(builder: Builder, lesson: ExampleLesson) -> None:
    offers = lesson.offers(builder, 4, False).offers
    assert [one.passages for one in offers] == [4, 3, 2]
    assert offers[0].tokens > offers[1].tokens > offers[2].tokens
    assert [one.passages for one in lesson.offers(builder, 4, True).offers] == [4]


def test_rows_are_the_same_whenever_they_are_made(builder: Builder, lesson: ExampleLesson) -> None:
    once, preflight = passed(lesson.rows(builder, 3, 1.0), builder)
    again = Builder.of(builder.runtime, builder.chat, 2048, 0)
    assert passed(lesson.rows(again, 3, 1.0), again)[0].sha256 == once.sha256
    some = lesson.rows(builder, 3, 0.3)
    assert 0 < len(some.train) < len(once.train)
    assert any("trained on" in line for line in findings(preflight))


def test_nothing_that_the_gate_asks_is_taught(builder: Builder, lesson: ExampleLesson) -> None:
    material = lesson.material
    (paper,) = papers(material, builder, 4, None, None)
    asked = {question.question for question in paper.questions}
    assert any(question.must_refuse for question in paper.questions)
    assert asked >= {example.question for example in material.test if example.kind == "span"}
    taught = lesson.rows(builder, 4, 1.0)
    texts = [builder.chat.text(row.input_ids) for row in [*taught.train, *taught.validation]]
    texts += [builder.chat.text(row.input_ids) for row in builder.threshold_rows(material, 4)]
    assert not [question for question in asked if any(question in text for text in texts)]
    titles = {quote.path for example in material.test for quote in example.quotes}
    assert titles and not [title for title in titles if any(title in text for text in texts)]


def test_what_the_package_brings_is_divided(lesson: ExampleLesson) -> None:
    ours, theirs = _stock(lesson.material.train, "training"), _stock(lesson.material.train, "gate")
    chooses = _stock(lesson.material.train, "threshold")
    questions = [set(one.questions) for one in (ours, chooses, theirs)]
    assert all(questions) and len(set.union(*questions)) == sum(map(len, questions)) == 128
    assert ours.tasks and theirs.tasks and not set(ours.tasks) & set(theirs.tasks)


def test_a_share_of_the_examples_has_the_documents_of_that_share(
    builder: Builder, lesson: ExampleLesson
) -> None:
    whole, some = lesson.rows(builder, 3, 1.0), lesson.rows(builder, 3, 0.2)
    assert 0 < len(some.taught) < len(whole.taught) and len(some.sources) < len(whole.sources)
    counts = {one.name: (one.licence, one.rows) for one in _sources(some)}
    brought = sum(row.id not in some.origins for row in some.train)
    assert brought < sum(row.kind in ("replay", "out-of-domain") for row in some.train)
    assert counts["your documents"] == (None, len(some.train) - brought)
    assert sum(rows for _, rows in counts.values()) == len(some.train)


def test_a_file_keeps_what_its_rows_are_made_from(
    builder: Builder, lesson: ExampleLesson, tmp_path: Path
) -> None:
    own = {"prompt": "What is 7?", "completion": "seven", "kind": "replay"}
    brought = {"prompt": "Sing.", "completion": "La.", "kind": "replay", "example_id": None, "example": None}
    quote = {"path": "towns/halden.md", "document_sha256": "a" * 64}
    example = {"method": "self-qa", "language": "en", "quotes": [quote]}
    taught = {"prompt": "Who?", "completion": "Anna [1]", "example_id": "e1", "example": example}
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in (own, own, own, brought, taught)), "utf-8")
    data = FileLesson(lesson.material, path).rows(builder, 3, 1.0)
    assert [(one.name, one.licence, one.rows) for one in _sources(data)] == [
        ("a file of the user's", None, 3),
        ("seed tasks of the package", "Apache-2.0", 1),
        ("your documents", None, 1),
    ]
    assert [(one.path, one.sha256) for one in data.sources] == [("towns/halden.md", "a" * 64)]


def test_threshold_rows_hold_both_sorts(builder: Builder, lesson: ExampleLesson) -> None:
    rows = builder.threshold_rows(lesson.material, 4)
    refusals = refusal_ids(builder.chat, ("en",))
    trained = [row.input_ids[len(row.input_ids) - row.trained :] for row in rows]
    assert 0 < sum(one in refusals for one in trained) < len(rows)
    assert {row.kind for row in rows} >= {"grounded", "missing"}


def test_shown_rows_begin_with_one_of_each_kind(builder: Builder, lesson: ExampleLesson) -> None:
    rows = lesson.rows(builder, 2, 1.0).train
    kinds = list(dict.fromkeys(row.kind for row in rows))
    shown = shown_rows(rows, builder.chat, len(kinds) + 2)
    assert [one.kind for one in shown[: len(kinds)]] == kinds
    assert all(one.learnt.endswith("<|im_end|>") for one in shown)


def test_a_draw_is_even_and_in_order() -> None:
    assert evenly([1, 2, 3], 5, 0) == (1, 2, 3)
    drawn = evenly(list(range(1000)), 100, 0)
    assert len(drawn) == 100 and list(drawn) == sorted(drawn)
    assert 300 < sum(drawn) / 100 < 700


def test_a_library_without_examples_has_nothing_to_teach(tmp_path: Path) -> None:
    runtime = Runtime(taught_library.make(tmp_path / "lib"), resolve(None))
    with pytest.raises(NothingToDo) as caught:
        open_lesson(runtime, Wish())
    assert caught.value.hint == "assistant generate"
    assert Material.of(runtime).train == ()


def test_test_rows_of_a_file_are_asked_and_not_taught(
    builder: Builder, lesson: ExampleLesson, tmp_path: Path
) -> None:
    path = tmp_path / "own.jsonl"
    rows = [
        {
            "prompt": f"What is {n}?",
            "completion": str(n),
            "split": "test" if n % 5 == 0 else "train",
            "question": f"What is {n}?",
            "answer": str(n),
        }
        for n in range(20)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    mine = FileLesson(Material((), (), (), ()), path)
    data, _ = passed(mine.rows(builder, 4, 1.0), builder)
    assert len(data.train) == 16
    (paper,) = papers(mine.material, builder, 4, path, None)
    assert [question.question for question in paper.questions] == [f"What is {n}?" for n in (0, 5, 10, 15)]


@pytest.mark.parametrize("text", ["", "\n", "{oops\n", '{"question": ""}\n'])
def test_bad_questions_are_told_before_anything_slow(text: str, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError):
        read_own(path)
    with pytest.raises(UsageError):
        read_own(tmp_path / "none.jsonl")
