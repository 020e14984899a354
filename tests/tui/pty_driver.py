"""A program in a pseudo-terminal: what it writes, byte for byte, and when."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType


class Terminal:
    """Runs `command` in a terminal of `columns` x `rows`; what it writes is read by `wait_for` and `read`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        columns: int = 100,
        rows: int = 30,
    ) -> None:
        self.begun = time.perf_counter()
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        variables = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env=variables,
            start_new_session=True,
        )
        os.close(theirs)
        self.written = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._own)

    def send(self, keys: str) -> None:
        """Press keys, as the bytes that a terminal sends for them."""
        os.write(self._own, keys.encode())

    def read(self, seconds: float) -> bytes:
        """What is written within so many seconds."""
        begun, end = len(self.written), time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if not self._more(left):
                break
        return self.written[begun:]

    def wait_for(self, text: str, seconds: float = 60.0, *, after: int = 0) -> float:
        """The seconds until `text` stands in what was written from byte `after` on; fails after `seconds`."""
        begun = time.perf_counter()
        wanted = text.encode()
        while wanted not in self.written[after:]:
            left = begun + seconds - time.perf_counter()
            if left <= 0 or not self._more(left):
                raise AssertionError(f"{text!r} was never written: ...{self.written[-3000:]!r}")
        return time.perf_counter() - begun

    def finish(self, seconds: float = 20.0) -> int:
        """Read until it ends; its exit code."""
        self.read(seconds)
        return self.process.wait(seconds)

    def _more(self, seconds: float) -> bool:
        """Read once; False at the end of the program."""
        if select.select([self._own], [], [], seconds)[0]:
            try:
                data = os.read(self._own, 1 << 16)
            except OSError:  # Linux: the other end is closed
                return False
            self.written += data
            return bool(data)
        return True
