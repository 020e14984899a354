"""What came of `tune`, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.output import emit_json, emit_text
from assistant.terminal import clean_line, say

if TYPE_CHECKING:
    from assistant.tuning.flow import Tuned
    from assistant.tuning.runs import Run
    from finetune.card import Card


def show(done: Tuned, *, as_json: bool) -> None:
    """The card under --json, else the gate's table; then whether the adapter answers from now on."""
    card = done.card
    if card is None or card.verdict is None:
        raise ValueError("a run that was stopped has nothing to show")
    if as_json:
        emit_json(card.as_json())
    else:
        for line in card.verdict.table:
            emit_text(line)
    for line in _outcome(card, done):
        (say if as_json else emit_text)(line)


def stopped_line(run: Run | None) -> str:
    """How a stopped run goes on."""
    if run is None:
        return "Stopped before the first step: nothing was begun."
    return f"Stopped; what was trained is saved. Resume: assistant tune --resume --name {run.plan.name}"


def _outcome(card: Card, done: Tuned) -> list[str]:
    verdict = card.verdict
    lines = [] if verdict is None or verdict.gate else [f"{card.name}: {verdict.reason}"]
    if verdict is not None and verdict.gate and not verdict.promoted:
        lines.append(f"{card.name} is kept and not put to use: {verdict.reason}.")
    base = clean_line(card.base.name)
    if done.active:
        lines.append(
            f"{card.name} answers on {base} from now on; assistant adapters use --previous goes back."
        )
        if done.outranked:
            lines.append(f"But {done.outranked}: that goes first.")
    elif not done.whole_model:
        lines.append(f"Try it: assistant ask QUESTION --model {base} --adapter {card.name}")
    if done.whole_model:
        lines.append(
            f"The whole tuned model is in {clean_line(str(done.folder))}; --model takes that folder."
        )
    return lines
