"""One reader process as its parent sees it: started clean, watched, killed when it takes too long."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import corpora
from corpora.errors import StorageError
from corpora.readers import READERS
from corpora.records import Skipped

if TYPE_CHECKING:
    from corpora.readers.sandbox import Limits

_OUT_OF_MEMORY = 70  # as in corpora.readers.worker, which is not imported here: it is the child's program
_START_SECONDS = 60.0
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")  # no keys, no PYTHON*

# Isolated mode leaves the working folder, PYTHONPATH and the user's site out; the parent's own path is
# then set, so that the child imports exactly the packages that the parent runs.
_PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from corpora.readers.worker import main
main()"""


class ChildDied(Exception):
    """The child ended or was ended before it had answered; `outcome` says why."""

    def __init__(self, outcome: Skipped, seen: dict[str, Any]) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.seen = seen


class Packed(NamedTuple):
    """An outcome as it came: JSON without the text, and the text in UTF-8."""

    rest: bytearray
    text: bytearray


class Child:
    """A running `corpora.readers.worker`. Raises StorageError if it does not start."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.served = 0
        self.worn = False
        command = [sys.executable, "-I", "-B", "-c", _PROGRAM, json.dumps(_module_path())]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - an argument list of our own
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                start_new_session=True,  # Ctrl-C on the terminal is the parent's business
            )
        except OSError as error:
            raise StorageError(f"A reader process cannot be started: {error.strerror}.") from error
        self._greet()

    def _greet(self) -> None:
        setup = {
            "parent": os.getpid(),
            "readers": READERS,
            "file_bytes": self._limits.file_bytes,
            "memory_bytes": self._limits.memory_bytes,
            "cpu_seconds": self._limits.cpu_seconds,
            "output_bytes": self._limits.output_bytes,
        }
        try:
            self._send(setup)
            self._receive(time.monotonic() + _START_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            self.kill()
            raise StorageError(
                "A reader process does not start.", hint=f"{sys.executable} -I -c 'import lxml.etree, pypdf'"
            ) from error

    def read(self, path: str) -> tuple[dict[str, Any], Packed]:
        """(sha256, size, mtime_ns of what was read; what came of it). Raises ChildDied."""
        seen: dict[str, Any] = {}
        deadline = time.monotonic() + self._limits.wall_seconds
        try:
            self._send({"path": os.fsencode(path).decode("latin-1")})
            seen = json.loads(self._receive(deadline))
            packed = Packed(self._receive(deadline), self._receive(deadline))
        except TimeoutError:
            self.kill()
            reason = f"parser stopped after {self._limits.wall_seconds:g} s"
            raise ChildDied(Skipped("timeout", reason), seen) from None
        except (OSError, EOFError, ValueError):
            raise ChildDied(self._cause_of_death(), seen) from None
        self.served += 1
        self.worn = self.served >= 500 or packed.rest.startswith(b'{"worn":true')
        return seen, packed

    def interrupt(self) -> None:
        """End the child from another thread; a `read` under way raises ChildDied."""
        self._process.kill()

    def kill(self) -> None:
        """End the child, if it still runs, and let go of its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a request that it did not live to take
                    pipe.close()

    def _cause_of_death(self) -> Skipped:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
            return Skipped("crashed", "the reader broke off")
        if status == -signal.SIGXCPU:
            return Skipped("timeout", f"parser stopped after {self._limits.cpu_seconds} s of processor time")
        if status in {_OUT_OF_MEMORY, -signal.SIGKILL}:
            most = self._limits.memory_bytes >> 20
            return Skipped("out_of_memory", f"needs more than {most} MiB of memory to read")
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        return Skipped("crashed", f"the reader crashed ({name})")

    def _send(self, message: dict[str, Any]) -> None:
        frame = json.dumps(message).encode()
        assert self._process.stdin is not None  # noqa: S101 - made by PIPE
        self._process.stdin.write(struct.pack(">Q", len(frame)) + frame)
        self._process.stdin.flush()

    def _receive(self, deadline: float) -> bytearray:
        length = struct.unpack(">Q", self._exactly(8, deadline))[0]
        if length > self._limits.output_bytes + 4096:
            raise EOFError("a frame that no worker of ours sends")
        return self._exactly(length, deadline)

    def _exactly(self, count: int, deadline: float) -> bytearray:
        assert self._process.stdout is not None  # noqa: S101 - made by PIPE
        descriptor, received = self._process.stdout.fileno(), bytearray()
        ready = select.poll()
        ready.register(descriptor, select.POLLIN)
        while len(received) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not ready.poll(left * 1000):
                raise TimeoutError
            chunk = os.read(descriptor, min(1 << 20, count - len(received)))
            if not chunk:
                raise EOFError
            received += chunk
        return received


def _module_path() -> list[str]:
    """The parent's import path without the working folder, unless that is where this package lies."""
    package_root = str(Path(corpora.__file__).resolve().parent.parent)
    here = str(Path.cwd())
    path = [entry for entry in sys.path if Path(entry).is_absolute() and entry != here]
    return path if package_root in path else [*path, package_root]
