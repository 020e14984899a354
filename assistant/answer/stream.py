"""An answer on its way to the reader: nothing is shown that a check may still take back.

Words pass at once; a marker and what follows it wait for the end of their sentence, and so does a sentence's
final punctuation, since a marker may be put before it. The first words wait while they may become
the refusal sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from assistant.answer.citations import split_answer
from assistant.answer.refusal import may_become_refusal

_HELD = re.compile(r"\s*[\[【].*\Z|[.!?。！？\"'”’」』)）\s]+\Z", re.DOTALL)


class AnswerStream:
    """Feeds pieces of an answer to `check` as they are complete and what is certain to `show`."""

    def __init__(self, check: Callable[[str], str], show: Callable[[str], None] | None) -> None:
        self._check = check
        self._show = show or (lambda _text: None)
        self._pending = ""  # of the piece that is not complete yet
        self._shown = 0  # characters of it that are out
        self._held = ""  # the beginning, while it may be a refusal
        self._begun = False
        self._said: set[str] = set()
        self.repeating = False  # a sentence came twice: a small model goes on like that for ever
        self.text = ""  # checked pieces so far

    def feed(self, text: str) -> None:
        """Text as the model writes it."""
        if not self._begun:
            self._held += text
            if may_become_refusal(self._held):
                return
            self._begun, text, self._held = True, self._held.lstrip(), ""
        self._pending += text
        pieces = split_answer(self._pending)
        # The last piece may grow, and one that begins with a bracket may be a marker of the piece before.
        complete = pieces[:-1]
        if complete and pieces[-1].lstrip()[:1] in ("", "[", "【"):
            complete = complete[:-1]
        for piece in complete:
            self._finish_piece(piece)
        if not self.repeating:
            self._show_certain()

    def finish(self) -> str:
        """The end of the answer; returns all of it, checked. A refusal is not passed through here."""
        self._pending = (self._pending + self._held).rstrip()
        self._held = ""
        for piece in split_answer(self._pending):
            self._finish_piece(piece)
        return self.text.strip()

    def _finish_piece(self, piece: str) -> None:
        plain = "".join(char for char in piece.casefold() if char.isalnum())
        self.repeating = self.repeating or (bool(plain) and plain in self._said)
        if self.repeating:
            return
        self._said.add(plain)
        checked = self._check(piece)
        self._show(checked[self._shown :])
        self.text += checked
        self._pending = self._pending[len(piece) :]
        self._shown = 0

    def _show_certain(self) -> None:
        plain = "".join(char for char in self._pending.casefold() if char.isalnum())
        if any(said.startswith(plain) for said in self._said):
            return  # it may be a repetition
        held = _HELD.search(self._pending)
        certain = held.start() if held else len(self._pending)
        if certain > self._shown:
            self._show(self._pending[self._shown : certain])
            self._shown = certain
