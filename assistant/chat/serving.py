"""The language model that answers in a chat, switched between models and adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from assistant.answer.build import MAX_NEW_TOKENS, ChosenModel
from assistant.chat_models import is_remote, load_chat_model
from assistant.runtime import Runtime

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.chat_models.adapters import Fitting
    from assistant.chat_models.switching import Switchboard
    from assistant.settings import Origin


class ServedModel(ChosenModel):
    """A model whose name and adapter may change between two questions; one base is in memory at a time."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._flags = runtime.settings
        self._board: Switchboard | None = None  # a local model with its adapters
        self._remote: tuple[str, BaseChatModel] | None = None
        self._fitting: tuple[str | None, Fitting | None] | None = None

    def choose(self, model: str | None, adapter: str | None) -> None:
        """Answer with this from now on; None is what flags and settings say. Loads nothing."""
        from index.weights import CATALOGUE

        settings = self._flags
        changed: dict[str, str] = {
            name: value for name, value in (("model", model), ("adapter", adapter)) if value is not None
        }
        origins: Mapping[str, Origin] = {**settings.origins, **dict.fromkeys(changed, "flag")}
        chosen = replace(
            settings,
            model=model or settings.model,
            adapter=adapter if adapter is not None or model is not None else settings.adapter,
            base_url=None if model in CATALOGUE else settings.base_url,
            origins=origins,
        )
        if chosen.model != self.name:
            self._board = self._remote = None
        self._fitting = None
        self.name = chosen.model
        self._runtime = Runtime(self._runtime.library, chosen)

    @property
    def local(self) -> bool:
        """Whether it runs on this machine."""
        return not is_remote(self.name, self._runtime.settings.base_url)

    @property
    def chat(self) -> BaseChatModel:
        """The model with its adapter; the first use loads it. Raises Missing, Conflict."""
        return self._switched() if self.local else self._elsewhere()

    def _elsewhere(self) -> BaseChatModel:
        if self._remote is None or self._remote[0] != self.name:
            settings = self._runtime.settings
            model = load_chat_model(
                self.name,
                adapter=settings.adapter,
                offline=settings.offline,
                base_url=settings.base_url,
                max_new_tokens=MAX_NEW_TOKENS,
            )
            self._remote = (self.name, model)
        return self._remote[1]

    def _switched(self) -> BaseChatModel:
        from assistant.chat_models.loading import load_local
        from assistant.chat_models.switching import Switchboard

        settings, library = self._runtime.settings, self._runtime.library
        if self._board is None:
            plain = load_local(
                self.name,
                adapter="none",
                library=library,
                default_adapter=False,
                offline=settings.offline,
                max_new_tokens=MAX_NEW_TOKENS,
            )
            self._board = Switchboard(plain)
        board = self._board
        fitting = self._fits(board)
        if fitting is None:
            board.use(None)
        else:
            if fitting.name not in board.names:
                board.load(fitting.name, fitting.folder, fitting.serving)
            board.use(fitting.name)
        return board.model

    def _fits(self, board: Switchboard) -> Fitting | None:
        """The adapter that is meant; looked for once after each choice."""
        from assistant.chat_models.adapters import adapter_for
        from index.weights import model_folder

        settings = self._runtime.settings
        if self._fitting is None or self._fitting[0] != settings.adapter:
            found = adapter_for(
                self.name,
                model_folder(self.name, offline=settings.offline),
                settings.adapter,
                self._runtime.library,
                default=True,
                template=board.model.loaded.template,
            )
            self._fitting = (settings.adapter, found)
        return self._fitting[1]
