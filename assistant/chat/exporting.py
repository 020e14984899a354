"""Where a conversation is exported to, and writing it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.paths import no_place, typed_path
from assistant.terminal import clean_line
from corpora.errors import StorageError

if TYPE_CHECKING:
    from assistant.chat.records import Session
    from assistant.chat.sessions import ExportFormat, Sessions

_LONGEST = 50


def export_path(argument: str, name: str) -> Path:
    """The file that the user names, or one that does not exist yet, named after the conversation."""
    if argument:
        return typed_path(argument)
    words = re.sub(r"[^\w-]+", "-", clean_line(name).casefold()).strip("-")[:_LONGEST].strip("-")
    stem = words or "conversation"
    number = 1
    while (path := Path(f"{stem}{f'-{number}' if number > 1 else ''}.md")).exists():
        number += 1
    return path


def export_format(path: Path) -> ExportFormat:
    """Markdown, or JSON where the name says so."""
    return "json" if path.suffix.lower() == ".json" else "markdown"


def write_export(
    sessions: Sessions, session: Session, path: Path, form: ExportFormat | None = None, *, over: bool
) -> None:
    """Write a conversation to `path`; `over` a file that is there, or only to a new one.

    Raises UsageError where it can be no file, StorageError where it cannot be written.
    """
    text = sessions.export(session, form or export_format(path))
    try:
        with path.open("w" if over else "x", encoding="utf-8", errors="replace") as stream:
            stream.write(text)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise no_place(path, error) from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}.", hint="name another file") from error
