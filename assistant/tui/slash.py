"""The slash commands: their names, arguments and help; how a line is read and completed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One slash command. `argument` is how the help shows what follows the name, "" for nothing."""

    name: str
    argument: str
    help: str

    @property
    def needs_argument(self) -> bool:
        """Whether it means nothing without an argument."""
        return bool(self.argument) and not self.argument.startswith("[")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read as a command; `command` is None for a name that is none."""

    name: str
    argument: str
    command: Command | None


COMMANDS = (
    Command("help", "", "keys and commands"),
    Command("new", "", "begin a new conversation"),
    Command("sessions", "[WORDS]", "past conversations, with search"),
    Command("rename", "NAME", "name this conversation"),
    Command("fork", "", "go on in a copy of this conversation"),
    Command("ingest", "FOLDER", "read documents into the library"),
    Command("model", "[NAME]", "the language model that answers"),
    Command("adapter", "[NAME|none]", "the adapter of that model"),
    Command("rag", "on|off", "answer from the documents, or from the model alone"),
    Command("k", "N", "passages to find for a question"),
    Command("in", "[GLOB]", "only documents whose path matches; nothing: all"),
    Command("compare", "[QUESTION]", "adapter against base, documents on against off"),
    Command("sources", "[N]", "the sources of the last answer, or open source N"),
    Command("why", "", "passages, token budget and nearest training examples"),
    Command("good", "", "keep the last answer as a reviewed example"),
    Command("bad", "", "keep the last answer as a wrong one"),
    Command("fix", "", "write the right answer, and keep it as a reviewed example"),
    Command("retry", "", "answer the last question again"),
    Command("undo", "", "take back the last question and its answer"),
    Command("edit", "", "change the last question and ask again"),
    Command("copy", "", "copy the last answer"),
    Command("export", "[FILE.md|FILE.json]", "write this conversation to a file"),
    Command("theme", "[NAME]", "colours: light, dark, or your own"),
    Command("quit", "", "leave"),
)
_BY_NAME = {command.name: command for command in COMMANDS}
_COMMAND = re.compile(r"/([A-Za-z]*)(?:\s+(.*))?\Z", re.DOTALL)


def read(text: str) -> Line | None:
    """What a line says, if it is a command at all: `/name argument`. A path like /etc/hosts is none."""
    found = _COMMAND.match(text.strip())
    if found is None:
        return None
    name = found[1].lower()
    return Line(name, (found[2] or "").strip(), _BY_NAME.get(name))


def nearest(name: str) -> str | None:
    """The command that a wrong name may have meant."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(_BY_NAME), n=1, cutoff=0.5)
    return close[0] if close else None


@dataclass(frozen=True, slots=True)
class Completion:
    """A way to go on: the whole line as it would be, what the list shows, and a word on it."""

    text: str
    label: str
    help: str = ""


def completions(text: str, choices: Callable[[str, str], Sequence[str]]) -> list[Completion]:
    """How the command line `text` can go on; `choices(name, beginning)` gives the arguments of a command."""
    if not text.startswith("/") or "\n" in text:
        return []
    name, blank, argument = text[1:].partition(" ")
    if not blank:
        found = [command for command in COMMANDS if command.name.startswith(name.lower())]
        found.sort(key=lambda command: command.name != name.lower())  # a whole name before longer ones
        return [
            Completion(
                f"/{command.name}{' ' if command.argument else ''}",
                f"/{command.name} {command.argument}".rstrip(),
                command.help,
            )
            for command in found
        ]
    if name.lower() not in _BY_NAME:
        return []
    beginning = argument.lstrip()
    return [
        Completion(f"/{name} {choice}", choice)
        for choice in choices(name.lower(), beginning)
        if choice != beginning
    ]
