"""`assistant status`: what the library holds."""

from __future__ import annotations

from typing import Any

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption


def status(library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False) -> None:
    """What is here: documents, passages, encoder, skipped and stale files."""
    from assistant.output import emit_json
    from assistant.runtime import opened
    from assistant.state import library_state

    with opened(library, {"offline": offline or None}) as runtime:
        state = library_state(runtime.library, runtime.settings)
    if json:
        emit_json(state)
    else:
        _show(state)


def _show(state: dict[str, Any]) -> None:
    from assistant.output import emit_text
    from assistant.state import human_size
    from assistant.terminal import clean_line

    types = ", ".join(f"{count} {kind}" for kind, count in state["types"].items())
    emit_text(f"library    {state['library']} ({human_size(state['bytes'])})")
    emit_text(f"documents  {state['documents']}{f' ({types})' if types else ''}")
    emit_text(f"passages   {state['passages']}")
    emit_text(f"encoder    {state['encoder'] or '-'}")
    emit_text(f"model      {state['model']}{' with ' + state['adapter'] if state['adapter'] else ''}")
    if state["adapter_problem"]:
        emit_text(f"adapter    {state['adapter_standing']}: {clean_line(state['adapter_problem'])}")
    for item in state["stale"]:
        emit_text(f"stale      {item['path']}: {item['reason']}")
    for item in state["skipped"]:
        emit_text(f"skipped    {item['path']}: {item['reason']} ({item['code']})")
