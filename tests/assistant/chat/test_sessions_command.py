"""`assistant sessions` as users and programs see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import taught_library as taught
from talk_driver import Scripted, talk

from assistant.__main__ import main
from corpora.store import Library

ROW = ["id", "name", "created", "updated", "turns", "parent"]
TURN = [
    "id", "question", "searched", "status", "error", "rating", "created", "model", "adapter", "retrieval",
    "answer",
]  # fmt: skip
EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202eWho <b>built</b> [it](x)?\n# no heading"


@pytest.fixture()
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A library with two conversations; the working folder holds it."""
    monkeypatch.chdir(tmp_path)
    with taught.make(tmp_path / ".assistant") as library:
        first = talk(library)
        first.ask("When was the lighthouse of Brannock built?")
        first.ask("Who built it?")
        second = talk(library, Scripted("*Ida Holm* built it in 1635 [1].\x07"))
        second.ask(EVIL + " Who built the lighthouse of Oldham?")
        second.ask("How high is it?", stop=lambda: True)
        found = [held.session for held in (first, second)]
    return [session.id for session in found if session]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture()
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["sessions", *arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_list_prints_every_key_and_clean_lines(ids: list[str], run: Run) -> None:
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    assert sorted(row["id"] for row in rows(out)) == sorted(ids)
    assert all(list(row) == ROW for row in rows(out))
    code, out, err = run("list")
    assert len(out.splitlines()) == 2
    assert not any(char in out for char in "\x1b\x07\u202e")


def test_show_takes_the_beginning_of_an_id(ids: list[str], run: Run) -> None:
    code, out, _ = run("show", ids[0][:5], "--json")
    (row,) = rows(out)
    assert (code, list(row)) == (0, [*ROW, "conversation"])
    first, second = row["conversation"]
    assert list(first) == TURN
    assert second["searched"] == "Who built the lighthouse of Brannock?"
    assert second["answer"]["citations"][0]["path"] == "towns/brannock.md"
    code, out, _ = run("show", ids[0])
    assert "> Who built it?" in out
    assert "  searched: Who built the lighthouse of Brannock?" in out
    assert "  [1] towns/brannock.md:1: " in out


def test_show_of_a_hostile_conversation_is_clean(ids: list[str], run: Run) -> None:
    code, out, _ = run("show", ids[1])
    assert code == 0
    assert not any(char in out for char in "\x1b\x07\u202e")
    assert "(cancelled)" in out


def test_an_unknown_id_is_a_usage_error(ids: list[str], run: Run) -> None:
    for arguments in (["show", "zz"], ["show", ""], ["export", "zz"], ["delete", "zz", ids[0]]):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert "assistant sessions list" in err
    assert len(rows(run("list", "--json")[1])) == 2, "nothing was deleted"


def test_export_writes_markdown_and_json(ids: list[str], run: Run, tmp_path: Path) -> None:
    code, out, _ = run("export", ids[1])
    assert code == 0
    assert out.startswith("# Who \\<b\\>built\\</b\\> \\[it\\](x)? \\# no heading Who built")
    assert "\n# no heading" not in out
    assert "\\*Ida Holm\\* built it in 1635 \\[1\\]." in out
    assert "\\[1\\] towns/oldham.md:1" in out
    assert "\n> " in out
    assert "*Not answered.*" in out
    code, out, _ = run("export", ids[0], "-o", "chat.json", "--json")
    assert rows(out) == [{"id": ids[0], "path": "chat.json", "format": "json", "turns": 2}]
    assert (
        json.loads((tmp_path / "chat.json").read_text("utf-8")) == rows(run("show", ids[0], "--json")[1])[0]
    )
    code, out, _ = run("export", ids[0], "-o", "chat.md")
    assert (tmp_path / "chat.md").read_text("utf-8").count("\n## ") == 2
    assert rows(run("export", ids[0], "--json")[1])[0]["id"] == ids[0]
    code, _, err = run("export", ids[0], "-o", "nowhere/chat.md")
    assert code == 2
    assert "nowhere/chat.md" in err
    assert run("export", ids[0], "-o", "/dev/full")[0] == 6


def test_search_finds_words_of_answers_too(ids: list[str], run: Run) -> None:
    (row,) = rows(run("search", "engineer KERR", "--json")[1])
    assert list(row) == [*ROW, "turn"]
    assert (row["id"], row["turn"]["question"]) == (ids[0], "When was the lighthouse of Brannock built?")
    assert run("search", "zebra")[1] == ""
    assert run("search", " ")[0] == 2
    assert ids[1] in run("search", "oldham")[1]


def test_delete_takes_conversations_out(ids: list[str], run: Run, tmp_path: Path) -> None:
    code, out, _ = run("delete", ids[0][:6], ids[0], "--json")
    assert (code, rows(out)) == (0, [{"deleted": [ids[0]]}])
    assert [row["id"] for row in rows(run("list", "--json")[1])] == [ids[1]]
    assert run("delete", ids[1])[1] == "deleted 1\n"
    code, out, err = run("list")
    assert (code, out) == (0, "")
    assert "assistant chat" in err
    with Library.open(tmp_path / ".assistant") as library:
        assert library.fetch("SELECT count(*) FROM turns") == [(0,)]


def test_without_a_library_it_is_exit_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("list")[0] == 3
