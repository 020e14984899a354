"""How a source is opened: the command that shows a file at a line, an argument list, never a shell."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Types that an editor of text shows as they are; the others need the program that the desktop has for them.
_TEXT = frozenset({"txt", "md", "rst", "csv", "json", "jsonl", "code", "html", "ipynb", "eml"})
_PLUS_LINE = frozenset(
    {"vi", "vim", "nvim", "view", "nano", "pico", "emacs", "emacsclient", "micro", "kak", "joe", "jed", "ed"}
    | {"less", "more", "gedit", "kwrite", "mg", "ne", "vis"}
)
_COLON_LINE = frozenset({"subl", "zed", "hx", "helix", "lite-xl"})
_GOTO = frozenset({"code", "code-insiders", "codium", "vscodium", "cursor", "windsurf"})


@dataclass(frozen=True, slots=True)
class Opening:
    """A command to run. `terminal` says that it takes over the terminal until it ends."""

    arguments: tuple[str, ...]
    terminal: bool

    @property
    def shown(self) -> str:
        """The command for people."""
        import shlex

        return shlex.join(self.arguments)


def opening(path: Path, line: int, kind: str, editor: Sequence[str]) -> Opening | None:
    """How to open the file `path`, which is absolute, at a line; None where nothing is set that could."""
    if kind in _TEXT and editor:
        return Opening((*editor[:1], *_at_line(editor, path, line)), terminal=True)
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is not None:
        return Opening((opener, str(path)), terminal=False)
    return Opening((*editor, str(path)), terminal=True) if editor else None


def _at_line(editor: Sequence[str], path: Path, line: int) -> tuple[str, ...]:
    name = Path(editor[0]).name.removesuffix(".exe")
    rest = tuple(editor[1:])
    if name in _PLUS_LINE:
        return (*rest, f"+{line}", str(path))
    if name in _COLON_LINE:
        return (*rest, f"{path}:{line}")
    if name in _GOTO:
        return (*rest, "--goto", f"{path}:{line}")
    return (*rest, str(path))
