"""What was said before, as far as a follow-up can refer to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.answer.citations import MARKER
from assistant.chat.records import Turn
from assistant.terminal import clean_line

_SHORT = 90  # characters; a longer answer is a quotation with more in it than what was asked for


@dataclass(frozen=True, slots=True)
class Said:
    """An earlier question as it stood alone, and its answer without markers ("" for none or a refusal)."""

    question: str
    answer: str

    @classmethod
    def of(cls, turn: Turn) -> Said:
        """The part of a turn that counts."""
        answer = turn.answer.answer if turn.answer and not turn.answer.refused else None
        return cls(clean_line(turn.searched), clean_line(without_markers(answer or "")))

    @property
    def short_answer(self) -> str:
        """The answer, "" where it is too long to stand in a question."""
        return self.answer if len(self.answer) <= _SHORT else ""


def without_markers(text: str) -> str:
    """An answer as it would be said: its `[n]` taken out."""
    return re.sub(r"[ \t]+([.,;!?])", r"\1", re.sub(r"[ \t]*(?:" + MARKER.pattern + ")", "", text)).strip()
