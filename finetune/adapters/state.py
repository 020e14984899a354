"""How an adapter stands: whole, damaged, unfit for its base, or stale. For lists, `status` and `doctor`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from corpora.errors import AssistantError, Conflict
from corpora.store import Library
from finetune.adapters.config import read_config
from finetune.adapters.fitting import check_prompt, check_shapes, check_shapes_on
from finetune.adapters.stale import StaleDocument, stale_documents
from finetune.adapters.store import Adapter
from finetune.adapters.weights import check_weights, read_header
from finetune.base_identity import base_fingerprint
from finetune.card import Card

Standing = Literal["ok", "stale", "unfit", "damaged"]
_UNFIT = frozenset({"wrong_base", "wrong_template", "wrong_prompt", "model_unusable"})


@dataclass(frozen=True, slots=True)
class AdapterState:
    """An adapter that was looked at. `card` is None where it cannot be read; `problem` where all is well.

    A stale adapter answers; one that is damaged or unfit does not. `bytes` is its size on disk.
    """

    adapter: Adapter
    card: Card | None
    standing: Standing
    problem: str | None
    stale: tuple[StaleDocument, ...]
    bytes: int

    @property
    def usable(self) -> bool:
        """Whether it may answer."""
        return self.standing in ("ok", "stale")


def state_of(
    adapter: Adapter,
    library: Library | None,
    folder_of_base: Callable[[str], Path | None],
    *,
    deep: bool = False,
) -> AdapterState:
    """Look at `adapter`: card, config and the header of the weights; every byte of them if `deep`.

    `folder_of_base` tells where the model is that the card names (None: not on this machine). Its template is
    looked at only when it is loaded. Raises nothing for what it finds.
    """
    card: Card | None = None
    problem: str | None = None
    standing: Standing = "ok"
    stale: tuple[StaleDocument, ...] = ()
    try:
        card = Card.read(adapter.folder)
        stale = stale_documents(card, library) if library else ()
        sha256 = card.weights_sha256
        tensors = check_weights(adapter.folder, sha256) if deep else read_header(adapter.folder)
        check_shapes(adapter.name, read_config(adapter.folder), tensors)
        check_prompt(card)
        base_folder = folder_of_base(card.base.name)
        if base_folder is not None:
            if base_fingerprint(base_folder) != card.base.fingerprint:
                message = f"{card.base.name} has other weights than {adapter.name} was trained on."
                raise Conflict(message, code="wrong_base")
            check_shapes_on(adapter.name, base_folder, tensors)
    except AssistantError as error:
        problem = error.message
        standing = "unfit" if error.code in _UNFIT else "damaged"
    if problem is None and stale:
        standing, problem = "stale", _told(stale)
    return AdapterState(adapter, card, standing, problem, stale, _size(adapter.folder))


def _told(stale: tuple[StaleDocument, ...]) -> str:
    changed = sum(document.reason == "changed" for document in stale)
    parts = [f"{n} {word}" for n, word in ((changed, "changed"), (len(stale) - changed, "gone")) if n]
    return f"Of the documents that it learned from, {' and '.join(parts)}."


def _size(folder: Path) -> int:
    try:
        return sum(path.lstat().st_size for path in folder.iterdir())
    except OSError:
        return 0
