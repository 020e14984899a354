"""Which adapter goes on a base: the one that is named, else the library's, the shipped one, or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from corpora.errors import AssistantError, Conflict
from corpora.store import Library
from finetune.adapters.active import NONE, choice_for
from finetune.adapters.config import read_config
from finetune.adapters.fitting import check_fits, check_shapes, check_shapes_on
from finetune.adapters.store import Adapter, find, shipped
from finetune.adapters.weights import check_weights
from finetune.base_identity import BaseIdentity, base_name
from finetune.card import Card

Origin = Literal["named", "library", "shipped"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """An adapter that fits, every file of it checked; `origin` is why it is this one."""

    name: str
    folder: Path
    card: Card
    origin: Origin


def resolve(
    named: str | None,
    library: Library | None,
    base: BaseIdentity,
    base_folder: Path,
    say: Callable[[str], None],
) -> Resolved | None:
    """The adapter for the model in `base_folder`; None is the plain base.

    `named` is what flag, environment or the user's own config say: what does not fit is an error there
    (Missing, Conflict). One that the library has chosen is passed over with a word to `say`, and so is a
    shipped one. Loads no weights into memory.
    """
    if named == NONE:
        return None
    if named is not None:
        return checked(find(named, library), base, base_folder, "named")
    chosen = choice_for(library, base.name).name if library else None
    if chosen == NONE:
        return None
    if library is not None and chosen is not None:
        try:
            return checked(find(chosen, library), base, base_folder, "library")
        except AssistantError as error:
            say(f"note: {error.message} Answering without it.")
    for adapter in shipped_for(base.name):
        try:
            return checked(adapter, base, base_folder, "shipped")
        except AssistantError as error:
            say(f"note: {error.message} Answering without it.")
    return None


def shipped_for(base: str) -> list[Adapter]:
    """The shipped adapters that answer on the base called so (one, or none); damaged ones left out."""
    name = base_name(base)
    found = []
    for adapter in shipped():
        with suppress(Conflict):
            card = Card.read(adapter.folder)
            if card.purpose == "answer" and card.base.name == name:
                found.append(adapter)
    return found


def checked(adapter: Adapter, base: BaseIdentity, base_folder: Path, origin: Origin) -> Resolved:
    """`adapter`, if it is whole and fits. Raises Conflict."""
    card = Card.read(adapter.folder)
    check_fits(card, base)
    tensors = check_weights(adapter.folder, card.weights_sha256)
    check_shapes(adapter.name, read_config(adapter.folder), tensors)
    check_shapes_on(adapter.name, base_folder, tensors)
    return Resolved(adapter.name, adapter.folder, card, origin)
