"""`assistant search` as a user and a program see it (word search: no model is needed)."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.__main__ import main
from assistant.hits import matching, snippet
from corpora.chunking import Piece
from corpora.records import Extracted
from corpora.store import Library, NewDocument, Stat

DOCUMENTS = {
    "docs/renewal.md": ("md", "Renew the licence every year.\nThe fee is 40 euros."),
    "docs/night.txt": ("txt", "Ships rest at night.\nThe lighthouse burns."),
    "evil.txt": ("txt", "\x1b]0;owned\x07 licence \x1b[31mred\u202e \u200btext"),
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work" / ".assistant"
    with Library.create(folder) as made, made.write() as writer:
        for key, value in (
            ("encoder", "all-minilm-l6-v2"),
            ("encoder_fingerprint", "x"),
            ("dimension", "2"),
        ):
            writer.set_manifest(key, value)
        for path, (kind, text) in DOCUMENTS.items():
            pieces, at = [], 0
            for number, line in enumerate(text.split("\n"), 1):
                pieces.append(Piece(at, at + len(line), number, number, None, None))
                at += len(line) + 1
            vectors = b"\0\0\x80\x3f\0\0\0\0" * len(pieces)
            writer.put_document(
                NewDocument(path, Extracted(text, kind), "0" * 64, Stat(1, 1), pieces, vectors)
            )
    monkeypatch.chdir(folder.parent)
    return folder


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[Any], str]:
    code = main(["search", "--mode", "lexical", "--json", *arguments])
    out, err = capfd.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_json_of_a_query_has_every_key_of_the_contract(
    library: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, (row,), err = run(capfd, "licence renewal")
    assert code == 0
    assert err == ""
    assert list(row) == ["id", "query", "results"]
    assert row["id"] is None
    first = row["results"][0]
    assert list(first) == [
        "rank", "score", "passage_id", "path", "page", "heading",
        "line_start", "line_end", "start", "end", "text",
    ]  # fmt: skip
    assert (first["path"], first["line_start"], first["rank"]) == ("docs/renewal.md", 1, 1)
    text = DOCUMENTS["docs/renewal.md"][1]
    assert text[first["start"] : first["end"]] == first["text"]


def test_no_hit_is_an_empty_list_and_success(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "zebra")[:2] == (0, [{"id": None, "query": "zebra", "results": []}])


def test_filters_of_path_and_type(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--in", "docs"], ["--in", "*.md"], ["--type", "md"]):
        _, (row,), _ = run(capfd, "the licence", *arguments)
        assert {hit["path"] for hit in row["results"]} == {"docs/renewal.md"}


def test_k_and_cap_per_source(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert len(run(capfd, "fee licence lighthouse", "-k", "2")[1][0]["results"]) == 2
    capped = run(capfd, "fee licence lighthouse", "--per-source", "1")[1][0]["results"]
    assert len({hit["path"] for hit in capped}) == len(capped)


def test_a_file_of_queries_gives_a_line_each_and_names_bad_lines(
    library: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "queries.jsonl"
    source.write_text(
        '\ufeff{"id": 7, "query": "licence"}\nnonsense\n\n{"id": "b", "query": ""}\n[1]\n'
        '{"query": "lighthouse"}\n{"id": {}, "query": "x"}\n{"id": "z", "query": "night"}',
        "utf-8",
    )
    code, rows, err = run(capfd, "--input", str(source))
    assert code == 4
    assert [(row["id"], row["query"]) for row in rows] == [
        (7, "licence"),
        (None, "lighthouse"),
        ("z", "night"),
    ]
    assert [line.split(":")[1] for line in err.splitlines()] == ["2", "4", "5", "7"]


def test_a_file_without_queries_is_no_input(
    library: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    code, rows, err = run(capfd, "--input", str(tmp_path / "empty.jsonl"))
    assert (code, rows, json.loads(err)["error"]["code"]) == (3, [], "no_input")


def test_queries_from_stdin(
    library: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"id":1,"query":"fee"}\n')))
    code, rows, _ = run(capfd, "--input", "-")
    assert (code, rows[0]["id"], len(rows[0]["results"])) == (0, 1, 1)


@pytest.mark.parametrize(
    "arguments", [[], [""], ["  "], ["x", "--input", "f"], ["--input", "missing.jsonl"], ["x", "-k", "0"]]
)
def test_wrong_use_is_exit_two_with_one_json_error(
    library: Path, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, rows, err = run(capfd, *arguments)
    assert (code, rows) == (2, [])
    assert json.loads(err)["error"]["code"] == "usage"


def test_without_a_library_it_is_exit_three(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capfd, "x")[0] == 3


def test_an_empty_library_is_no_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Library.create(tmp_path / ".assistant").close()
    monkeypatch.chdir(tmp_path)
    assert main(["search", "x", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["results"] == []


def test_text_for_people_names_the_place_and_holds_nothing_a_terminal_acts_on(
    library: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "licence", "--mode", "lexical"]) == 0
    out = capfd.readouterr().out
    assert "docs/renewal.md:1" in out
    assert "evil.txt:1" in out
    assert not set(out) & set("\x1b\x07\u202e\u200b")


def test_word_search_loads_no_encoder_and_no_model_library(library: Path) -> None:
    program = (
        "import sys; from assistant.__main__ import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'langchain_core', 'faiss', 'tokenizers'};"
        "print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "search", "licence", "--mode", "lexical"],
        capture_output=True,
        text=True,
    )
    assert done.stderr.splitlines()[-1] == "0 []"


def test_snippet_shows_the_match_and_marks_it() -> None:
    parts = snippet(
        "filler " * 100 + "the licence was renewed " + "filler " * 100, matching("renewing a licence")
    )
    assert [text for text, matches in parts if matches] == ["licence", "renewed"]
    assert parts[0][0] == parts[-1][0] == "…"
    assert sum(len(text) for text, _ in parts) <= 242


def test_snippet_marks_chinese_pairs() -> None:
    parts = snippet("高铁和动车上是可以充电的", matching("高铁站可以充电吗"))
    assert [text for text, matches in parts if matches] == ["高铁", "充电"]


def test_snippet_without_a_match_is_the_beginning() -> None:
    assert snippet("short text", matching("zebra")) == [("short text", False)]
    assert snippet("short text", matching("?!")) == [("short text", False)]
