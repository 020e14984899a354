"""Where `/export` writes a conversation, and writing it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.terminal import clean_line
from corpora.errors import StorageError

if TYPE_CHECKING:
    from assistant.chat.records import Session
    from assistant.chat.sessions import Sessions

_LONGEST = 50


def export_path(argument: str, name: str) -> Path:
    """The file that the user names, or one that does not exist yet, named after the conversation."""
    if argument:
        return Path(argument).expanduser()
    words = re.sub(r"[^\w-]+", "-", clean_line(name).casefold()).strip("-")[:_LONGEST].strip("-")
    stem = words or "conversation"
    number = 1
    while (path := Path(f"{stem}{f'-{number}' if number > 1 else ''}.md")).exists():
        number += 1
    return path


def write_export(sessions: Sessions, session: Session, path: Path) -> None:
    """Markdown, or JSON where the name says so. Raises StorageError where it cannot be written."""
    form = "json" if path.suffix.lower() == ".json" else "markdown"
    text = sessions.export(session, form)  # type: ignore[arg-type]
    try:
        path.write_text(text, "utf-8", errors="replace")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}.") from error
