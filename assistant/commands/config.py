"""`assistant config show|path`: what is set, and by whom."""

from __future__ import annotations

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption

app = typer.Typer(help="Show settings and where they come from.", no_args_is_help=True)


@app.command()
def show(library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False) -> None:
    """Every setting, its value and its origin."""
    from assistant.output import emit_json, emit_text
    from assistant.paths import find_library
    from assistant.settings import KEYS, resolve

    folder = find_library(library)
    settings = resolve(folder, {"offline": offline or None})
    if json:
        values = {name: {"value": getattr(settings, name), "origin": settings.origins[name]} for name in KEYS}
        emit_json({"library": str(folder) if folder else None, "settings": values})
        return
    for name, key in KEYS.items():
        value = getattr(settings, name)
        shown = "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        emit_text(f"{name:<14} {shown:<22} {settings.origins[name]:<15} {key.help}")


@app.command()
def path(library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False) -> None:
    """The config files that are read: the user's, then the library's."""
    from assistant.output import emit_json, emit_text
    from assistant.paths import config_file, find_library

    folder = find_library(library)
    user, of_library = str(config_file()), str(folder / "config.toml") if folder else None
    if json:
        emit_json({"user": user, "library": of_library})
        return
    emit_text(user)
    if of_library:
        emit_text(of_library)
