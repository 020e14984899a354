"""`tune --inspect`: rows as the model sees them, what of them is trained on, what the preflight finds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from assistant.output import emit_json, emit_text
from assistant.terminal import clean, clean_line, colour, say
from assistant.tuning.base import check_names, chosen_base, passages_of, settings_from
from assistant.tuning.choices import Device, Wish
from assistant.tuning.lessons import open_lesson, passed
from assistant.tuning.rows import Builder
from finetune.tuning.inspect import ShownRow, findings, shown_rows

if TYPE_CHECKING:
    from assistant.runtime import Runtime

_SHOWN = 6
_GREEN = "32"


def inspect(runtime: Runtime, wish: Wish, *, as_json: bool) -> None:
    """Show some rows of each kind; no weights are loaded. Raises as the preflight does."""
    check_names(wish, runtime)
    lesson = open_lesson(runtime, wish)
    device = Device.here()
    base = chosen_base(runtime.settings, device)
    seed = settings_from(wish, device, base).seed
    builder = Builder.of(runtime, base.chat, base.longest_row(wish), seed)
    passages = wish.passages or passages_of(runtime, base)
    data, preflight = passed(lesson.rows(builder, passages, 1.0), builder)
    rows = shown_rows(preflight.kept, base.chat, _SHOWN)
    if as_json:
        emit_json(
            {
                "model": base.choice.value,
                "rows": len(preflight.kept),
                "validation_rows": len(data.validation),
                "kinds": dict(preflight.kinds),
                "tokens": preflight.tokens,
                "trained_tokens": preflight.trained,
                "too_long": preflight.too_long,
                "longest": [{"id": name, "tokens": tokens} for name, tokens in preflight.longest],
                "left_out": dict(data.left_out),
                "shown": [row.row() for row in rows],
            }
        )
        return
    for row in rows:
        _show(row)
    for line in findings(preflight):
        emit_text(line)
    emit_text(f"{len(data.validation)} rows to validate")
    if data.left_out:
        emit_text("no rows of: " + ", ".join(f"{count} {why}" for why, count in data.left_out.items()))
    say(f"For {base.choice.value}, {passages} passages a row; a budget may make rows fewer and shorter.")


def _show(row: ShownRow) -> None:
    emit_text(
        f"--- {clean_line(row.id)} ({clean_line(row.kind)}): {row.tokens} tokens, {row.trained} trained on"
    )
    write = sys.stdout.buffer.write
    for text, trained in row.runs:
        write(_marked(text, trained).encode("utf-8", "replace"))
    write(b"\n")
    sys.stdout.buffer.flush()


def _marked(text: str, trained: bool) -> str:
    """What is trained on in green, or between brackets where there are no colours."""
    safe = clean(text)
    if not trained:
        return safe
    return f"\x1b[{_GREEN}m{safe}\x1b[0m" if colour(sys.stdout) else f"⟦{safe}⟧"
