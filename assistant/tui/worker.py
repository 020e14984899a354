"""The engine process of the chat: reads requests, one JSON object a line, and writes events the same way.

request   fields                                       events
open      library, named, flags                        (none)
load      options                                      stage*, ready | failed
ingest    paths                                        stage*, say*, ingested | failed
ask       session, options, question                   searched?, piece*, turn | stopped | failed
retry     session, options                             as ask
edit      session, options, question                   as ask
undo      session, options                             undone | failed
compare   options, question, sides                     side*, piece*, sided*, compared | failed
why       options, turn                                why | failed
rate      turn, rating                                 rated | failed
fix       turn, answer                                 rated | failed
stop      target                                       (the target's own)

Requests are worked on one after the other, in the main thread; `stop` is heard at once. What anybody
writes to standard error becomes a `say` event. Without a parent the process ends.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from assistant.tui.desk import Desk

_PATIENCE_SECONDS = 10.0  # with work that goes on when nobody is there to hear of it

Tell = Callable[..., None]


class MakeDesk(Protocol):
    """Makes the desk for an `open` request; `tell(event, **fields)` sends an event about the one at hand."""

    def __call__(self, setup: Mapping[str, Any], tell: Tell, stop: Callable[[], bool], /) -> Desk: ...


class Server:
    """Requests in, events out; the work itself is the desk's."""

    def __init__(self, requests: BinaryIO, events: BinaryIO, make_desk: MakeDesk) -> None:
        self._requests = requests
        self._events = events
        self._make_desk = make_desk
        self._waiting: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._stopped: set[int] = set()
        self._at_hand = 0
        self._desk: Desk | None = None
        self._writing = threading.Lock()
        self.abandoned: Callable[[], None] = lambda: None

    def serve(self) -> None:
        """Work until the requests end."""
        threading.Thread(target=self._hear, daemon=True).start()
        while (request := self._waiting.get()) is not None:
            self._work(request)
        if self._desk is not None:
            self._desk.close()

    def tell(self, event: str, **fields: Any) -> None:
        """Send an event about the request at hand."""
        line = json.dumps({"event": event, "id": self._at_hand, **fields}).encode("utf-8") + b"\n"
        with self._writing, contextlib.suppress(OSError, ValueError):  # the chat is gone: `_hear` sees it too
            self._events.write(line)
            self._events.flush()

    def stop_asked(self) -> bool:
        """Whether the request at hand is to be broken off."""
        return self._at_hand in self._stopped

    def _hear(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._requests:
                request = json.loads(line)
                if request["do"] == "stop":
                    self._stop(int(request["target"]))
                else:
                    self._waiting.put(request)
        self.abandoned()
        self._stop(self._at_hand)
        self._waiting.put(None)

    def _stop(self, target: int) -> None:
        self._stopped.add(target)

    def _work(self, request: Mapping[str, Any]) -> None:
        from corpora.errors import AssistantError

        self._at_hand = int(request["id"])
        try:
            if request["do"] == "open":
                self._desk = self._make_desk(request, self.tell, self.stop_asked)
            elif self._desk is not None:
                self._desk.handle(request)
        except AssistantError as error:
            self.tell("failed", code=error.code, message=error.message, hint=error.hint)
        except MemoryError:
            self.tell("failed", code="out_of_memory", message="Out of memory.", hint="use a smaller model")
        except OSError as error:
            self.tell("failed", code="io", message=f"{error.strerror or error}", hint=None)
        except Exception as error:
            self.tell("failed", code="bug", message=f"{type(error).__name__}: {error}", hint=None)
        finally:
            self._stopped.discard(self._at_hand)


class Said(io.TextIOBase):
    """Standard error of this process: every line of it is told to the user."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._line = ""

    def write(self, text: str) -> int:
        """Take text; whole lines are passed on."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.strip():
                self._tell("say", text=line)
        return len(text)


def main() -> None:
    """The program of the engine process."""
    from assistant.environment import quiet_third_parties
    from assistant.tui.desk import Desk

    quiet_third_parties()
    warnings.simplefilter("ignore")  # of libraries, about themselves
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that prints can get between two events
    server = Server(sys.stdin.buffer, events, Desk)
    sys.stderr = Said(server.tell)
    server.abandoned = lambda: threading.Timer(_PATIENCE_SECONDS, os._exit, (0,)).start()
    server.serve()
    os._exit(0)  # native threads of a model may not end by themselves; all that matters is on the disk
