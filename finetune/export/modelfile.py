"""A Modelfile for Ollama: the same rendering, the same end, nothing that makes answers vary."""

from __future__ import annotations

import json
from collections.abc import Sequence

from finetune.export.turns import START, Turns

_QUOTES = '"""'
_CONTEXT = 8192  # as much as this program gives a model


def modelfile(
    gguf: str, turns: Turns | None, *, system: str, stops: Sequence[str], context: int, start: str
) -> str | None:
    """The text of a Modelfile for the file `gguf`; None where the template cannot be written for Ollama.

    `stops` end an answer; `start` is what the tokenizer puts before a text by itself, and the template
    therefore does not ("" if it does not).
    """
    template = _go_template(turns, start) if turns is not None else _QUOTES
    if any(_QUOTES in text for text in (template, system, *stops)):
        return None
    lines = [
        f"FROM ./{gguf}",
        f"TEMPLATE {_QUOTES}{template}{_QUOTES}",
        f"SYSTEM {_QUOTES}{system}{_QUOTES}",
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_ctx {min(context, _CONTEXT)}",
        *(f"PARAMETER stop {_QUOTES}{stop}{_QUOTES}" for stop in stops),  # no escapes are known there
    ]
    return "\n".join(lines) + "\n"


def _go_template(turns: Turns, start: str) -> str:
    """On one line, all text in literals: nothing depends on how a parser treats white space."""
    roles = list(dict.fromkeys(role for _, role in turns.before))
    branches = []
    for number, role in enumerate(roles):
        openings = {before: text for (before, to), text in turns.before.items() if to == role}
        word = "else if" if number else "if"
        branches.append(f'{{{{ {word} eq .Role "{role}" }}}}{_opening(openings, start)}{{{{ .Content }}}}')
    body = "".join(branches)
    return (
        '{{ $before := "" }}{{ range .Messages }}' + body + "{{ end }}{{ $before = .Role }}{{ end }}"
        f"{_literal(turns.end)}"
    )


def _opening(openings: dict[str, str], start: str) -> str:
    parts = []
    for number, (before, text) in enumerate(openings.items()):
        shown = text.removeprefix(start) if before == START else text
        parts.append(f'{{{{ {"else if" if number else "if"} eq $before "{before}" }}}}{_literal(shown)}')
    return "".join(parts) + "{{ end }}"


def _literal(text: str) -> str:
    """A Go string; JSON's escapes are Go's too, but for the surrogate pairs of ASCII."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""
