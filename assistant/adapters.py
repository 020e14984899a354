"""How the adapters of a library stand: for `adapters`, `status` and `doctor`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import AssistantError
from finetune.adapters.active import NONE, choice_for
from finetune.adapters.config import CONFIG
from finetune.adapters.resolve import shipped_for
from finetune.adapters.state import AdapterState, state_of
from finetune.adapters.store import Adapter, find, in_library, shipped
from finetune.card import is_adapter_name

if TYPE_CHECKING:
    from corpora.store import Library


@dataclass(frozen=True, slots=True)
class Listed:
    """An adapter as it stands in a library; `previous` is what `adapters use --previous` would choose."""

    state: AdapterState
    active: bool
    previous: bool

    @property
    def name(self) -> str:
        """What it is called."""
        return self.state.adapter.name

    def row(self) -> dict[str, Any]:
        """The object of the contract."""
        state, card = self.state, self.state.card
        return {
            "name": self.name,
            "active": self.active,
            "previous": self.previous,
            "shipped": state.adapter.shipped,
            "base": card.base.name if card else None,
            "purpose": card.purpose if card else None,
            "method": card.method if card else None,
            "created": card.created if card else None,
            "promoted": card.verdict.promoted if card and card.verdict else None,
            "standing": state.standing,
            "problem": state.problem,
            "stale": [asdict(document) for document in state.stale],
            "bytes": state.bytes,
            "path": str(state.adapter.folder),
        }


@dataclass(frozen=True, slots=True)
class Answering:
    """The adapter that would answer on a base, by name (None: the plain base).

    `state` is None where it was not looked at: there is none of that name, as `problem` says, or it is a
    folder of its own.
    """

    name: str | None
    problem: str | None = None
    state: AdapterState | None = None

    @property
    def standing(self) -> str | None:
        """As of its state; "missing" where there is none of that name, None where it was not looked at."""
        if self.state is not None:
            return self.state.standing
        return "missing" if self.problem else None


def listed(library: Library, *, deep: bool = False) -> list[Listed]:
    """All adapters of the library, then the shipped ones, each looked at; all of its bytes if `deep`."""
    return [look(adapter, library, deep=deep) for adapter in (*in_library(library), *shipped())]


def look(adapter: Adapter, library: Library, *, deep: bool = False) -> Listed:
    """One adapter, looked at."""
    state = state_of(adapter, library, folder_of_base, deep=deep)
    if state.card is None:
        return Listed(state, active=False, previous=False)
    base = state.card.base.name
    choice = choice_for(library, base)
    previous = choice.changed and meant(choice.previous, base) == adapter.name
    return Listed(state, meant(choice.name, base) == adapter.name, previous)


def meant(chosen: str | None, base: str) -> str | None:
    """The adapter that a choice for `base` means: None where it is the plain base."""
    if chosen is None:
        return next((adapter.name for adapter in shipped_for(base)), None)
    return None if chosen == NONE else chosen


def answering(base: str, named: str | None, library: Library, *, deep: bool = False) -> Answering:
    """What would answer on `base`; `named` is what flag, environment or the user's own config say."""
    name = meant(choice_for(library, base).name if named is None else named, base)
    if name is None:
        return Answering(None)
    try:
        if not is_adapter_name(name):
            return _in_folder(name)
        adapter = find(name, library)
    except AssistantError as error:
        return Answering(name, error.message)
    state = state_of(adapter, library, lambda _: folder_of_base(base), deep=deep)
    return Answering(name, state.problem, state)


def _in_folder(name: str) -> Answering:
    """An adapter that is named by its folder; it may have no card, and is looked at when it is loaded."""
    there = (Path(name).expanduser() / CONFIG).is_file()
    return Answering(name, None if there else f"There is no adapter in {name}.")


def folder_of_base(name: str) -> Path | None:
    """The folder of a base model if it is on this machine."""
    from index.weights import model_folder

    try:
        return model_folder(name, offline=True)
    except AssistantError:
        return None
