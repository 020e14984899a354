"""A chat template as a table: what stands before the first message, between two, and behind the last.

Templates of the usual models depend on nothing but the role of a message and of the one before it. Such a
table can be written in another template language (Ollama's), and compared with the template itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpora.chat_template import ChatTemplate
from corpora.errors import Conflict

START = ""  # in place of the role before the first message
_TALKS: tuple[tuple[str, ...], ...] = (
    ("user",),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)


@dataclass(frozen=True, slots=True)
class Turns:
    """`before[previous, role]` opens a message (START: the first); `end` stands behind the user's last."""

    before: Mapping[tuple[str, str], str]
    end: str

    def pieces(self, roles: Sequence[str]) -> list[str]:
        """As `ChatTemplate.pieces`, for a talk that ends with the user."""
        return [*(self.before[pair] for pair in zip([START, *roles], roles, strict=False)), self.end]


def read_turns(template: ChatTemplate) -> Turns | None:
    """The table of `template`; None where it writes by more than roles, or takes no system message."""
    before: dict[tuple[str, str], str] = {}
    end = ""
    try:
        rendered = {roles: template.pieces(roles) for roles in _TALKS}
    except Conflict:
        return None
    for roles, pieces in rendered.items():
        *openings, end = pieces
        before |= dict(zip(zip([START, *roles], roles, strict=False), openings, strict=True))
    turns = Turns(before, end)
    return turns if all(turns.pieces(roles) == pieces for roles, pieces in rendered.items()) else None
