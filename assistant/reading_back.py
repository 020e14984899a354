"""Who reads back what `generate` has written, and how far its word counts.

An embedded model reads with the adapter that was shipped for it, once that was measured as a reader; what
writes stays as it is set. An adapter of the library never reads: it learned from what it would have to judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finetune.checks import is_measured

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.settings import Settings
    from finetune.checks.judge import Judge
    from finetune.reader import LikelihoodReader, Reader
    from finetune.teacher import Teacher

_REPLY_ROOM = 64  # tokens of the context that prompts leave free


def reading_model(settings: Settings, teacher: BaseChatModel) -> BaseChatModel:
    """The model that reads; `teacher` itself where an adapter is named, or no shipped one was measured."""
    from assistant.chat_models import is_remote, load_chat_model
    from finetune.adapters.resolve import shipped_for
    from finetune.base_identity import base_name

    if settings.adapter is None and not is_remote(settings.model, settings.base_url):
        for adapter in shipped_for(base_name(settings.model)):
            if is_measured(f"{settings.model}+{adapter.name}"):
                return load_chat_model(settings.model, adapter=adapter.name, offline=settings.offline)
    return teacher


def scorers(
    model: BaseChatModel, reader: Teacher, judge: Teacher | None
) -> list[Reader | LikelihoodReader | Judge]:
    """What asks `model`, through `reader`, whether an answer is right; and `judge`, where there is one."""
    from assistant.chat_models.local import LocalChatModel
    from assistant.chat_models.talk import context_tokens, count_tokens
    from finetune.checks.judge import Judge
    from finetune.reader import LikelihoodReader, Reader

    room = context_tokens(model) - _REPLY_ROOM
    found: list[Reader | LikelihoodReader | Judge] = []
    examples = True
    if isinstance(model, LocalChatModel):
        examples = model.serving is None or model.serving.examples
        found.append(LikelihoodReader(model, count_tokens=model.count_tokens, limit=room, examples=examples))
    found.append(
        Reader(reader, count_tokens=lambda said: count_tokens(model, said), limit=room, examples=examples)
    )
    return [*found, Judge(judge)] if judge is not None else found
