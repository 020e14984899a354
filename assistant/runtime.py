"""What a command works with: the library, the settings and the encoder that the library was built with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.settings import Settings, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpora.store import Library
    from index.encoder import Encoder


@dataclass(frozen=True, slots=True)
class Runtime:
    """An open library with the settings that hold for it."""

    library: Library
    settings: Settings

    def encoder(self) -> Encoder:
        """The encoder that the library was built with.

        A library may come from anybody, so a hub id in it is taken from the local cache only; it is
        fetched when the person at the keyboard names the same encoder (flag, environment, own config).
        """
        from corpora.errors import NothingToDo
        from index.encoders import load_encoder

        name = self.library.manifest("encoder")
        if name is None:
            raise NothingToDo("The library holds no documents yet.", hint="assistant ingest FOLDER")
        named_by_user = self.settings.encoder == name and self.settings.chosen_by_user("encoder")
        embedded = "/" not in name
        return load_encoder(name, offline=self.settings.offline or not (embedded or named_by_user))


@contextmanager
def opened(library: Path | None, flags: Mapping[str, Any]) -> Iterator[Runtime]:
    """Open the library for reading with resolved settings; closes it afterwards."""
    from assistant.paths import require_library
    from corpora.store import Library

    folder = require_library(library)
    with Library.open(folder, named=library is not None) as opened_library:
        yield Runtime(opened_library, resolve(folder, flags))
