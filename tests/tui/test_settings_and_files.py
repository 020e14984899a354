"""The chat's own settings, opening of files, slash commands, and the handbook's page on them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assistant.chat.exporting import export_path
from assistant.tui import slash
from assistant.tui.keys import bindings
from assistant.tui.opening import opening
from assistant.tui.preferences import (
    Preferences,
    editor_command,
    read_preferences,
    remember_theme,
    remembered_theme,
)
from assistant.tui.status import State, status
from corpora.errors import UsageError

PAGE = Path(__file__).resolve().parent.parent.parent / "corpora" / "handbook" / "chat.md"
IDS = frozenset(binding.id or "" for binding in bindings())


def config(home: Path, text: str, name: str = "chat.toml") -> None:
    path = home / "config" / "assistant" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_without_a_file_nothing_is_set() -> None:
    assert read_preferences(IDS) == Preferences()


def test_theme_editor_and_keys_are_read(own_home: Path) -> None:
    config(own_home, 'theme = "dusk"\neditor = "code --wait"\n[keys]\n"chat.sources" = "ctrl+t,f5"\n')
    config(own_home, 'primary = "#c678dd"\ndark = false\n', "themes/dusk.toml")
    read = read_preferences(IDS)
    assert (read.theme, read.editor, dict(read.keys)) == (
        "dusk",
        ("code", "--wait"),
        {"chat.sources": "ctrl+t,f5"},
    )
    assert [(own.name, own.dark, dict(own.colours)) for own in read.themes] == [
        ("dusk", False, {"primary": "#c678dd"})
    ]


def test_every_wrong_key_is_named_at_once(own_home: Path) -> None:
    config(
        own_home,
        'colour = 1\ntheme = 3\neditor = "a \'"\n[keys]\n"chat.nosuch" = "f5"\n"chat.help" = "Ctrl T"\n',
    )
    with pytest.raises(UsageError) as raised:
        read_preferences(IDS)
    for part in ("'colour'", "'theme'", "'editor'", "'chat.nosuch'", "'chat.help'"):
        assert part in raised.value.message


@pytest.mark.parametrize(
    "text", ['primary = "red; }"\n', "background = '#000'\n", 'primary = "#fff"\nx = 1\n', "=\n"]
)
def test_a_wrong_theme_is_an_error(own_home: Path, text: str) -> None:
    config(own_home, text, "themes/bad.toml")
    with pytest.raises(UsageError):
        read_preferences(IDS)


def test_a_chosen_theme_is_remembered() -> None:
    assert remembered_theme() is None
    remember_theme("nord")
    assert remembered_theme() == "nord"


def test_the_editor_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    assert editor_command(Preferences()) == ()
    monkeypatch.setenv("EDITOR", "nano -l")
    assert editor_command(Preferences()) == ("nano", "-l")
    monkeypatch.setenv("VISUAL", "vim")
    assert editor_command(Preferences()) == ("vim",)
    assert editor_command(Preferences(editor=("hx",))) == ("hx",)


@pytest.mark.parametrize(
    ("editor", "arguments"),
    [
        (("vim",), ("vim", "+7", "/d/a b;rm.md")),
        (("/usr/bin/nvim", "-R"), ("/usr/bin/nvim", "-R", "+7", "/d/a b;rm.md")),
        (("code", "--wait"), ("code", "--wait", "--goto", "/d/a b;rm.md:7")),
        (("subl",), ("subl", "/d/a b;rm.md:7")),
        (("unknown",), ("unknown", "/d/a b;rm.md")),
    ],
)
def test_files_open_at_their_line_as_one_argument(
    editor: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    made = opening(Path("/d/a b;rm.md"), 7, "md", editor)
    assert made is not None
    assert (made.arguments, made.terminal) == (arguments, True)


def test_other_types_go_to_the_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    made = opening(Path("/d/a.pdf"), 7, "pdf", ("vim",))
    assert made is not None
    assert made.arguments[1:] == ("/d/a.pdf",)
    assert not made.terminal
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert opening(Path("/d/a.md"), 7, "md", ()) is None


def test_lines_are_commands_or_questions() -> None:
    assert slash.read("What is /etc/hosts?") is None
    assert slash.read("/etc/hosts says what?") is None
    assert slash.read("and/or") is None
    line = slash.read("/IN reports/** ")
    assert line is not None
    assert (line.name, line.argument) == ("in", "reports/**")
    wrong = slash.read("/modle x")
    assert wrong is not None
    assert wrong.command is None
    assert slash.nearest("modle") == "model"


def test_completion_puts_a_whole_name_first() -> None:
    assert slash.completions("/in", lambda _n, _b: [])[0].text == "/in "
    assert [one.text for one in slash.completions("/rag o", lambda _n, _b: ["on", "off"])] == [
        "/rag on",
        "/rag off",
    ]
    assert slash.completions("what is", lambda _n, _b: []) == []


def test_exports_are_named_after_the_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert export_path("", "../Who built it?\x1b]0;x\x07") == Path("who-built-it.md")
    Path("who-built-it.md").touch()
    assert export_path("", "Who built it?") == Path("who-built-it-2.md")
    assert export_path("", "???") == Path("conversation.md")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_status_line_fits(width: int) -> None:
    state = State(
        "documents of mine", "smollm2-135m", "grounding", True, 4, "a/**", 812, 8192, 21.7, "writing 3 s"
    )
    line = status(state, width)
    assert line.cell_length <= max(width, 12)
    assert "writing 3 s" in line.plain


def test_the_handbook_lists_every_command_and_key() -> None:
    page = PAGE.read_text("utf-8")
    keys = {
        row.split("|")[3].strip()
        for row in page.split("## Keys")[1].split("## Commands")[0].splitlines()
        if row.count("|") == 4
    }
    assert keys - {"id", "---"} == IDS
    commands = re.findall(r"`/(\w+)", page.split("## Commands")[1].split("## Your own")[0])
    assert set(commands) == {command.name for command in slash.COMMANDS}
