"""An answer engine for an open library, from the settings that hold."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from assistant.answer.engine import AnswerEngine
from assistant.answer.floor import Floor

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.runtime import Runtime

MAX_NEW_TOKENS = 192


class ChosenModel:
    """The language model of the settings, loaded when a question first needs it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        settings = runtime.settings
        self.name: str = settings.model
        self.adapter: str | None = None if settings.adapter == "none" else settings.adapter

    @property
    def english_only(self) -> bool:
        """Whether it is known, before loading it, that the model writes English alone."""
        from index.weights import CATALOGUE

        known = CATALOGUE.get(self.name)
        return known is not None and known.languages == "English"

    @property
    def reads_one_sentence(self) -> bool:
        """The untuned embedded model: SQuAD, open retrieval, F1 0.32 from the best sentence of six passages,
        0.14 from the best passage, 0.04 from all six (30 questions, `tests/bench/answers.py`).
        """
        return self.english_only and self.adapter is None

    @cached_property
    def chat(self) -> BaseChatModel:
        """The model; the first use loads it. Raises Missing, Conflict."""
        from assistant.chat_models import load_chat_model

        settings = self._runtime.settings
        return load_chat_model(
            self.name,
            adapter=self.adapter,
            adapters=self._runtime.library.folder / "adapters",
            offline=settings.offline,
            base_url=settings.base_url,
            max_new_tokens=MAX_NEW_TOKENS,
        )


def build_engine(runtime: Runtime) -> AnswerEngine:
    """The engine for the library and settings of `runtime`; no language model is loaded yet."""
    from index.retriever import Retriever

    settings = runtime.settings
    reranker = None
    if settings.reranker is not None:
        from index.rerank import CrossEncoder

        reranker = CrossEncoder(settings.reranker, offline=settings.offline)
    encoder = runtime.encoder()
    retriever = Retriever(runtime.library, encoder, reranker=reranker)
    return AnswerEngine(
        retriever,
        model=ChosenModel(runtime),
        floor=Floor.for_encoder(encoder.name, retriever),
        k=settings.k,
        mode=settings.mode,
        per_source=settings.per_source or None,
        max_new_tokens=MAX_NEW_TOKENS,
    )
