"""A stand-alone question written by a language model; what does not look like one is not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assistant.chat.rewriting.history import Said
from corpora.prompt import Language, escape, language_of
from corpora.records import Message

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_NEW_TOKENS = 96
_LONGEST = 400  # characters of a question
_ANSWER = 300  # characters shown of an earlier answer
_SYSTEM: dict[Language, str] = {
    "en": (
        "Rewrite the last question so that it can be understood without the conversation: put in the names "
        "that its pronouns and omissions stand for. Do not answer it, and add nothing else. If it can be "
        "understood alone, repeat it unchanged. Reply with the question only."
    ),
    "zh": (
        "请改写最后一个问题，使它脱离对话也能看懂：把代词和省略的内容换成所指的名称。不要回答，也不要添加别的内容。"
        "如果它本身就能看懂，请原样重复。只回复问题本身。"
    ),
}
_LINES: dict[Language, tuple[str, str, str]] = {
    "en": ("Question: ", "Answer: ", "Last question: "),
    "zh": ("问题：", "回答：", "最后一个问题："),
}


def written(chat: BaseChatModel, question: str, said: Sequence[Said]) -> str | None:
    """The question that the model writes; None where it wrote something else."""
    from assistant.chat_models.talk import stream_text

    language = language_of(question)
    whole = "".join(text for text, _ in stream_text(chat, _prompt(question, said, language), _NEW_TOKENS))
    return _checked(whole, question, language)


def _prompt(question: str, said: Sequence[Said], language: Language) -> list[Message]:
    asked, answered, last = _LINES[language]
    lines: list[str] = []
    for one in said:
        lines.append(f"{asked}{_inert(one.question)}")
        if one.answer:
            lines.append(f"{answered}{_inert(one.answer[:_ANSWER])}")
    lines.append(f"{last}{_inert(question)}")
    return [Message("system", _SYSTEM[language]), Message("user", "\n".join(lines))]


def _inert(text: str) -> str:
    return " ".join(escape(text).split())


def _checked(whole: str, question: str, language: Language) -> str | None:
    lines = [line.strip() for line in whole.strip().splitlines() if line.strip()]
    if len(lines) != 1:
        return None
    found = lines[0]
    for label in _LINES[language]:
        found = found.removeprefix(label.strip()).strip()
    found = found.strip('"“”「」 ')
    asks = question.rstrip()[-1:] in "?？"
    if not found or len(found) > _LONGEST or language_of(found) != language:
        return None
    if asks and found[-1] not in "?？":
        return None
    return found
