"""Stopping an answer between two tokens, whichever chat model writes it.

LangChain tells its callbacks of every token; one that is set for a context alone hears those of the model
that answers there. It raises what no handler on the way takes for an error.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

StopAsked = Callable[[], bool]


class Stopped(BaseException):
    """The user wants no more of this answer. Not an Exception, as KeyboardInterrupt is none."""


@contextmanager
def stopped_by(asked: StopAsked) -> Iterator[None]:
    """Within, a model that writes raises Stopped at the first token at which `asked` says so."""
    variable = _variable()
    token = variable.set(_listener()(asked))
    try:
        yield
    finally:
        variable.reset(token)


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Within, the first Ctrl-C is heard by the function that is given, a second one interrupts."""
    asked: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    previous = signal.signal(signal.SIGINT, hear)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, previous)


@cache
def _variable() -> ContextVar[BaseCallbackHandler | None]:
    from langchain_core.tracers.context import register_configure_hook

    variable: ContextVar[BaseCallbackHandler | None] = ContextVar("stop_asked", default=None)
    register_configure_hook(variable, inheritable=True)
    return variable


@cache
def _listener() -> Callable[[StopAsked], BaseCallbackHandler]:
    from langchain_core.callbacks import BaseCallbackHandler

    class Listener(BaseCallbackHandler):
        """Raises at a token."""

        def __init__(self, asked: StopAsked) -> None:
            self._asked = asked

        def on_llm_new_token(self, *_token: Any, **_details: Any) -> None:
            if self._asked():
                raise Stopped

    return Listener
