"""One question with its answer on the screen: while it is written, and as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from assistant.tui import words
from assistant.tui.words import DIM
from corpora.records import Answer

if TYPE_CHECKING:
    from assistant.chat.records import Turn

_NEAREST = 3
_QUOTE = 160  # characters of a quote below an answer
_STATES = ("refused", "failed", "stopped", "unsupported", "quoted", "writing")


class Reply(Static):
    """What answers a question; its `[n]` can be clicked."""

    @dataclass
    class Cited(Message):
        """A marker was clicked: `number` as it is shown."""

        reply: Reply
        number: int

    def action_cite(self, number: int) -> None:
        """A marker was clicked."""
        self.post_message(self.Cited(self, number))

    def action_nearest(self, rank: int) -> None:
        """A passage below a refusal was clicked."""
        self.post_message(self.Cited(self, rank))


class TurnView(Vertical):
    """A question and its answer. `turn` is the kept turn, None while it is being written."""

    DEFAULT_CLASSES: ClassVar[str] = "turn"

    def __init__(self, question: str, turn: Turn | None = None) -> None:
        super().__init__()
        self.question = question
        self.turn = turn
        self.searched = turn.searched if turn else question
        self._written = ""
        self._lines = 0

    def compose(self) -> ComposeResult:
        """The question over its answer."""
        yield Static(self._asked(), markup=False, classes="question")
        reply = Reply(markup=False, classes="reply")
        if self.turn is None:
            reply.add_class("-writing")
            reply.update(Content.styled("…", DIM))
        else:
            reply.update(reply_content(self.turn))
            reply.add_class(f"-{state_of(self.turn)}")
        yield reply

    @property
    def written(self) -> str:
        """What is shown of the answer so far."""
        answer = self.turn.answer if self.turn else None
        return (answer.answer or "") if answer else self._written

    def show_searched(self, searched: str) -> None:
        """What the question became before it was searched."""
        self.searched = searched
        self.query_one(".question", Static).update(self._asked())

    def write(self, pieces: str) -> None:
        """More of the answer; the layout is only done again where it grows by a line."""
        self._written += pieces
        reply = self.query_one(Reply)
        shown = words.text(self._written.lstrip())
        lines = shown.get_height({}, max(1, reply.content_size.width))
        reply.update(shown, layout=lines != self._lines)
        self._lines = lines

    def finish(self, turn: Turn) -> None:
        """The turn as it is kept takes the place of what was written."""
        self.turn = turn
        if turn.searched != self.searched:
            self.show_searched(turn.searched)
        self._say(reply_content(turn), state_of(turn))

    def fail(self, message: str, hint: str | None) -> None:
        """It came to nothing."""
        self._say(failure(message, hint), "failed")

    def _say(self, content: Content, state: str) -> None:
        reply = self.query_one(Reply)
        for name in _STATES:
            reply.set_class(name == state, f"-{name}")
        reply.update(content)

    def _asked(self) -> Content:
        asked = words.text(self.question, "bold")
        if self.searched.split() == self.question.split():
            return asked
        return words.joined([asked, words.line(f"searched: {self.searched}", f"italic {DIM}")], "\n")


def state_of(turn: Turn) -> str:
    """How a turn ended: one of the classes of a reply."""
    if turn.status == "error" or (turn.status == "pending" and turn.answer is None):
        return "failed" if turn.status == "error" else "stopped"
    if turn.status == "cancelled" or turn.answer is None:
        return "stopped"
    if turn.answer.refused:
        return "refused"
    if turn.answer.kind == "extractive":
        return "quoted"
    return "unsupported" if turn.answer.unsupported and turn.retrieval else "answered"


def reply_content(turn: Turn) -> Content:
    """A kept turn's answer with what is to be said of it; states differ in words, not in colour alone."""
    answer = turn.answer
    if turn.status == "error":
        message, _, hint = (turn.error or "It failed.").partition("\n")
        return failure(message, hint or None)
    if turn.status == "pending":
        return Content.styled("■ Not answered: the program ended first. /retry asks again.", DIM)
    parts: list[Content] = []
    if answer is not None:
        parts = _refusal(answer) if answer.refused else _answer(answer, turn.retrieval)
    if turn.status == "cancelled":
        parts.append(Content.styled("■ Stopped.", DIM))
    if answer is not None and turn.status == "done":
        parts.append(_footing(turn, answer))
    return words.joined(parts, "\n")


def failure(message: str, hint: str | None) -> Content:
    """What went wrong, and what to do about it."""
    parts = [words.text(f"✗ {message}")]
    if hint:
        parts.append(words.text(f"Try: {hint}", DIM))
    return words.joined(parts, "\n")


def sources_content(answer: Answer) -> list[Content]:
    """A line for each source of an answer: marker, place, quote."""
    lines = []
    for citation in sorted(answer.citations, key=lambda one: (one.marker, one.start)):
        marker = words.clickable(f"[{citation.marker}]", f"cite({citation.marker})", words.CITED)
        where = words.clickable(words.where(citation), f"cite({citation.marker})", "$text-secondary")
        quote = words.line(f"“{words.shortened(citation.quote, _QUOTE)}”", DIM)
        lines.append(Content.assemble(marker, " ", where, "  ", quote))
    return lines


def _answer(answer: Answer, retrieval: bool) -> list[Content]:
    parts: list[Content] = []
    if answer.kind == "extractive":
        parts.append(Content.styled("Quoted from your documents:", f"italic {DIM}"))
    parts.append(words.answer(answer.answer or "", (one.marker for one in answer.citations)))
    if answer.unsupported and retrieval:
        part = "Parts of this answer are" if answer.citations else "This answer is"
        parts.append(Content.styled(f"△ {part} not supported by your documents.", "$text-warning"))
    if not retrieval:
        parts.append(Content.styled("△ From the model alone, without your documents.", "$text-warning"))
    if answer.citations:
        parts += [Content(" "), *sources_content(answer)]
    return parts


def _refusal(answer: Answer) -> list[Content]:
    parts = [
        Content.styled("⊘ Not in your documents", "bold $text-warning"),
        words.text(answer.answer or ""),
    ]
    if answer.passages:
        parts.append(Content.styled("Nearest passages:", DIM))
    for hit in answer.passages[:_NEAREST]:
        parts.append(
            Content.assemble(
                "  ",
                words.clickable(words.where(hit.passage), f"nearest({hit.rank})", "$text-secondary"),
                "  ",
                words.line(hit.passage.text, DIM, 40),
            )
        )
    return parts


def _footing(turn: Turn, answer: Answer) -> Content:
    parts = [" + ".join(name for name in (answer.model, answer.adapter) if name)]
    left_out = answer.passages_left_out
    if left_out:
        parts.append(f"read {len(answer.passages) - left_out} of {len(answer.passages)} passages")
    if answer.dropped_citations:
        parts.append(f"{answer.dropped_citations} unproved markers removed")
    parts.append(f"{answer.seconds.total:.1f} s")
    if turn.rating is not None:
        parts.append({"good": "✓ good", "bad": "✗ bad"}[turn.rating])
    return words.line(" · ".join(part for part in parts if part), DIM)


def empty_content(root: str | None, documents: int, passages: int) -> Content:
    """What an empty conversation says: how to begin."""
    if root is None:
        return words.joined(
            [
                Content.styled("Ask your own documents.", "bold"),
                Content("There is no library here yet. Type"),
                Content.styled("  /ingest FOLDER", "bold $text-accent"),
                Content(
                    "and press Enter: what is in that folder is read, here, on this machine. Then ask;"
                    " answers name their sources, and say so when your documents hold none."
                ),
            ],
            "\n",
        )
    counted = f"{documents} document{'' if documents == 1 else 's'}, {passages} passages"
    return words.joined(
        [
            words.line(f"{counted} in {root}", "bold"),
            Content(
                "Ask a question. [n] opens a source, Ctrl+O lists them, Ctrl+R finds past conversations."
            ),
        ],
        "\n",
    )
