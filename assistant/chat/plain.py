"""`chat --plain`: a conversation a line at a time, for screen readers, pipes and dumb terminals.

A line is a question or a slash command; one that ends in a backslash goes on in the next. Answers go to
standard output, everything else to standard error. Ctrl-C stops an answer, Ctrl-D or /quit leaves.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from assistant.answer.screen import AnswerScreen
from assistant.chat.plain_commands import PlainCommands
from assistant.chat.reading import Reading
from assistant.chat.records import ChatOptions, Turn
from assistant.chat.sessions import Sessions
from assistant.chat.stopping import interrupts
from assistant.chat.talking import Talk
from assistant.paths import find_library, require_library, typed_path
from assistant.runtime import opened
from assistant.skipped import say_skipped
from assistant.terminal import clean, clean_line, say
from corpora.errors import AssistantError, UsageError

_PROMPT = "> "
_FAILED = 4  # exit code: done, but a question failed


def run_plain(
    library: Path | None, flags: Mapping[str, Any], options: ChatOptions, resumed: str | None = None
) -> int:
    """Hold a conversation over standard input and output; returns the exit code.

    `resumed` is the beginning of the id of the conversation to go on with, "" the last one, None a new one.
    Raises NothingToDo (no library), UsageError (no such conversation).
    """
    read = partial(_read_in, library, flags)
    if resumed is None and find_library(library) is None and not _first_documents(library, read):
        return 0
    with opened(library, flags) as runtime:
        sessions = Sessions(runtime.library)
        session = None
        if resumed is not None:
            session = sessions.open(resumed) if resumed else sessions.latest()
        talk = Talk(runtime, options, session)
        return PlainLoop(talk, read).run()


def _first_documents(library: Path | None, read: Callable[[str], None]) -> bool:
    """Has the user name a folder to read, where there is no library; False where that was /quit.

    Raises NothingToDo where the input names none.
    """
    person = sys.stdin.isatty()
    if person:
        say("There is no library here yet. /ingest FOLDER reads your documents; /quit leaves.")
    for line in _lines(person):
        name, _, folder = line.strip().partition(" ")
        if name in ("/quit", "/exit"):
            return False
        try:
            if name == "/ingest":
                read(folder)
                return True
            if line.strip():
                require_library(library)
        except AssistantError as error:
            if not person:
                raise
            say(f"{error.message} /ingest FOLDER reads your documents.")
    require_library(library)
    return True


def _read_in(library: Path | None, flags: Mapping[str, Any], folder: str) -> None:
    """Bring the library in step with a folder, or make it. Raises AssistantError."""
    if not folder.strip():
        raise UsageError("/ingest FOLDER reads documents into the library.")

    def tell(event: str, **said: Any) -> None:
        if event == "say":
            say(said["text"])

    with interrupts() as stop:
        reading = Reading({"library": library, "flags": flags}, tell, stop)
        report = reading.read([typed_path(folder.strip())])
    say_skipped(report.skipped)
    say(
        f"{'Stopped: ' if report.stopped else ''}{report.added} added, {report.updated} updated,"
        f" {report.removed} removed; {report.documents} documents, {report.passages} passages."
    )


def _lines(person: bool) -> Iterator[str]:
    """What is asked, a line that ends in a backslash together with the next."""
    whole = ""
    for line in _typed() if person else _piped():
        if line.endswith("\\"):
            whole += line[:-1] + "\n"
            continue
        yield whole + line
        whole = ""
    if whole.strip():
        yield whole


def _typed() -> Iterator[str]:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - line editing and history for input()
    while True:
        try:
            yield input(_PROMPT)
        except KeyboardInterrupt:
            say("\n/quit or Ctrl-D leaves.")
        except UnicodeDecodeError:
            say("That line was no UTF-8.")
        except EOFError:
            print()  # noqa: T201 - ends the prompt's line
            return


def _piped() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")


class PlainLoop:
    """Reads lines, asks questions, runs commands."""

    def __init__(self, talk: Talk, read: Callable[[str], None]) -> None:
        """`read` brings the library in step with a folder."""
        self._talk = talk
        self._person = sys.stdin.isatty()
        self._commands = PlainCommands(talk, self, read)
        self._failed = False

    def run(self) -> int:
        """Until the input ends or /quit."""
        self._greet()
        for line in _lines(self._person):
            try:
                if self._commands.is_command(line):
                    if not self._commands.run(line):
                        break
                elif line.strip():
                    self.answer(partial(self._talk.conversation.ask, line))
            except AssistantError as error:
                self._failed = True
                say(f"{error.message}{f' ({error.hint})' if error.hint else ''}")
            except KeyboardInterrupt:
                say("\nStopped.")
        return _FAILED if self._failed and not self._person else 0

    def answer(self, ask: Callable[..., Turn]) -> Turn:
        """Ask and show what comes; Ctrl-C stops it."""
        screen = AnswerScreen(self._talk.library.root, links=False)
        with interrupts() as stop:
            turn = ask(on_piece=screen.show, stop=stop, on_searched=_show_searched)
        if turn.status == "done" and turn.answer is not None:
            screen.finish(turn.answer)
        elif turn.status == "cancelled":
            print()  # noqa: T201 - ends the line that was being written
            say("Stopped.")
        else:
            self._failed = True
            say(clean(turn.error or "Failed."))
        return turn

    def _greet(self) -> None:
        documents, _ = self._talk.library.counts()
        session = self._talk.conversation.session
        about = f"{documents} documents, {self._talk.model.name}"
        going_on = f"; going on with {clean_line(session.name)} ({session.turns} turns)" if session else ""
        if self._person:
            say(f"{about}{going_on}. /help lists the commands, /quit leaves.")


def _show_searched(searched: str) -> None:
    say(f"searched: {clean_line(searched)}")
