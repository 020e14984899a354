"""A follow-up as a question that stands alone: what it takes for granted is put in from the turns before.

By a language model that can, else by rules; a question that stands alone already is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assistant.chat.records import Turn
from assistant.chat.rewriting import chinese, english
from assistant.chat.rewriting.history import Said
from corpora.prompt import language_of

if TYPE_CHECKING:
    from assistant.answer.engine import ModelSource

__all__ = ["stand_alone"]

_TURNS = 4  # how far back a follow-up may look
_LONGEST = 400  # characters; a longer question says itself what it is about


def stand_alone(question: str, history: Sequence[Turn], model: ModelSource | None = None) -> str:
    """`question` as it can be asked without `history` (oldest first); itself where nothing is missing.

    `model` writes it, but for one that is known to write English alone, which is too small for it.
    """
    said = [Said.of(turn) for turn in history if turn.status != "pending"][-_TURNS:]
    if not said or len(question) > _LONGEST:
        return question
    in_chinese = language_of(question) == "zh"
    if model is not None and not model.english_only:
        alone = chinese.surely_alone(question) if in_chinese else english.surely_alone(question)
        if not alone:
            from assistant.chat.rewriting.by_model import written

            found = written(model.chat, question, said)
            if found is not None:
                return found
    return chinese.resolved(question, said) if in_chinese else english.resolved(question, said)
