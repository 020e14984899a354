"""`chat --plain`: lines in, answers out, over the real engine with a scripted model."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import taught_library as taught
from talk_driver import REPLY, Scripted, talk
from tiny_chat import write_model
from tiny_models import write_bert

from assistant.__main__ import main
from assistant.chat.plain import PlainLoop
from assistant.chat.records import ChatOptions, Session
from assistant.chat.sessions import Sessions
from corpora.errors import Missing
from corpora.store import ExampleStore, Library

PROGRAM = Path(sys.executable).with_name("assistant")


class Model(Scripted):
    """Can be told to become another one."""

    passages = 3

    def choose(self, model: str | None, adapter: str | None) -> None:
        if model == "missing":
            raise Missing("There is no such model.", hint="assistant models list")
        self.name, self.adapter = model or "scripted", None if adapter == "none" else adapter


class Talk:
    """As `assistant.chat.talking.Talk`, without weights."""

    def __init__(self, library: Library, model: Model) -> None:
        self.library, self.model = library, model
        self.sessions = Sessions(library)
        self.conversation = talk(library, model)
        self.engine = self.conversation.engine

    @property
    def options(self) -> ChatOptions:
        return self.conversation.options

    def change(self, options: ChatOptions) -> None:
        self.model.choose(options.model, options.adapter)
        self.conversation.options = options

    def open(self, session: Session | None) -> None:
        self.conversation = talk(self.library, self.model, session, self.options)


@pytest.fixture()
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.chdir(tmp_path)
    with taught.make(tmp_path / ".assistant") as made:
        yield made


Say = Callable[..., tuple[int, str, str]]


@pytest.fixture()
def read() -> list[str]:
    """Folders that were to be read."""
    return []


@pytest.fixture()
def say(
    library: Library, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], read: list[str]
) -> Say:
    """Pipe lines in: exit code, standard output, standard error."""

    def call(*lines: str, model: Any = None) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        code = PlainLoop(Talk(library, model or Model()), read.append).run()  # type: ignore[arg-type]
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_questions_and_follow_ups_are_answered(say: Say, library: Library) -> None:
    code, out, err = say("When was the lighthouse of Brannock built?", "", "Who built it?")
    assert code == 0
    assert out.count(REPLY) == 2
    assert "[1] towns/brannock.md:1" in out
    assert "searched: Who built the lighthouse of Brannock?" in err
    assert "\x1b" not in out + err
    assert [session.turns for session in Sessions(library).list()] == [2]


def test_a_line_that_ends_in_a_backslash_goes_on(say: Say, library: Library) -> None:
    say("Who built the lighthouse\\", "of Brannock?", "And\\")
    (session,) = Sessions(library).list()
    questions = [turn.question for turn in Sessions(library).turns(session.id)]
    assert questions == ["Who built the lighthouse\nof Brannock?", "And"]


def test_commands_do_what_they_say(say: Say, library: Library, tmp_path: Path) -> None:
    lines = """\
Who built the lighthouse of Brannock?
/good
/why
/sources
/rename Lights
/sessions light
/retry
/k 2
/in towns/oldham.md
/edit What does the ferry of Oldham cost?
/bad
/fix 143 euros
/fork
/undo
/rag off
/adapter tuned
/model other
/model
/compare Why?
/export
/export a.json
/new
/help
/open
/quit
never asked"""
    code, out, err = say(*lines.splitlines())
    assert code == 4, "/export and /open had nothing to work on"
    said = [
        "Kept as a reviewed example",
        "It is called Lights now.",
        "Kept as a wrong answer",
        "in a copy",
        "Taken back: What does the ferry",
        "The adapter is tuned.",
        "The model is other.",
    ]
    for part in said:
        assert part in err, part
    for part in ("tokens  question", "--- base model, no documents", "/retry", "  1  Lights"):
        assert part in out, part
    assert "never asked" not in out
    assert {one.answer for one in ExampleStore(library).find("accepted")} == {
        "It was built in 1601 by the engineer Anna Kerr.",
        "143 euros",
    }


def test_export_does_not_write_over_a_file(say: Say, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("mine")
    code, _, err = say("Who built the lighthouse of Brannock?", "/export a.json", "/export b.json")
    assert code == 4
    assert (tmp_path / "a.json").read_text() == "mine"
    assert json.loads((tmp_path / "b.json").read_text("utf-8"))["turns"] == 1
    assert "a.json" in err


@pytest.mark.parametrize(
    "line",
    [
        "/nope",
        "/k 0",
        "/k many",
        "/sources 1",
        "/open",
        "/k ²",
        "/rag maybe",
        "/good",
        "/undo",
        "/model missing",
        "/compare",
        "/edit",
    ],
)
def test_what_cannot_be_done_is_said_and_the_talk_goes_on(say: Say, line: str) -> None:
    code, out, err = say(line, "Who built the lighthouse of Brannock?")
    assert code == 4
    assert err.strip()
    assert REPLY in out


def test_folders_are_read_from_inside(say: Say, read: list[str]) -> None:
    assert say("/ingest more docs", "Who built the lighthouse of Brannock?")[0] == 0
    assert read == ["more docs"]


def test_without_a_library_the_chat_says_what_to_do_and_makes_one(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = write_bert(tmp_path_factory.mktemp("encoder") / "tiny")
    model = write_model(tmp_path_factory.mktemp("model") / "tiny")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "harbour.md").write_text("The lighthouse was built in 1874.\n")
    (tmp_path / "config").mkdir()
    environment = {**os.environ, "ASSISTANT_ENCODER": str(encoder), "ASSISTANT_MODEL": str(model)}

    def chat(said: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "chat", "--plain", "--offline"],
            cwd=tmp_path, env=environment, input=said, capture_output=True, text=True, timeout=200,
        )  # fmt: skip

    assert chat("").returncode == chat("Who?\n").returncode == 3
    assert chat("/quit\n").returncode == 0 and not (tmp_path / ".assistant").exists()
    assert "nowhere does not exist" in chat("/ingest nowhere\n").stderr
    done = chat("/ingest docs\nWhen was the lighthouse built?\n")
    assert done.returncode == 0, done.stderr
    assert "1 added" in done.stderr and done.stdout.strip()
    again = chat("/ingest docs\n")
    assert again.returncode == 0 and "0 added" in again.stderr


def test_one_source_or_all_of_them_are_shown(say: Say) -> None:
    asked = "Who built the lighthouse of Brannock?"
    every = say(asked, "/sources")[1]
    second = say(asked, "/sources 2")[1]
    assert "\n[1] " in every and "\n[2] " in every
    assert "\n[1] " not in second and "\n[2] " in second
    for argument in ("99", "x", "0"):
        code, out, err = say(asked, f"/sources {argument}")
        assert code == 4 and "/sources N" in err and "\n[1] " not in out


def test_an_endless_question_is_refused_at_once_and_a_long_one_is_no_long_name(
    say: Say, library: Library
) -> None:
    code, _, err = say("word " * 200_000)
    assert code == 4 and "longer than 100000 characters" in err
    assert Sessions(library).latest() is None
    _, out, _ = say("who " * 5_000, "/sessions")
    assert max(len(line) for line in out.splitlines() if "who who" in line) < 150


@pytest.mark.parametrize("words", [["--session", ""], ["--session", " "], ["--session", "a", "--resume"]])
def test_no_conversation_is_gone_on_with_by_mistake(
    library: Library, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "--plain", *words]) == 2
    assert "--session" in capsys.readouterr().err


def test_a_path_is_a_question(say: Say, library: Library) -> None:
    say("/etc/hosts holds what?")
    assert [session.name for session in Sessions(library).list()] == ["/etc/hosts holds what?"]


def test_hostile_lines_and_answers_reach_no_terminal(say: Say) -> None:
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202e"
    lines = [
        "Who {} built the lighthouse of Brannock?",
        "/rename {}x",
        "/sessions",
        "/{}",
        "/edit {}?",
        "/undo",
    ]
    model = Model(f"Anna {evil} Kerr [1].")
    _, out, err = say(*(line.format(evil) for line in lines), model=model)
    assert not any(char in out + err for char in "\x1b\x07\u202e")


def test_bytes_that_are_no_text_are_survived(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe who?\r\n\x00\n/quit\r\n")))
    assert PlainLoop(Talk(library, Model()), print).run() == 0  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(900)
def test_the_installed_command_talks_with_the_embedded_model(tmp_path: Path, embedded_models: Path) -> None:
    program = Path(sys.executable).with_name("assistant")
    (tmp_path / "harbour.md").write_text(
        "The harbour of Brannock has a lighthouse. The lighthouse of Brannock was built in 1874 by the "
        "engineer Anna Kerr.\n\nA ticket for the ferry costs four euros. Bicycles travel free.\n"
    )

    def run(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [program, *arguments], cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=800
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("ingest", ".", "--offline")
    questions = "When was the lighthouse of Brannock built?\nWho built it?\n/why\n"
    out = run("chat", "--plain", "--offline", stdin=questions)
    assert "1874" in out
    assert "Anna Kerr" in out
    assert "searched: Who built the lighthouse of Brannock?" in out
    assert "tokens  question" in out
    out = run("chat", "--plain", "--offline", "--resume", stdin="How was its builder called?\n")
    (row,) = [json.loads(line) for line in run("sessions", "list", "--json").splitlines()]
    assert row["turns"] == 3
