"""`assistant adapters list|show|use|remove|merge`: what models have learned, and which of it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption
from assistant.paths import open_library

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from assistant.settings import Settings
    from corpora.store import Library
    from finetune.adapters.active import Choice

app = typer.Typer(help="What models have learned, and which of it answers.", no_args_is_help=True)

_NAME = Annotated[str, typer.Argument(metavar="NAME", help="As `adapters list` shows it.")]


@app.command("list")
def list_adapters(
    library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """The adapters of the library and of the program; * answers, - answered before."""
    from assistant.adapters import listed
    from assistant.adapters_page import table
    from assistant.output import emit_json, emit_text
    from assistant.runtime import opened
    from assistant.terminal import say

    with opened(library, {}) as runtime:
        found = listed(runtime.library)
    if json:
        for one in found:
            emit_json(one.row())
    elif found:
        for line in table(found):
            emit_text(line)
    else:
        say("No adapters yet; assistant tune makes one.")


@app.command("show")
def show_adapter(
    name: _NAME, library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """The card of an adapter: what it learned from, how it was trained, how it was judged."""
    from assistant.adapters import look
    from assistant.adapters_page import page
    from assistant.output import emit_json, emit_text
    from assistant.runtime import opened
    from finetune.adapters.store import find

    with opened(library, {}) as runtime:
        found = look(find(name, runtime.library), runtime.library, deep=True)
    if json:
        card = found.state.card
        emit_json({**found.row(), "card": card.as_json() if card else None})
    else:
        for line in page(found):
            emit_text(line)


@app.command("use")
def use_adapter(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|none", help="Answer with it; none is the plain base.")
    ] = None,
    previous: Annotated[bool, typer.Option("--previous", help="Back to what was in use before.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="M", help="The base, for none and --previous.")
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Let an adapter answer from now on, or go back to what was in use before."""
    from assistant.paths import require_library
    from assistant.settings import resolve
    from corpora.errors import UsageError
    from corpora.store import Library
    from finetune.adapters.active import NONE, choice_for, choose, roll_back
    from finetune.base_identity import base_name

    if (name is None) != previous:
        raise UsageError("Name an adapter, or none, or --previous.", hint="assistant adapters list")
    if model is not None and not previous and name != NONE:
        raise UsageError("--model goes with none and --previous; an adapter knows its base.")
    folder = require_library(library)
    settings = resolve(folder)
    with Library.open(folder, writable=True, named=library is not None) as opened_library:
        plain = name is None or name == NONE
        base = base_name(model or settings.model) if plain else _checked(str(name), opened_library)
        before = choice_for(opened_library, base)
        now = roll_back(opened_library, base) if previous else choose(opened_library, base, name)
        _tell_use(opened_library, base, before, now, settings, json)


@app.command("remove")
def remove_adapter(
    name: _NAME, library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """Delete an adapter; where it was in use, the one before it is in use again."""
    from assistant.adapters import meant
    from assistant.output import emit_json, emit_text
    from assistant.terminal import clean_line, say
    from finetune.adapters.active import choice_for
    from finetune.adapters.store import remove

    with open_library(library, writable=True) as opened_library:
        lost = remove(opened_library, name, on_wait=say)
        now = {base: meant(choice_for(opened_library, base).name, base) for base in lost}
    if json:
        emit_json({"removed": name, "answers_now": now})
        return
    emit_text(f"removed {name}")
    for base, adapter in now.items():
        emit_text(f"it was in use: {clean_line(_answers(base, adapter))}")


@app.command("merge")
def merge_adapters(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the new adapter is called.")],
    parts: Annotated[list[str], typer.Argument(metavar="A=WEIGHT B=WEIGHT …", help="Adapters of one base.")],
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Make a new adapter that is the weighted sum of others. It is not put to use by itself."""
    from assistant.adapters import look
    from assistant.output import emit_json, emit_text
    from finetune.adapters.merge import merge

    weights = _weights(parts)
    with open_library(library, writable=True) as opened_library:
        made = look(merge(opened_library, name, weights), opened_library)
    if json:
        emit_json(made.row())
        return
    emit_text(f"{name} is {' + '.join(f'{weight:g} x {part}' for part, weight in weights.items())}")
    emit_text(f"not judged yet: assistant eval FILE.jsonl --adapter {name}")
    emit_text(f"put it to use:  assistant adapters use {name}")


def _checked(name: str, library: Library) -> str:
    """The base of the adapter `name`, which is whole and fits that base as far as it is on this machine."""
    from assistant.adapters import folder_of_base
    from assistant.terminal import clean_line, say
    from corpora.errors import UsageError
    from finetune.adapters.fitting import check_adapter, check_prompt
    from finetune.adapters.resolve import checked
    from finetune.adapters.stale import stale_documents
    from finetune.adapters.store import find
    from finetune.base_identity import identity_of

    adapter = find(name, library)
    card = check_adapter(adapter.folder)
    if card.purpose != "answer":
        raise UsageError(f"{name} writes {card.purpose}s and answers none.", hint="assistant adapters list")
    base_folder = folder_of_base(card.base.name)
    if base_folder is None:
        check_prompt(card)
        say(f"note: {card.base.name} is not on this machine; whether {name} fits is seen when it is loaded.")
    else:
        identity = identity_of(card.base.name, base_folder, expected=card.template_sha256)
        checked(adapter, identity, base_folder, "named")
    stale = stale_documents(card, library)
    if stale:
        say(f"note: {len(stale)} of the documents that {name} learned from have changed or are gone.")
    if card.verdict is None or not card.verdict.promoted:
        reason = card.verdict.reason if card.verdict else "no gate has judged it"
        say(clean_line(f"note: {name} was not promoted: {reason}"))
    return card.base.name


def _tell_use(
    library: Library, base: str, before: Choice, now: Choice, settings: Settings, json: bool
) -> None:
    from assistant.adapters import meant
    from assistant.output import emit_json, emit_text
    from assistant.terminal import clean_line, say
    from finetune.base_identity import base_name

    adapter, earlier = meant(now.name, base), meant(before.name, base)
    if json:
        emit_json({"base": base, "adapter": adapter, "previous": earlier, "changed": before.name != now.name})
    else:
        emit_text(clean_line(f"{_answers(base, adapter)} (before: {earlier or 'the plain base'})"))
    if settings.adapter is not None:
        say(f"note: {settings.adapter}, which the {settings.origins['adapter']} names, goes before it.")
    if base != base_name(settings.model):
        say(f"note: the model that answers here is {settings.model}, not {base}.")


def _answers(base: str, adapter: str | None) -> str:
    return f"{base} answers with {adapter}" if adapter else f"{base} answers without an adapter"


def _weights(parts: Sequence[str]) -> Mapping[str, float]:
    from corpora.errors import UsageError

    weights: dict[str, float] = {}
    for part in parts:
        name, separator, text = part.partition("=")
        try:
            weight = float(text)
        except ValueError:
            separator = ""
        if not separator or name in weights:
            raise UsageError(
                f"{part}: one ADAPTER=WEIGHT for each adapter.",
                hint="assistant adapters merge NAME A=0.5 B=0.5",
            )
        weights[name] = weight
    return weights
