"""Documents read into the library from inside the chat, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.paths import find_library, library_to_create
from assistant.settings import Settings, resolve

if TYPE_CHECKING:
    from index.encoder import Encoder
    from index.ingest import IngestReport

Tell = Callable[..., None]


class Reading:
    """An ingest as `assistant ingest` does it."""

    def __init__(self, setup: Mapping[str, Any], tell: Tell, stop: Callable[[], bool]) -> None:
        self._named = None if setup["library"] is None else Path(setup["library"])
        self._flags = {"offline": setup["flags"].get("offline")}
        self._tell, self._stop = tell, stop
        self._what, self._done, self._total = "", 0, 0

    def read(self, paths: Sequence[Path]) -> IngestReport:
        """Bring the library in step with `paths`; makes it where there is none. Raises NothingToDo."""
        from corpora.store import Library
        from index.ingest import ingest, require_input
        from index.sync_options import Hooks, IngestOptions

        folder = library_to_create(self._named)
        settings = resolve(folder, self._flags)
        if find_library(self._named) is None:
            require_input(paths, folder)
        with Library.create(folder, named=self._named is not None) as library:
            options = IngestOptions(
                choose=self.choose_encoder,
                load=lambda name: self.load_encoder(name, settings),
                encoder=settings.encoder if library.manifest("encoder") is None else None,
                chunk_tokens=settings.chunk_tokens,
                chunk_overlap=settings.chunk_overlap,
            )
            hooks = Hooks(progress=self, stop=self._stop, say=lambda line: self._tell("say", text=line))
            return ingest(library, list(paths), options, hooks)

    def choose_encoder(self, sample: Iterable[str]) -> str:
        """The encoder of a new library, from samples of its text."""
        from index.encoders import choose_encoder

        return choose_encoder(sample)

    def load_encoder(self, name: str, settings: Settings) -> Encoder:
        """The encoder called `name`."""
        from index.encoders import load_encoder

        named = settings.encoder == name and settings.chosen_by_user("encoder")
        offline = settings.offline or not ("/" not in name or named)
        return load_encoder(name, offline=offline, progress=self._report)

    def start(self, what: str, total: int) -> None:
        """A stage begins (`index.sync_options.Progress`)."""
        self._what, self._done, self._total = what, 0, total
        self._report(what, 0, total)

    def advance(self, documents: int, note: str) -> None:
        """So many more are done."""
        self._done += documents
        self._tell("stage", what=self._what, done=self._done, total=self._total, note=note)

    def _report(self, what: str, done: int, total: int) -> None:
        self._tell("stage", what=what, done=done, total=total)
