"""Several adapters on one base in memory, switched without loading anything again.

board = Switchboard(load_local("smollm2-135m", adapter=None, ...))
board.load("candidate", folder, serving)
with board.using("candidate"):
    ...                                   # board.model answers with it
board.use(None)                           # and now as the plain base
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.chat_models.adapters import attach_adapter
from assistant.chat_models.folding import Fold
from assistant.chat_models.local import LocalChatModel, LocalWeights
from corpora.errors import Conflict, UsageError
from finetune.adapters.config import CONFIG, read_config
from finetune.adapters.fitting import check_shapes
from finetune.adapters.weights import WEIGHTS, read_header
from index.cache_files import sha256_of

if TYPE_CHECKING:
    from assistant.chat_models.prefill import Layers
    from finetune.card import Serving


@dataclass(frozen=True, slots=True)
class _Loaded:
    """An adapter in memory: `key` is what peft calls it (None: virtual tokens, which are its `opening`)."""

    key: str | None
    fingerprint: str
    serving: Serving | None
    opening: Layers = ()


class Switchboard:
    """Adapters on the plain base of `model`, one of them in use at a time, or none.

    `model` is the same object throughout, and so are engines built on it. Not to be switched while it is
    answering in another thread.
    """

    def __init__(self, model: LocalChatModel) -> None:
        if model.adapter_name is not None:
            raise UsageError(f"{model.model_name} has an adapter on it already.")
        self.model = model
        self._base: LocalWeights = model.loaded
        self._adapters: dict[str, _Loaded] = {}
        self._peft: Any = None  # around the base, once a layer has an adapter
        self._fold = Fold()
        self._active: str | None = None
        self._tries = 0

    @property
    def active(self) -> str | None:
        """The adapter in use; None is the plain base."""
        return self._active

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters in memory, in the order of loading."""
        return tuple(self._adapters)

    def load(self, name: str, folder: Path, serving: Serving | None = None) -> None:
        """Bring the adapter in `folder` into memory as `name`, without using it.

        The folder has been checked and fits the base (`finetune.adapters.resolve`). Raises Conflict where it
        does not fit after all, UsageError for a name that is in memory.
        """
        if name in self._adapters:
            raise UsageError(f"{name} is in memory already.")
        config = read_config(folder)
        check_shapes(name, config, read_header(folder))  # before the layers of the base are touched
        fingerprint = f"{sha256_of(folder / WEIGHTS)} {sha256_of(folder / CONFIG)} {serving}"
        self._set_layers(None)
        try:
            if config.is_lora:
                self._tries += 1
                key = f"a{self._tries}"  # peft takes no dots in a name
                self._attach(key, folder)
                self._adapters[name] = _Loaded(key, fingerprint, serving)
            else:
                _, opening = attach_adapter(self._base.model, folder)
                self._adapters[name] = _Loaded(None, fingerprint, serving, opening)
        finally:
            self._put(self._active)

    def use(self, name: str | None) -> None:
        """Answer with the adapter `name` from now on; None: as the plain base."""
        if name is not None and name not in self._adapters:
            raise UsageError(f"{name} is not in memory.", hint=f"loaded: {', '.join(self.names) or 'none'}")
        if name != self._active:
            self._put(name)

    @contextmanager
    def using(self, name: str | None) -> Iterator[LocalChatModel]:
        """As `use`, until the block ends."""
        before = self._active
        self.use(name)
        try:
            yield self.model
        finally:
            self.use(before)

    def _put(self, name: str | None) -> None:
        loaded = self._adapters[name] if name is not None else None
        self._set_layers(loaded.key if loaded else None)
        self._active = name
        weights = self._base
        if self._peft is not None:
            weights = replace(weights, model=self._peft)
        if loaded is not None:
            both = hashlib.sha256(f"{weights.fingerprint} {loaded.fingerprint}".encode()).hexdigest()[:16]
            room = weights.context - (loaded.opening[0][0].shape[2] if loaded.opening else 0)
            weights = replace(
                weights, serving=loaded.serving, fingerprint=both, opening=loaded.opening, context=room
            )
        self.model.replace_weights(weights, name)

    def _set_layers(self, key: str | None) -> None:
        """Which adapter the layers of the base apply; None: none."""
        if self._peft is None:
            return
        self._fold.take()
        if key is not None:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(key, inference_mode=True)
        if key is None or self._fold.put(self._peft, key):
            self._peft.base_model.disable_adapter_layers()

    def _attach(self, key: str, folder: Path) -> None:
        from peft import PeftModel

        options: dict[str, Any] = {
            "adapter_name": key,
            "is_trainable": False,
            "local_files_only": True,
            "autocast_adapter_dtype": False,  # as attach_adapter has it
        }
        try:
            with warnings.catch_warnings():
                # peft asks transformers by a name that it has renamed
                warnings.simplefilter("ignore", FutureWarning)
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self._base.model, str(folder), **options)
                else:
                    self._peft.load_adapter(str(folder), **options)
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            if self._peft is not None and key in self._peft.peft_config:
                self._peft.delete_adapter(key)
            raise Conflict(
                f"The adapter in {folder} does not fit the model: {error}", code="wrong_base"
            ) from error
