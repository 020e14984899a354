"""Every error that a user may meet, and the exit code it ends the program with.

    AssistantError                exit  code
    ├── UsageError                  2   usage
    ├── NothingToDo                 3   no_library, no_input
    ├── Conflict                    5   wrong_encoder, wrong_format, foreign_library, too_many_removals, ...
    ├── StorageError                6   no_space, io
    ├── Busy                        7   locked
    └── Missing                     8   model_missing, offline, device_missing, remote_failed

Only `assistant.__main__` catches these and turns them into one line, one hint and an exit code.
Exit code 4 (done, but some files or rows failed) is no error: the command ends its work and says so.
"""

from __future__ import annotations

from typing import ClassVar


class AssistantError(Exception):
    """Base of all errors shown to the user; `hint` says what to do next, best as a command."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code


class UsageError(AssistantError):
    """The words of the command or a setting are wrong; mend them and call again."""

    exit_code = 2
    default_code = "usage"


class NothingToDo(AssistantError):
    """There is no library here, or no input at all; ingest something first."""

    exit_code = 3
    default_code = "no_library"


class Conflict(AssistantError):
    """What is asked for does not fit what is stored; the hint names the command that mends it."""

    exit_code = 5
    default_code = "conflict"


class StorageError(AssistantError):
    """The disk is full or failed; the library is as it was before."""

    exit_code = 6
    default_code = "io"


class Busy(AssistantError):
    """Another process holds the library; wait for it or stop it."""

    exit_code = 7
    default_code = "locked"


class Missing(AssistantError):
    """A model or a device is not here; the hint says how to get it."""

    exit_code = 8
    default_code = "model_missing"
