"""The wire between the screen and the engine process: JSON lines, requests there and events back.

Every request has `do` and an `id`, every event has `event` and the `id` of its request
(`assistant.tui.worker` lists both). The engine has a process of its own so that neither importing torch nor
writing tokens ever holds up a key press, and so that a crash in native code leaves the chat standing.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

Event = Mapping[str, Any]

# Isolated mode keeps the working folder, which may hold anybody's files, from being imported from.
_PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from assistant.tui.worker import main
main()"""
_QUIT_SECONDS = 2.0


class Engine(Protocol):
    """A running worker: where to write requests and read events."""

    requests: BinaryIO
    events: BinaryIO

    def end(self, seconds: float) -> None:
        """Wait so long for it to end by itself, then end it."""

    def died(self) -> str:
        """Why it is no longer there, for people."""


class EngineProcess:
    """The worker in a process of its own; `command` is run instead of it."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        command = command or [sys.executable, "-I", "-c", _PROGRAM, json.dumps(_module_path())]
        self._process = subprocess.Popen(  # noqa: S603 - an argument list of our own
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C on the terminal is the chat's business
        )
        if self._process.stdin is None or self._process.stdout is None:  # pragma: no cover - they are piped
            raise AssertionError
        self.requests: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self.events: BinaryIO = self._process.stdout  # type: ignore[assignment]

    def end(self, seconds: float) -> None:
        """Wait so long for it to end by itself, then kill it: the library is safe at any instant."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def died(self) -> str:
        """The signal or the exit code it ended with."""
        code = self._process.wait()
        if code == -9:
            return "The engine was killed, most likely because memory ran out."
        return f"The engine ended by itself (signal {-code})." if code < 0 else f"The engine ended ({code})."


class Link:
    """Sends requests and passes events to `heard`, which is called in a thread of the link's own."""

    def __init__(self, start: Callable[[], Engine], heard: Callable[[Event], None]) -> None:
        self._start = start
        self._heard = heard
        self._numbers = itertools.count(1)
        self._engine: Engine | None = None
        self._closing = False
        self._writing = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether there is an engine to send to."""
        return self._engine is not None

    def open(self, setup: Mapping[str, Any]) -> None:
        """Start the engine and tell it what it works on. Raises OSError where no process can be started."""
        self._engine = self._start()
        threading.Thread(target=self._listen, args=(self._engine,), daemon=True).start()
        self.send("open", **setup)

    def send(self, do: str, **fields: Any) -> int:
        """Ask for something; returns the number that its events carry."""
        number = next(self._numbers)
        request = json.dumps({"do": do, "id": number, **fields}).encode("utf-8") + b"\n"
        if self._engine is not None:
            with self._writing, contextlib.suppress(OSError, ValueError):  # its end is told by `_listen`
                self._engine.requests.write(request)
                self._engine.requests.flush()
        return number

    def close(self) -> None:
        """End the engine; what it was writing is broken off, what is saved stays."""
        engine, self._engine = self._engine, None
        self._closing = True
        if engine is not None:
            with self._writing, contextlib.suppress(OSError, ValueError):
                engine.requests.close()
            engine.end(_QUIT_SECONDS)

    def _listen(self, engine: Engine) -> None:
        with contextlib.suppress(OSError, ValueError), engine.events:
            for line in engine.events:
                self._heard(json.loads(line))
        if not self._closing:
            self._engine = None
            with self._writing, contextlib.suppress(OSError):
                engine.requests.close()
            self._heard({"event": "died", "id": 0, "message": engine.died()})


def _module_path() -> list[str]:
    """This process's import path without the working folder, unless that is where this package lies."""
    root = str(Path(__file__).resolve().parent.parent.parent)
    here = str(Path.cwd())
    path = [entry for entry in sys.path if Path(entry).is_absolute() and entry != here]
    return path if root in path else [*path, root]
