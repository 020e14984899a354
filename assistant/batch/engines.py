"""The answer engines of a run: that of the settings, and one for each adapter that a row names."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from assistant.answer.build import ChosenModel, build_engine
from corpora.errors import UsageError
from finetune.adapters.active import NONE
from finetune.chat_teacher import teacher_fingerprint

if TYPE_CHECKING:
    from assistant.answer.engine import AnswerEngine, ModelSource
    from assistant.runtime import Runtime

_PARAMETERS_AT_ONCE = 1_000_000_000  # of models with adapters of rows, beside that of the settings


class EngineSource(Protocol):
    """Engines for rows; `plain` and its `model` for those that name no adapter."""

    model: ModelSource
    plain: AnswerEngine

    def engine(self, adapter: str | None) -> AnswerEngine:
        """The engine for rows that name `adapter`; errors are those rows' own."""

    def fingerprint(self, adapter: str | None) -> str:
        """Changes whenever what is written could (hex); "" where nothing is."""


class Engines:
    """Engines by the adapter that a row names; models are loaded when they are needed, small ones kept.

    Without `writes` no model is loaded: the engine can only quote.
    """

    def __init__(self, runtime: Runtime, *, writes: bool) -> None:
        self._runtime = runtime
        self._default = ChosenModel(runtime)
        self.model: ModelSource = self._default
        self.plain = build_engine(runtime, self._default)
        self._writes = writes
        self._others: OrderedDict[str, ChosenModel] = OrderedDict()
        self._fingerprints: dict[str, str] = {}

    def engine(self, adapter: str | None) -> AnswerEngine:
        """The engine for rows that name `adapter`; None: that of the settings.

        Raises Missing, Conflict, UsageError where the adapter cannot be had.
        """
        model = self._model(adapter)
        return self.plain if model is self._default else self.plain.with_model(model, model.passages)

    def fingerprint(self, adapter: str | None) -> str:
        """Changes whenever what is written could (hex); "" where nothing is. Raises as `engine`."""
        if not self._writes:
            return ""
        key = adapter or ""
        if key not in self._fingerprints:
            self._fingerprints[key] = teacher_fingerprint(self._model(adapter).chat)
        return self._fingerprints[key]

    def _model(self, adapter: str | None) -> ChosenModel:
        from assistant.chat_models import is_remote

        if adapter is None or not self._writes or adapter == (self._default.adapter or NONE):
            return self._default
        if is_remote(self._default.name, self._runtime.settings.base_url):
            raise UsageError("A remote model takes no adapter.")
        if adapter in self._others:
            self._others.move_to_end(adapter)
            return self._others[adapter]
        settings = replace(self._runtime.settings, adapter=adapter)
        while self._others and self._held() + _size(self._default) > _PARAMETERS_AT_ONCE:
            self._others.popitem(last=False)
        made = ChosenModel(replace(self._runtime, settings=settings))
        _ = made.chat  # fails here, before it is kept
        self._others[adapter] = made
        return made

    def _held(self) -> int:
        return sum(_size(model) for model in self._others.values())


def _size(model: ChosenModel) -> int:
    """Parameters."""
    loaded = getattr(model.chat, "loaded", None)
    return int(loaded.model.num_parameters()) if loaded is not None else 0
