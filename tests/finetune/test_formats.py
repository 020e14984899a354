"""Files of rows: what they hold, that they come back as the same examples, and what a hostile file can do."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import taught_library as taught
from hypothesis import given
from hypothesis import strategies as st

from corpora.errors import Conflict, UsageError
from corpora.examples import Example
from corpora.prompt import REFUSAL
from corpora.records import Message
from corpora.store import ExampleStore, Library
from finetune.formats.export import export_lines, write_lines
from finetune.formats.folder import export_folder, read_folder
from finetune.formats.importing import Importer, ImportReport
from finetune.formats.lines import LONGEST_LINE, Line, read_lines
from finetune.formats.reading import ReadRow, read_row
from finetune.formats.records import LINE_FORMATS, LineFormat, to_record
from finetune.rows.build import build_rows
from finetune.rows.records import RowMix, TrainingRow
from finetune.rows.shipped import shipped

MIX = RowMix(
    mode="lexical", missing=0.4, neighbour=0.5, near_miss=1, out_of_domain=0.3, follow_up=0.5, replay=0.1
)


def count(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with taught.make(tmp_path_factory.mktemp("formats") / ".assistant") as made:
        examples = taught.examples(made)
        examples.append(taught.example(made, "Who painted the ferry of Oldham?", None))
        taught.add(made, examples)
        yield made


@pytest.fixture(scope="module")
def rows(library: Library) -> list[TrainingRow]:
    examples = ExampleStore(library).find("accepted")
    built = build_rows(
        examples,
        taught.retriever(library),
        library,
        MIX,
        count_tokens=count,
        limit=10_000,
        stock=shipped({"en"}),
    )
    return list(built)


def imported(library: Library, lines: Iterator[Line]) -> tuple[ImportReport, list[tuple[str, str]]]:
    bad: list[tuple[str, str]] = []
    report = Importer(library, lambda place, reason: bad.append((place, reason))).run(lines)
    return report, bad


def from_text(library: Library, *texts: str) -> tuple[ImportReport, list[tuple[str, str]]]:
    return imported(library, read_lines(io.BytesIO("\n".join(texts).encode("utf-8", "surrogatepass"))))


def without_time(examples: Sequence[Example]) -> dict[str, Example]:
    return {one.id: replace(one, created_at="") for one in examples}


KEYS = [
    "split", "example_id", "question", "quote", "path", "kind", "answer", "passage_ids", "gold_passage_ids",
    "messages", "example",
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "own"),
    [
        ("prompt-completion", ["prompt", "completion"]),
        ("messages", []),
        ("alpaca", ["instruction", "input", "output", "system", "history"]),
        ("sharegpt", ["conversations"]),
    ],
)
def test_every_row_of_a_format_has_the_same_keys(
    rows: list[TrainingRow], form: LineFormat, own: list[str]
) -> None:
    for row in rows:
        record = to_record(row, form)
        assert list(record) == [*own, *KEYS]
        assert json.loads(json.dumps(record)) == record


def test_the_formats_say_the_same(rows: list[TrainingRow]) -> None:
    row = next(one for one in rows if one.kind == "grounded")
    texts, chat, alpaca, sharegpt = (to_record(row, form) for form in LINE_FORMATS)
    assert texts["prompt"] == "\n\n".join(turn.content for turn in row.messages)
    assert texts["completion"] == row.completion.content == alpaca["output"]
    assert chat["messages"][-1] == {"role": "assistant", "content": row.completion.content}
    assert [turn["content"] for turn in chat["messages"][:-1]] == [turn.content for turn in row.messages]
    assert [turn["from"] for turn in sharegpt["conversations"]] == [
        {"user": "human", "assistant": "gpt", "system": "system"}[turn["role"]] for turn in chat["messages"]
    ]
    assert alpaca["instruction"] == row.question
    assert alpaca["input"].startswith("[1] towns/")
    assert "Question:" not in alpaca["input"]
    assert alpaca["system"] == row.messages[0].content
    assert [said for pair in alpaca["history"] for said in pair] == [
        turn.content for turn in row.messages[1:-1]
    ]


def test_alpaca_of_a_task_has_its_input(rows: list[TrainingRow]) -> None:
    row = next(one for one in rows if one.example and one.example.input == "海")
    record = to_record(row, "alpaca")
    assert (record["instruction"], record["input"], record["output"]) == ("把下面的词译成英文。", "海", "sea")


@pytest.mark.parametrize("form", LINE_FORMATS)
def test_an_export_comes_back_as_the_same_examples(
    library: Library, rows: list[TrainingRow], tmp_path: Path, form: LineFormat
) -> None:
    target = tmp_path / "rows.jsonl"
    export_lines(rows, form, target)
    exported = without_time(ExampleStore(library).find("accepted"))
    with taught.make(tmp_path / "other" / ".assistant", settle=False) as other:
        for again in (False, True):
            with target.open("rb") as stream:
                report, bad = imported(other, read_lines(stream))
            assert bad == []
            assert (report.added, report.present) == ((0, len(exported)) if again else (len(exported), 0))
            assert report.derived == len(rows) - len(exported)
            assert without_time(ExampleStore(other).find()) == exported
    with target.open("rb") as stream:
        assert imported(library, read_lines(stream))[0].added == 0


def test_a_datasets_folder_comes_back_as_the_same_examples(
    library: Library, rows: list[TrainingRow], tmp_path: Path
) -> None:
    from datasets import load_from_disk

    target = tmp_path / "set"
    for _ in range(2):  # the second replaces the first
        export_folder(rows, target)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["set"]
    loaded = load_from_disk(str(target))
    assert {split: len(part) for split, part in loaded.items()} == {
        split: sum(row.split == split for row in rows) for split in ("train", "validation", "test")
    }
    first = next(row for row in rows if row.split == "train")
    record = loaded["train"][0]
    assert (record["completion"], record["messages"][-1]["content"]) == (first.completion.content,) * 2
    with taught.make(tmp_path / "other" / ".assistant", settle=False) as other:
        report, bad = imported(other, read_folder(target))
        assert bad == []
        assert without_time(ExampleStore(other).find()) == without_time(
            ExampleStore(library).find("accepted")
        )
        assert report.derived == len(rows) - report.added


def test_a_folder_without_rows_can_be_written_and_read(tmp_path: Path) -> None:
    export_folder([], tmp_path / "set")
    assert list(read_folder(tmp_path / "set")) == []


def test_a_folder_with_other_things_in_it_is_left_alone(rows: list[TrainingRow], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Conflict) as caught:
        export_folder(rows, tmp_path)
    assert (caught.value.exit_code, caught.value.code) == (5, "not_a_dataset")
    export_folder(rows[:1], tmp_path / "set")
    (tmp_path / "set" / "notes.txt").write_text("mine too")
    with pytest.raises(Conflict):
        export_folder(rows, tmp_path / "set")
    assert (tmp_path / "set" / "notes.txt").read_text() == "mine too"


def test_a_broken_folder_is_a_usage_error_or_a_bad_line(rows: list[TrainingRow], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError):
        list(read_folder(tmp_path / "empty"))
    export_folder(rows, tmp_path / "set")
    part = next((tmp_path / "set" / "train").glob("*.arrow"))
    data = bytearray(part.read_bytes())
    part.write_bytes(data[: len(data) // 2])
    try:
        lines = list(read_folder(tmp_path / "set"))
    except UsageError:
        return
    assert any(line.problem for line in lines)


def test_a_file_is_replaced_whole_or_not_at_all(rows: list[TrainingRow], tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    target.write_text("before")

    def breaking() -> Iterator[TrainingRow]:
        yield rows[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        export_lines(breaking(), "messages", target)
    assert target.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]
    link = tmp_path / "link.jsonl"
    link.symlink_to(target)
    export_lines(rows[:1], "messages", link)
    assert link.is_symlink()
    assert len(target.read_text("utf-8").splitlines()) == 1


def test_wrong_targets_are_usage_errors(rows: list[TrainingRow], tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "no" / "rows.jsonl"):
        with pytest.raises(UsageError):
            export_lines(rows, "messages", target)
    with pytest.raises(UsageError):
        export_folder(rows, tmp_path / "no" / "set")


def test_names_that_are_no_utf8_do_not_stop_an_export(rows: list[TrainingRow], tmp_path: Path) -> None:
    row = next(one for one in rows if one.kind == "grounded")
    assert row.example is not None
    quotes = tuple(replace(quote, path="a\udcff.md") for quote in row.example.quotes)
    odd = replace(row, example=replace(row.example, quotes=quotes))
    out = io.BytesIO()
    write_lines([odd], "alpaca", out)
    assert json.loads(out.getvalue())["path"] == "a?.md"
    export_folder([odd], tmp_path / "set")


# -- other people's files --------------------------------------------------------------------------

FOREIGN: list[tuple[dict[str, Any], ReadRow]] = [
    ({"prompt": " How? ", "completion": " So. "}, ReadRow("How?", "So.")),
    (
        {
            "prompt": [{"role": "user", "content": "How?"}],
            "completion": [{"role": "assistant", "content": "So."}],
        },
        ReadRow("How?", "So."),
    ),
    (
        {"instruction": "Add.", "input": "1 and 2", "output": "3", "split": "test", "extra": [1]},
        ReadRow("Add.", "3", input="1 and 2", split="test"),
    ),
    (
        {"instruction": "And 3?", "output": "6", "system": "Be brief.", "history": [["Add 1, 2.", "3"]]},
        ReadRow(
            "And 3?",
            "6",
            history=(Message("system", "Be brief."), Message("user", "Add 1, 2."), Message("assistant", "3")),
        ),
    ),
    (
        {"messages": [{"role": "user", "content": "多高？"}, {"role": "assistant", "content": "31米"}]},
        ReadRow("多高？", "31米", language="zh"),
    ),
    (
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "gpt", "value": "Hello"},
                {"from": "human", "value": "How?"},
                {"from": "gpt", "value": "So."},
            ]
        },
        ReadRow("How?", "So.", history=(Message("user", "Hi"), Message("assistant", "Hello"))),
    ),
    ({"prompt": "Who?", "completion": REFUSAL["en"]}, ReadRow("Who?", None, kind="span")),
    ({"prompt": "Who?", "completion": "A", "split": "dev", "kind": "x", "example": 1}, ReadRow("Who?", "A")),
]


@pytest.mark.parametrize(("row", "expected"), FOREIGN)
def test_rows_of_other_programs(row: dict[str, Any], expected: ReadRow) -> None:
    assert read_row(row) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([], "not a JSON object"),
        ({}, "none of"),
        ({"prompt": "", "completion": "x"}, '"prompt" is empty'),
        ({"prompt": "x", "completion": None}, '"completion" is no text'),
        ({"prompt": "x", "completion": "a\0b"}, "NUL"),
        ({"prompt": "x", "completion": "\ud800"}, "not valid Unicode"),
        ({"instruction": "x", "output": 3}, '"output" is no text'),
        ({"instruction": "x", "output": "y", "history": "z"}, '"history" is no list'),
        ({"instruction": "x", "output": "y", "history": [["z"]]}, "list of pairs"),
        ({"messages": "x"}, '"messages" is no list'),
        ({"messages": [{"role": "user", "content": "x"}]}, "does not end with"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "by none of"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "by none of"),
        ({"messages": [{"role": "user", "content": "x"}] * 300}, "more than 256"),
        ({"conversations": [{"from": "human", "value": {}}, {"from": "gpt", "value": "x"}]}, "is no text"),
        ({"kind": "grounded", "example": 7}, '"example" is no object'),
        ({"kind": "grounded", "example": {"question": "q", "answer": "a"}}, '"history" is no list'),
        (
            {
                "kind": "grounded",
                "example": {
                    "question": "q", "answer": "a", "history": [], "scores": [], "quotes": [{"quote": "x"}],
                },
            },
            '"path" is empty',
        ),
        (
            {
                "kind": "grounded",
                "example": {
                    "question": "q", "answer": "a", "history": [], "quotes": [],
                    "scores": [{"check": "c", "score": True}],
                },
            },
            "no number",
        ),
    ],
)  # fmt: skip
def test_a_bad_row_has_a_reason(row: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_row(row)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "prompt completion messages conversations instruction input output role content from value"
                " split kind example question answer quotes scores history path quote start end".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_value_is_a_row_or_a_value_error(value: Any) -> None:
    try:
        read_row(value)
    except ValueError as error:
        assert str(error)


def test_bad_lines_are_named_and_good_ones_kept(tmp_path: Path) -> None:
    with taught.make(tmp_path / ".assistant") as library:
        good = '{"instruction":"Add.","input":"","output":"3"}'
        report, bad = from_text(
            library,
            "\ufeff" + good,
            "nonsense",
            "",
            '{"prompt": NaN, "completion": "x"}',
            "[" * 100_000,
            '{"a":' * 50_000,
            "7",
            '{"prompt":"x","completion":"' + "y" * (LONGEST_LINE + 5) + '"}',
            '{"prompt":"x\\u0000","completion":"y"}',
            '{"prompt":"\\ud800","completion":"y"}',
            good.replace("Add", "Subtract"),
            "1" * 10_000,
            '{"prompt":"last","completion":"line"}',
        )
        assert [place for place, _ in bad] == ["2", "4", "5", "6", "7", "8", "9", "10", "12"]
        assert dict(bad)["8"] == "longer than 4 MiB"
        assert report == ImportReport(added=3, bad=9)
        assert {one.question for one in ExampleStore(library).find("accepted")} == {
            "Add.",
            "Subtract.",
            "last",
        }


def test_bytes_that_are_no_text_are_bad_lines(tmp_path: Path) -> None:
    with taught.make(tmp_path / ".assistant") as library:
        report, bad = imported(library, read_lines(io.BytesIO(b"\xff\xfe\x00{\n\x00\x00\n")))
        assert report.bad == len(bad) == 2


# -- quotes ----------------------------------------------------------------------------------------


def minimal(question: str, completion: str, quote: str, path: str) -> str:
    keys = ("prompt", "completion", "question", "quote", "path")
    return json.dumps(dict(zip(keys, ("...", completion, question, quote, path), strict=True)))


def test_a_quote_is_looked_up_in_the_document_and_its_split_is_the_documents(tmp_path: Path) -> None:
    with taught.make(tmp_path / ".assistant") as library:
        splits = ExampleStore(library).splits()
        for path in ("towns/oldham.md", "towns/quorn.md", "towns/lindow.md"):
            document = library.document(path)
            assert document is not None
            text = library.text(document.id)
            quote = text.split("\n")[1].upper().replace(" ", "\u00a0 ")
            report, _ = from_text(library, minimal("What does it cost?", "much [2]", quote, path))
            assert report.added == 1
            found = ExampleStore(library).find("accepted")[-1]
            (kept,) = found.quotes
            assert kept.text == text[kept.start : kept.end] == text.split("\n")[1]
            assert library.passages_of(document.id)[1].id == kept.passage_id
            assert (found.answer, found.split, found.kind) == ("much", splits[document.id], "span")


def test_a_quote_that_stands_nowhere_is_kept_as_rejected(tmp_path: Path) -> None:
    with taught.make(tmp_path / ".assistant") as library:
        lines = [
            minimal("Who?", "Nobody", "The lighthouse of Oldham was never built", "towns/oldham.md"),
            minimal("Where?", "There", "The lighthouse of Oldham", "towns/missing.md"),
            minimal("What?", "It", "?!", "towns/oldham.md"),
        ]
        for _ in range(2):
            report, bad = from_text(library, *lines)
            assert (report.added, dict(report.rejected), bad) == (0, {"quote_not_found": 3}, [])
            rejected = ExampleStore(library).find("rejected")
            assert {one.reason for one in rejected} == {"quote_not_found"}
            assert len(rejected) == 3
            assert not any(one.quotes for one in rejected)


def test_forged_places_do_not_make_a_quote(library: Library, rows: list[TrainingRow], tmp_path: Path) -> None:
    record = to_record(next(row for row in rows if row.kind == "grounded"), "messages")
    with taught.make(tmp_path / ".assistant") as other:
        for change in (
            {"start": 0, "end": 5},
            {"start": 10**30, "end": 10**31},
            {"start": -5, "end": 2},
            {"start": "0", "end": None},
            {"document_sha256": "0" * 64},
            {"document_sha256": 5},
        ):
            changed = json.loads(json.dumps(record))
            changed["example"]["quotes"][0].update(change)
            from_text(other, json.dumps(changed))
        (kept,) = ExampleStore(other).find()
        assert kept.id == record["example_id"]
        quote = kept.quotes[0]
        assert other.text(quote.document_id)[quote.start : quote.end] == quote.text


def test_a_renamed_document_is_known_by_its_bytes(rows: list[TrainingRow], tmp_path: Path) -> None:
    texts = {path.replace("towns/", "places/"): text for path, text in taught.documents().items()}
    row = next(row for row in rows if row.kind == "grounded")
    with taught.make(tmp_path / ".assistant", texts) as other:
        report, _ = from_text(other, json.dumps(to_record(row, "alpaca")))
        (kept,) = ExampleStore(other).find("accepted")
        assert report.added == 1
        assert kept.quotes[0].path == str(row.path).replace("towns/", "places/")


def test_an_example_over_two_splits_is_rejected_as_leakage(tmp_path: Path) -> None:
    with taught.make(tmp_path / ".assistant") as library:
        splits = ExampleStore(library).splits()
        paths = {split: one.path for one in library.documents() for split in [splits[one.id]]}
        quotes = [
            {"path": paths[split], "quote": "crosses the bay hourly", "start": None, "end": None}
            for split in ("train", "test")
        ]
        example = {"question": "Q?", "answer": "A", "history": [], "scores": [], "quotes": quotes}
        report, _ = from_text(library, json.dumps({"kind": "grounded", "example": example}))
        assert dict(report.rejected) == {"leakage": 1}


def test_an_import_cannot_claim_to_be_reviewed_or_dropped(rows: list[TrainingRow], tmp_path: Path) -> None:
    record = to_record(next(row for row in rows if row.kind == "grounded"), "messages")
    record["example"] |= {"reviewed": True, "status": "dropped", "id": "x", "method": "hack", "kind": 7}
    with taught.make(tmp_path / ".assistant") as library:
        from_text(library, json.dumps(record))
        (kept,) = ExampleStore(library).find("accepted")
        assert (kept.reviewed, kept.method, kept.kind) == (False, "import", "instruction")
