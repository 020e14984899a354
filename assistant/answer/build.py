"""An answer engine for an open library, from the settings that hold."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from assistant.answer.engine import AnswerEngine
from assistant.answer.floor import Floor

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.runtime import Runtime
    from finetune.card import Serving

MAX_NEW_TOKENS = 192
# Read by the embedded model with an adapter, where nobody says otherwise.
EMBEDDED_PASSAGES = 4


class ChosenModel:
    """The language model of the settings, loaded when a question first needs it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.name: str = runtime.settings.model

    @property
    def adapter(self) -> str | None:
        """The name of the adapter that answers; loads the model, as only then it is known what fits it."""
        return getattr(self.chat, "adapter_name", None)

    @property
    def passages(self) -> int:
        """How many passages to find for a question: what is set, else what is best for the model."""
        from assistant.adapters import meant
        from assistant.chat_models import is_remote
        from finetune.adapters.active import choice_for

        settings, library = self._runtime.settings, self._runtime.library
        embedded = self.english_only and not is_remote(self.name, settings.base_url)
        if settings.origins["k"] != "default" or not embedded:
            return settings.k
        named = choice_for(library, self.name).name if settings.adapter is None else settings.adapter
        return settings.k if meant(named, self.name) is None else EMBEDDED_PASSAGES

    @property
    def english_only(self) -> bool:
        """Whether it is known, before loading it, that the model writes English alone."""
        from index.weights import CATALOGUE

        known = CATALOGUE.get(self.name)
        return known is not None and known.languages == "English"

    @property
    def reads_one_sentence(self) -> bool:
        """The plain embedded model: SQuAD, open retrieval, F1 0.32 from the best sentence of six passages,
        0.14 from the best passage, 0.04 from all six (30 questions, `tests/bench/answers.py`).
        """
        return self.english_only and self.adapter is None

    @property
    def examples(self) -> bool:
        """Whether answered questions stand in front of the real one."""
        serving: Serving | None = getattr(self.chat, "serving", None)
        return serving is None or serving.examples

    @cached_property
    def chat(self) -> BaseChatModel:
        """The model; the first use loads it. Raises Missing, Conflict."""
        from assistant.chat_models import load_chat_model

        settings = self._runtime.settings
        return load_chat_model(
            self.name,
            adapter=settings.adapter,
            library=self._runtime.library,
            default_adapter=True,
            offline=settings.offline,
            base_url=settings.base_url,
            max_new_tokens=MAX_NEW_TOKENS,
        )


def build_engine(runtime: Runtime, model: ChosenModel | None = None) -> AnswerEngine:
    """The engine for the library and settings of `runtime`; no language model is loaded yet.

    `model` takes the place of the one that the settings name.
    """
    from index.retriever import Retriever

    settings = runtime.settings
    reranker = None
    if settings.reranker is not None:
        from index.rerank import CrossEncoder

        reranker = CrossEncoder(settings.reranker, offline=settings.offline)
    encoder = runtime.encoder()
    retriever = Retriever(runtime.library, encoder, reranker=reranker)
    model = model or ChosenModel(runtime)
    return AnswerEngine(
        retriever,
        model=model,
        floor=Floor.for_encoder(encoder.name, retriever),
        k=model.passages,
        mode=settings.mode,
        per_source=settings.per_source or None,
        max_new_tokens=MAX_NEW_TOKENS,
    )
