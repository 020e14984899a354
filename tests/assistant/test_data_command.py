"""`assistant data` as users and programs see it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import taught_library as taught

from assistant.__main__ import main
from assistant.commands.data import FormatName
from assistant.tally import Covered, bar, coverage_lines, strip, tally_lines
from corpora.store import ExampleStore, Library
from finetune.rows.records import RowKind

PROGRAM = Path(sys.executable).with_name("assistant")
EVIL = "\x1b[31mBad?\u202e"
KEYS = [
    "id", "status", "reason", "method", "kind", "language", "question", "input", "answer", "path",
    "passage_id", "start", "end", "quote", "document_sha256", "quotes", "history", "split", "teacher",
    "prompt_version", "scores", "reviewed", "stale", "created_at",
]  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a library: 50 accepted examples, and some of every other sort. Word search."""
    folder = tmp_path / "work"
    folder.mkdir()
    with taught.make(folder / ".assistant") as library:
        made = taught.examples(library)
        first, second, third, *_ = made
        others = [
            replace(first, id="f" * 16, status="rejected", reason="unsupported", question="Bad?"),
            replace(second, id="f0" * 8, status="rejected", reason="unsupported", question=EVIL),
            replace(third, id="e" * 16, status="rejected", reason="length", answer="x" * 500),
            replace(third, id="d" * 16, status="retired", reason="document_changed"),
        ]  # fmt: skip
        taught.add(library, [*made, *others])
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ASSISTANT_MODE", "lexical")
    return folder


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`assistant data ...` in this process: exit code, standard output, standard error."""

    def call(*arguments: str, stdin: str = "", **environment: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = main(["data", *arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def installed(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """The same by the installed command."""
    done = subprocess.run([PROGRAM, "data", *arguments], input=stdin, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_list_prints_accepted_examples_with_every_key(work: Path) -> None:
    code, out, err = installed("list", "--json")
    found = rows(out)
    assert (code, err, len(found)) == (0, "", 50)
    assert all(list(row) == KEYS for row in found)
    with Library.open(work / ".assistant") as library:
        for row in found:
            for quote in row["quotes"]:
                document = library.document(quote["path"])
                assert document is not None
                assert document.sha256 == quote["document_sha256"]
                assert library.text(document.id)[quote["start"] : quote["end"]] == quote["quote"]
    two = next(row for row in found if row["kind"] == "multi-hop")
    assert [quote["path"] for quote in two["quotes"]] == [two["path"]] * 2
    assert two["quotes"][0]["quote"] == two["quote"]
    task = next(row for row in found if row["kind"] == "instruction")
    assert (task["quotes"], task["path"], task["quote"], task["start"]) == ([], None, None, None)
    assert task["history"][0] == {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "rejected"], 3),
        (["--status", "all"], 54),
        (["--status", "dropped"], 0),
        (["--method", "self-instruct"], 2),
        (["--path", "towns/oldham.md"], 4),
        (["--path", "towns/nowhere.md"], 0),
        (["--split", "train", "--method", "self-instruct"], 2),
        (["--split", "test"], 4),
    ],
)
def test_list_filters(work: Path, run: Run, options: list[str], expected: int) -> None:
    code, out, _ = run("list", "--json", *options)
    assert (code, len(out.splitlines())) == (0, expected)


def test_list_for_people_holds_nothing_a_terminal_acts_on(work: Path, run: Run) -> None:
    code, out, _ = run("list", "--status", "rejected")
    assert code == 0
    assert "unsupported  Bad?" in out
    assert not set(out) & set("\x1b\u202e")
    code, out, err = run("list", "--status", "dropped")
    assert (code, out) == (0, "")
    assert "data stats" in err


def test_show_takes_the_beginning_of_an_id(work: Path, run: Run) -> None:
    first = rows(run("list", "--json")[1])[0]
    code, out, _ = run("show", first["id"][:8], "--json")
    assert (code, rows(out)) == (0, [first])
    code, out, _ = run("show", first["id"])
    assert code == 0
    assert first["question"] in out
    assert f"{first['path']}:{first['start']}-{first['end']}" in out


@pytest.mark.parametrize("name", ["f", "nope", "%", "_", ""])
def test_an_id_that_is_none_or_several_is_a_usage_error(work: Path, run: Run, name: str) -> None:
    for command in ("show", "drop"):
        code, out, err = run(command, name, "--json")
        assert (code, out) == (2, "")
        assert json.loads(err)["error"]["code"] == "usage"


def test_drop_takes_examples_out_and_they_stay_listed(work: Path, run: Run) -> None:
    first, second, *_ = rows(run("list", "--json")[1])
    code, out, _ = run("drop", first["id"], second["id"][:10], first["id"], "--json")
    assert (code, rows(out)) == (0, [{"dropped": [first["id"], second["id"]]}])
    assert len(run("list", "--json")[1].splitlines()) == 48
    dropped = rows(run("list", "--status", "dropped", "--json")[1])
    assert {row["id"] for row in dropped} == {first["id"], second["id"]}
    assert run("drop", second["id"], "no such")[0] == 2


def test_stats_count_what_there_is(work: Path, run: Run) -> None:
    code, out, err = run("stats", "--json")
    (found,) = rows(out)
    documents = found.pop("documents")
    assert (code, err) == (0, "")
    assert found == {
        "accepted": 50,
        "rejected": {"unsupported": 2, "length": 1},
        "retired": {"document_changed": 1},
        "dropped": 0,
        "methods": {"self-qa": 48, "self-instruct": 2},
        "kinds": {"span": 36, "multi-hop": 12, "instruction": 2},
        "splits": {"train": 42, "test": 4, "validation": 4},
        "passages": 48,
        "covered": 36,
    }
    assert len(documents) == 12
    assert documents[0] == {
        "path": "towns/brannock.md", "split": "train", "passages": 4, "covered": 3, "accepted": 5,
    }  # fmt: skip


STATS = """\
accepted 50, rejected 3, retired 1
by split: 42 train, 4 test, 4 validation
by method: 48 self-qa, 2 self-instruct
by kind: 36 span, 12 multi-hop, 2 instruction

Rejected
unsupported  2  ██████████████  the evidence does not say w…
length       1  ███████         the question or the answer…

Taught: 36 of 48 passages; a line is a document, from start
to end
train       3/4  ██▒·  towns/brannock.md
"""


def test_stats_are_drawn_within_the_width(work: Path, run: Run) -> None:
    code, out, _ = run("stats", COLUMNS="60")
    assert code == 0
    assert out.startswith(STATS)
    for columns in (20, 30, 47, 80, 200):
        lines = run("stats", COLUMNS=str(columns))[1].splitlines()
        assert max(map(len, lines)) <= columns
        assert "\x1b" not in "".join(lines)
    wide = run("stats", COLUMNS="80")[1].splitlines()
    assert any(re.fullmatch(r"train +3/4  [·░▒▓█]{4} +towns/brannock\.md", line) for line in wide)


def test_export_writes_rows_with_the_keys_of_the_contract(work: Path, run: Run) -> None:
    code, out, err = run("export", "-o", "rows.jsonl", "--json")
    (summary,) = rows(out)
    assert (code, err) == (0, "")
    assert list(summary) == ["output", "rows", "examples", "splits", "kinds", "left_out"]
    assert (summary["examples"], summary["left_out"]) == (50, {})
    written = rows((work / "rows.jsonl").read_text("utf-8"))
    assert len(written) == summary["rows"]
    for row in written:
        for key in ("prompt", "completion", "split", "question", "answer"):
            assert isinstance(row[key], str) or row[key] is None
    grounded = [row for row in written if row["kind"] == "grounded"]
    assert all(row["quote"] in row["prompt"] for row in grounded)


@pytest.mark.parametrize("form", ["prompt-completion", "messages", "alpaca", "sharegpt", "datasets"])
def test_every_format_comes_back_through_import(work: Path, run: Run, tmp_path: Path, form: str) -> None:
    assert run("export", "-o", "out", "--format", form)[0] == 0
    code, out, _ = run("import", "out", "--json")
    assert (code, rows(out)[0]["added"], rows(out)[0]["present"]) == (0, 0, 50)
    other = tmp_path / "other" / ".assistant"
    taught.make(other).close()
    code, out, _ = run("import", "out", "--json", "--library", str(other))
    assert (code, rows(out)[0]["added"], rows(out)[0]["bad"]) == (0, 50, 0)
    with Library.open(work / ".assistant") as here, Library.open(other) as there:
        ids = [{one.id for one in ExampleStore(library).find("accepted")} for library in (here, there)]
    assert ids[0] == ids[1]


def test_export_to_standard_output_and_import_from_standard_input(
    work: Path, run: Run, tmp_path: Path
) -> None:
    code, out, err = installed("export", "-o", "-", "--format", "alpaca", "--split", "test", "--json")
    assert code == 0
    assert {row["split"] for row in rows(out)} == {"test"}
    assert re.fullmatch(r"\d+ rows of 4 examples \(\d+ test\)\n", err)
    other = tmp_path / "other" / ".assistant"
    taught.make(other).close()
    code, out, _ = installed("import", "-", "--library", str(other), stdin=out.encode())
    assert (code, out) == (0, "added 4, already there 0, bad lines 0\n")


def test_the_same_seed_exports_the_same_bytes(work: Path, run: Run) -> None:
    options = ("export", "-o", "-", "--replay", "0.3")
    first, again, other = run(*options), run(*options), run(*options, "--seed", "1")
    assert first == again
    assert other[1] != first[1]
    kinds = [row["kind"] for row in rows(first[1]) if row["split"] == "train"]
    assert 0.29 <= kinds.count("replay") / len(kinds) <= 0.33


def test_a_folder_with_other_things_is_a_conflict(work: Path, run: Run) -> None:
    (work / "mine").mkdir()
    (work / "mine" / "notes.txt").write_text("x")
    code, _, err = run("export", "-o", "mine", "--format", "datasets", "--json")
    assert (code, json.loads(err)["error"]["code"]) == (5, "not_a_dataset")


@pytest.mark.parametrize(
    "arguments",
    [
        ["export"],
        ["export", "-o", "-", "--format", "datasets"],
        ["export", "-o", "x", "--format", "csv"],
        ["export", "-o", "no/such/folder/x"],
        ["export", "-o", "."],
        ["export", "-o", "x", "--replay", "1"],
        ["import", "missing.jsonl"],
        ["import", "."],
        ["list", "--status", "good"],
        ["drop"],
    ],
)
def test_wrong_use_is_exit_two(work: Path, run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments, "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["code"] == "usage"


def test_without_examples_there_is_nothing_to_export(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("list")[0] == 3
    Library.create(tmp_path / ".assistant").close()
    code, _, err = run("export", "-o", "x", "--json")
    assert (code, json.loads(err)["error"]["code"]) == (3, "no_input")
    assert run("list", "--json")[:2] == (0, "")
    assert rows(run("stats", "--json")[1])[0]["documents"] == []
    assert run("stats")[:2] == (0, "accepted 0, rejected 0\n")


def test_bad_lines_are_named_twenty_times_and_good_ones_kept(work: Path, run: Run) -> None:
    good = b'{"instruction":"Say yes.","output":"yes"}\n'
    (work / "in.jsonl").write_bytes(good + b"\x1b]0;x\x07\n" * 25 + good.replace(b"yes", b"no"))
    code, out, err = run("import", "in.jsonl", "--json")
    assert code == 4
    assert rows(out) == [{"added": 2, "present": 0, "rejected": {}, "derived": 0, "bad": 25}]
    lines = err.splitlines()
    assert lines[0] == "in.jsonl:2: not JSON"
    assert lines[20:] == ["… and 5 more bad lines"]
    assert run("import", "in.jsonl")[:2] == (4, "added 0, already there 2, bad lines 25\n")


def test_what_was_dropped_is_not_exported_and_not_imported_again(work: Path, run: Run) -> None:
    run("export", "-o", "rows.jsonl")
    first = rows(run("list", "--json")[1])[0]["id"]
    run("drop", first)
    assert rows(run("import", "rows.jsonl", "--json")[1])[0]["added"] == 0
    assert first not in run("export", "-o", "-")[1]


# -- drawing ---------------------------------------------------------------------------------------


def test_bars_show_the_smallest_number_and_fill_with_the_largest() -> None:
    assert bar(0, 10, 4) == ""
    assert bar(1, 10_000, 4) == "▏"
    assert bar(10, 10, 4) == "████"
    assert bar(5, 10, 3) == "█▌"


def test_a_strip_shows_where_in_the_text_the_examples_lie() -> None:
    assert strip([], 4, 8) == "····"
    assert strip([0.0, 0.99], 4, 8) == "░··░"
    assert strip([0.3] * 9 + [0.6] * 3, 4, 8) == "·█▒·"
    assert strip([0.5], 2, 1) == "·█"


def test_wide_characters_and_long_paths_keep_the_width() -> None:
    from rich.cells import cell_len

    documents = [
        Covered("文档/" + "很长的名字" * 20 + ".md", "validation", 12345, 1, 9, (0.1,)),
        Covered("a.md", None, 1, 0, 0, ()),
    ]
    for columns in (20, 40, 79, 120):
        lines = coverage_lines(documents, columns)
        lines += tally_lines({"很长的原因" * 4: 3, "x": 70_000}, columns, {"x": "意思" * 40})
        assert max(map(cell_len, lines)) <= columns
    assert coverage_lines(documents, 120)[0].endswith("很长的名字.md")
    assert tally_lines({}, 80, {}) == coverage_lines([], 80) == []


# -- the page of the handbook ----------------------------------------------------------------------


def test_the_handbook_names_every_kind_of_row_and_every_format() -> None:
    page = Path(__file__).resolve().parents[2] / "corpora" / "handbook" / "training-data.md"
    first_cells = {
        line.split("|")[1].strip() for line in page.read_text("utf-8").split("\n") if line[:1] == "|"
    }
    assert set(get_args(RowKind)) | {form.value for form in FormatName} <= first_cells
