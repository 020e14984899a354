"""The handbook and the README are the user guide: what they name must exist."""

from __future__ import annotations

import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from assistant.settings import KEYS
from corpora import errors
from corpora.records import SkipCode
from finetune.checks.records import REASONS

REPOSITORY = Path(__file__).resolve().parent.parent
HANDBOOK = REPOSITORY / "corpora" / "handbook"
PAGES = sorted(HANDBOOK.glob("*.md"))
GUIDES = [REPOSITORY / "README.md", *PAGES]
COMMAND = re.compile(r"`(?:\$ )?assistant ([a-z]+)( [^`]*)?`")


def table_rows(page: str, heading: str | None = None) -> list[list[str]]:
    text = (HANDBOOK / page).read_text("utf-8")
    if heading:
        text = text.split(heading, 1)[1]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[2:]]


def help_of(*command: str) -> str:
    program = Path(sys.executable).with_name("assistant")
    done = subprocess.run([program, *command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, f"assistant {' '.join(command)}: {done.stderr}"
    return done.stdout


def test_every_command_and_option_named_exists() -> None:
    named: dict[tuple[str, ...], set[str]] = {}
    for guide in GUIDES:
        for match in COMMAND.finditer(guide.read_text("utf-8")):
            words = (match[2] or "").split()
            known = ("documents", "models", "config", "data", "adapters", "sessions")
            command = (match[1], words[0]) if match[1] in known and words else (match[1],)
            named.setdefault(command, set()).update(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", match[2] or ""))
    assert len(named) >= 10
    for command, options in named.items():
        text = help_of(*command)
        assert [option for option in sorted(options) if option not in text] == [], command


def test_every_option_of_the_asking_page_exists() -> None:
    text = help_of("ask")
    options = [re.findall(r"--?[a-z-]+", row[0])[0] for row in table_rows("asking.md", "## Options")]
    assert len(options) >= 8
    assert [option for option in options if option not in text] == []


def test_every_option_of_generate_is_explained() -> None:
    rows = table_rows("training-data.md", "## Generate")
    options = {re.findall(r"--[a-z-]+", row[0])[0] for row in rows[:8]}
    assert set(re.findall(r"--[a-z-]+", help_of("generate"))) == options | {
        "--library",
        "--json",
        "--offline",
        "--help",
    }


def test_every_reject_reason_is_explained() -> None:
    """Those of the checks, and those that the methods set by themselves, as they stand in the source."""
    explained = {row[0] for row in table_rows("training-data.md", "## Checks")}
    sources = [path.read_text("utf-8") for path in (REPOSITORY / "finetune").rglob("*.py")]
    written = {reason for text in sources for reason in re.findall(r'rejected="(\w+)"', text)}
    assert {*REASONS, *written} <= explained


def test_settings_table_is_the_settings() -> None:
    rows = {row[0]: row for row in table_rows("settings.md")}
    assert rows.keys() == KEYS.keys()
    assert all(row[1] == f"ASSISTANT_{name.upper()}" for name, row in rows.items())
    for name, key in KEYS.items():
        if key.default is not None:
            assert rows[name][2] == str(key.default).lower(), name


def test_skip_codes_table_is_the_codes() -> None:
    rows = [row[0] for row in table_rows("file-types.md", "## Reasons")]
    assert sorted(rows) == sorted(typing.get_args(SkipCode))


def test_exit_codes_table_is_the_codes() -> None:
    documented = {int(row[0]) for row in table_rows("exit-codes.md")}
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    raised = {cls.exit_code for cls in classes if issubclass(cls, errors.AssistantError)}
    assert raised | {0, 4, 130, 143} == documented


@pytest.mark.parametrize("name", ["first-command", "second-command"])
def test_readme_holds_both_commands(name: str) -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    block = text.split(f"<!-- {name} -->", 1)[1].split("```", 2)[1]
    assert len(block.strip().splitlines()) == 2, "one line of shell"


def test_no_machine_path_or_registry_host_in_the_guides() -> None:
    for guide in [*GUIDES, REPOSITORY / "CHANGELOG.md"]:
        assert not re.search(r"/(work|root|farm)/|\bpypi\b", guide.read_text("utf-8")), guide
