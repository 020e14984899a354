"""A conversation as a Markdown page, as lines of a terminal, and as the JSON of `sessions`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from assistant.answer.rows import answer_row
from assistant.answer.screen import place
from assistant.chat.records import Session, Turn
from assistant.terminal import clean, clean_line, shortened
from corpora.records import Answer

_LONGEST_NAME = 100  # characters; a name may be a whole question
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")


def session_row(session: Session) -> dict[str, Any]:
    """The object of `sessions list`."""
    return {
        "id": session.id,
        "name": session.name,
        "created": session.created,
        "updated": session.updated,
        "turns": session.turns,
        "parent": session.parent,
    }


def turn_row(turn: Turn) -> dict[str, Any]:
    """A turn as JSON; `answer` is the object of `ask`, null where there is none."""
    return {
        "id": turn.id,
        "question": turn.question,
        "searched": turn.searched,
        "status": turn.status,
        "error": turn.error,
        "rating": turn.rating,
        "created": turn.created,
        "model": turn.model,
        "adapter": turn.adapter,
        "retrieval": turn.retrieval,
        "answer": answer_row(turn.answer) if turn.answer else None,
    }


def session_object(session: Session, turns: Sequence[Turn]) -> dict[str, Any]:
    """The object of `sessions show`: `session_row` and `"conversation"`, a list of `turn_row`."""
    return {**session_row(session), "conversation": [turn_row(turn) for turn in turns]}


def session_json(session: Session, turns: Sequence[Turn]) -> str:
    """`session_object` as one compact line."""
    line = json.dumps(session_object(session, turns), ensure_ascii=False, separators=(",", ":"))
    return line.encode("utf-8", "replace").decode("utf-8") + "\n"


def session_line(session: Session) -> str:
    """Id, when it was last spoken in, how many turns, and the name."""
    when = session.updated[:16].replace("T", " ")
    name = shortened(session.name, _LONGEST_NAME) or "(no question yet)"
    return f"{session.id}  {when}  {session.turns:4}  {name}"


def session_lines(session: Session, turns: Sequence[Turn]) -> list[str]:
    """A conversation as the terminal shows it."""
    lines = [session_line(session)]
    for turn in turns:
        lines += ["", f"> {clean_line(turn.question)}", *turn_lines(turn)]
    return lines


def turn_lines(turn: Turn) -> list[str]:
    """What came of a question: the rewritten question, the answer, its sources."""
    lines = [f"  searched: {clean_line(turn.searched)}"] if turn.searched != turn.question else []
    if turn.status == "error":
        return [*lines, *(f"  failed: {clean_line(line)}" for line in (turn.error or "").splitlines())]
    if turn.answer is None:
        return [*lines, "  (cancelled)" if turn.status == "cancelled" else "  (not answered)"]
    lines += clean(turn.answer.answer or "").splitlines()
    if turn.status == "cancelled":
        lines.append("  (cancelled)")
    elif turn.answer.unsupported and turn.retrieval:
        lines.append("  (not fully supported by your documents)")
    for citation in sorted(turn.answer.citations, key=lambda one: (one.marker, one.start)):
        where = clean_line(place(citation.path, citation.page, citation.line_start))
        lines.append(f"  [{citation.marker}] {where}: {clean_line(citation.quote)}")
    return lines


def session_markdown(session: Session, turns: Sequence[Turn]) -> str:
    """A page to read and to keep: questions as headings, answers, sources with their quotes."""
    lines = [
        f"# {_inline(session.name or 'Conversation')}",
        "",
        f"{session.created[:16].replace('T', ' ')} UTC",
    ]
    for turn in turns:
        lines += ["", f"## {_inline(turn.question)}", ""]
        if turn.searched != turn.question:
            lines += [f"*Searched: {_inline(turn.searched)}*", ""]
        lines += _answer(turn)
    return "\n".join(lines) + "\n"


def _answer(turn: Turn) -> list[str]:
    if turn.status == "error":
        return [f"*Failed: {_inline(turn.error or '')}*"]
    if turn.answer is None:
        return ["*Not answered.*"]
    answer = turn.answer
    text = _paragraphs(answer.answer or "")
    lines = [f"*{line}*" if answer.refused and line else line for line in text]
    if turn.status == "cancelled":
        lines += ["", "*Cancelled.*"]
    elif answer.unsupported and turn.retrieval:
        lines += ["", "*Not fully supported by the documents.*"]
    said_by = " with ".join(_inline(name) for name in (answer.model, answer.adapter) if name)
    if said_by:
        lines += ["", f"— {said_by}" + ("" if turn.retrieval else ", without documents")]
    return [*lines, *_sources(answer)]


def _sources(answer: Answer) -> list[str]:
    lines: list[str] = []
    for citation in sorted(answer.citations, key=lambda one: (one.marker, one.start)):
        where = _inline(place(citation.path, citation.page, citation.line_start))
        lines += ["", f"\\[{citation.marker}\\] {where}", ""]
        lines += [f"> {_inline(line)}" for line in clean(citation.quote).splitlines() if line.strip()]
    return lines


def _paragraphs(text: str) -> list[str]:
    """An answer as it was shown; nothing in it becomes a heading, a link or HTML."""
    return [_inline(line) for line in clean(text).splitlines()]


def _inline(text: str) -> str:
    line = _MARKUP.sub(r"\\\1", clean_line(text))
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([-+=])", r"\\\1", line))
