"""Seed tasks: the shipped ones, and a user's own file with bad lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora.errors import UsageError
from corpora.prompt import Language, language_of
from corpora.seeds.tasks import NOT_FOR_TRAINING, Instance, load_seeds, read_seeds
from finetune.rouge import rouge_l

SHIPPED = Path(__file__).parents[2] / "corpora" / "seeds"

GOOD = [{"instruction": f"Name {n} birds", "input": "", "output": "A robin."} for n in range(8)]


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines), "utf-8")
    return path


@pytest.mark.parametrize(("language", "tasks", "labels"), [("en", 175, 26), ("zh", 143, 24)])
def test_shipped_seeds_are_whole_and_say_which_are_classifications(
    language: Language, tasks: int, labels: int
) -> None:
    seeds = load_seeds(language)
    assert (
        len(seeds) == len({task.instruction for task in seeds}) == len({task.id for task in seeds}) == tasks
    )
    assert sum(task.is_classification is True for task in seeds) == labels
    assert sum(task.is_classification is False for task in seeds) == tasks - labels
    assert all(instance.output for task in seeds for instance in task.instances)
    assert {language_of(task.instruction) for task in seeds} == {language}


def test_shipped_english_seeds_are_as_published(shared_data: Path) -> None:
    published = shared_data / "seeds" / "seed_tasks.en.jsonl"
    assert (SHIPPED / "seed_tasks.en.jsonl").read_bytes() == published.read_bytes()


def test_shipped_chinese_seeds_are_adapted_from_english_ones() -> None:
    english = {task.id: task for task in load_seeds("en")}
    for task in load_seeds("zh"):
        source = english[task.id.removeprefix("zh_")]
        assert task.is_classification == source.is_classification
        assert all(case.input != case.output for case in task.instances)
        assert task.id not in NOT_FOR_TRAINING  # only published answers are at fault


def test_shipped_chinese_seeds_differ_from_each_other_as_accepted_tasks_must() -> None:
    instructions = [task.instruction for task in load_seeds("zh")]
    for at, instruction in enumerate(instructions):
        assert max((rouge_l(instruction, other) for other in instructions[:at]), default=0.0) <= 0.7


def test_seeds_unfit_for_training_are_named_by_ids_that_exist() -> None:
    assert {task.id for task in load_seeds("en")} > NOT_FOR_TRAINING
    rude = {f"seed_task_{number}" for number in (3, 54, 67, 77, 113, 120, 149, 151, 172)}
    assert rude < NOT_FOR_TRAINING


def test_another_chinese_translation_is_read_as_a_file_of_the_user(shared_data: Path) -> None:
    found = read_seeds(shared_data / "seeds" / "zh_seed_tasks.json")
    assert (len(found.tasks), found.bad) == (175, ())
    assert sum(task.is_classification is True for task in found.tasks) == 26


def test_both_schemas_are_read(tmp_path: Path) -> None:
    own = {
        "instruction": "Sort the list",
        "instances": [{"input": "2, 1", "output": "1, 2"}, {"input": "b, a", "output": "a, b"}],
        "is_classification": False,
    }
    label = {"instruction": "Is it odd?", "input": "3", "output": "odd", "is_classification": True}
    found = read_seeds(write(tmp_path / "seeds.jsonl", own, label, *GOOD))
    assert found.bad == ()
    assert found.tasks[0].instances == (Instance("2, 1", "1, 2"), Instance("b, a", "a, b"))
    assert [task.is_classification for task in found.tasks[:3]] == [False, True, None]


def test_bad_lines_are_named_and_good_ones_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "seeds.jsonl",
        *GOOD,
        "{not json",  # line 9
        "[1, 2]",
        "",
        {"input": "x", "output": "y"},
        {"instruction": "A", "instances": []},
        {"instruction": "B", "instances": [{"input": "x"}]},
        {"instruction": "C", "output": 5},
        {"instruction": "D", "output": "x", "is_classification": "yes"},
        GOOD[0],
        '{"instruction": "\\ud800", "output": "x"}',
        "[" * 100_000,
    )
    path.write_bytes(path.read_bytes() + b'\n{"instruction": "\xff"}\n')
    found = read_seeds(path)
    assert len(found.tasks) == 8
    assert [(bad.line, bad.reason) for bad in found.bad] == [
        (9, "not JSON"),
        (10, "not a JSON object"),
        (12, 'no "instruction"'),
        (13, '"instances" is no list of input and output'),
        (14, 'no "output"'),
        (15, '"output" is no text'),
        (16, '"is_classification" is neither true nor false'),
        (17, "the same instruction as line 1"),
        (18, '"instruction" is not valid Unicode'),
        (19, "not JSON"),
        (20, "not UTF-8"),
    ]


def test_fewer_than_eight_tasks_are_an_error_that_names_bad_lines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has 7 seed tasks.*line 8: not JSON"):
        read_seeds(write(tmp_path / "few.jsonl", *GOOD[:7], "oops"))
    with pytest.raises(UsageError, match="No such file"):
        read_seeds(tmp_path / "none.jsonl")
    with pytest.raises(UsageError):
        read_seeds(tmp_path)


def test_a_file_from_windows_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(json.dumps(row) for row in GOOD).encode())
    assert len(read_seeds(path).tasks) == 8
