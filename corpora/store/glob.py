"""Path patterns for `--in`: as in .gitignore and ripgrep, so a folder's name covers what is below it."""

from __future__ import annotations

import re

from corpora.errors import UsageError


def compile_glob(pattern: str) -> re.Pattern[str]:
    """A pattern to `fullmatch` document paths with.

    `*` and `?` stop at a slash, `**` does not, `[a-z]` and `[!a-z]` are sets. A pattern without a slash
    matches a file or folder of that name at any depth; with one, it starts at the library's root.
    A pattern that matches a folder covers everything below it. Raises UsageError for what is no pattern.
    """
    trimmed = pattern.removeprefix("./").rstrip("/")
    anchored = "/" in trimmed
    body = _translated(trimmed)
    prefix = "" if anchored else "(?:.*/)?"
    try:
        return re.compile(f"{prefix}{body}(?:/.*)?", re.DOTALL)
    except re.error as error:
        raise UsageError(f"{pattern} is no pattern of paths: {error}.", hint="as in docs/**/*.md") from error


def _translated(pattern: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            parts.append(".*")
            at += 2
        elif pattern[at] == "[" and (close := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : close].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            parts.append(f"[^/{inside[1:]}]" if inside[0] == "!" else f"[{inside}]")
            at = close + 1
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at])))
            at += 1
    return "".join(parts)
