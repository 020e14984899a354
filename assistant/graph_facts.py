"""A user's graph as a document of the library: sentences that can be found and cited."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.commands.ingest import EncoderLoader
from corpora.store import ExampleStore, Library

if TYPE_CHECKING:
    from assistant.settings import Settings
    from index.sync_options import Hooks


def ingest_facts(library: Library, graph: Path, text: str, settings: Settings, hooks: Hooks) -> None:
    """Write the facts of `graph` into the library's folder and ingest them, for training.

    Rows of ids and figures would bring back no question. Raises KeyboardInterrupt where the user asks to
    stop: a graph that is half there would seem to hold few facts.
    """
    from index.encoders import choose_encoder
    from index.ingest import ingest
    from index.sync_options import IngestOptions

    folder = library.folder / "graphs"
    folder.mkdir(mode=0o700, exist_ok=True)
    where = hashlib.sha256(os.fsencode(graph.resolve())).hexdigest()[:6]  # two graphs may have one name
    file = folder / f"{graph.resolve().stem}-{where}.md"
    partial = file.with_suffix(".partial")
    partial.write_text(text, "utf-8")
    partial.replace(file)
    hooks.say(f"the facts of {graph} are ingested as {file}")
    options = IngestOptions(choose=choose_encoder, load=EncoderLoader(settings))
    if ingest(library, [file], options, hooks).stopped:
        raise KeyboardInterrupt
    made = library.document(file.relative_to(library.root).as_posix())
    if made is not None:
        with library.write() as writer:
            ExampleStore(library).set_splits(writer, {made.id: "train"})
