"""What the answer engine needs of any LangChain chat model: its text with its costs, and its limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from corpora.records import Message, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_REMOTE_CONTEXT = 8192  # of a server that does not say; passages of one question are far less
_LAST_LATIN = 0x24F
_TOKENS_A_BYTE = (
    0.38  # above this, a tokenizer has not learned the script: English 0.23, Qwen on Chinese 0.25
)


def stream_text(
    model: BaseChatModel, messages: Sequence[Message], max_new_tokens: int, stop: Sequence[str] = ()
) -> Iterator[tuple[str, Usage | None]]:
    """Pieces of the reply, up to a `stop` string, each with what the model says it cost so far.

    Raises Missing (exit 8) where a remote model cannot be reached.
    """
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

    kinds: dict[str, type[BaseMessage]] = {
        "system": SystemMessage,
        "user": HumanMessage,
        "assistant": AIMessage,
    }
    turns = [kinds[message.role](content=message.content) for message in messages]
    local: dict[str, Any] = {"max_new_tokens": max_new_tokens} if hasattr(model, "text_tokens") else {}
    usage: Usage | None = None
    with _errors(model):
        for chunk in model.stream(turns, stop=list(stop) or None, **local):
            counted = chunk.usage_metadata if isinstance(chunk, AIMessage) else None
            if counted:
                before = usage or Usage()
                usage = Usage(
                    before.prompt_tokens + counted["input_tokens"],
                    before.completion_tokens + counted["output_tokens"],
                )
            yield str(chunk.text), usage


def context_tokens(model: BaseChatModel) -> int:
    """Tokens that prompt and reply may have together."""
    known = getattr(model, "context_tokens", None) or (model.profile or {}).get("max_input_tokens")
    return int(known) if known else _REMOTE_CONTEXT


def count_tokens(model: BaseChatModel, messages: Sequence[Message]) -> int:
    """Tokens of a prompt: exact for a local model, else a cautious estimate (a third of the UTF-8 bytes)."""
    exact = getattr(model, "count_tokens", None)
    if exact is not None:
        return int(exact(messages))
    return sum(len(message.content.encode("utf-8")) // 3 + 8 for message in messages)


def foreign_letters(text: str) -> str:
    """The letters of `text` that are not Latin; "" where they are few enough to be names and quotations."""
    foreign = "".join(char for char in text if char.isalpha() and ord(char) > _LAST_LATIN)
    letters = sum(char.isalpha() for char in text)
    return foreign if len(foreign) * 10 >= letters else ""


def writes(model: BaseChatModel, foreign: str) -> bool:
    """Whether a model knows the script of `foreign`, judged by how finely its tokenizer breaks it up.

    A model elsewhere is trusted.
    """
    measure = getattr(model, "text_tokens", None)
    return measure is None or int(measure(foreign)) <= _TOKENS_A_BYTE * len(foreign.encode("utf-8"))


def _errors(model: BaseChatModel) -> AbstractContextManager[None]:
    if type(model).__module__.startswith("langchain_openai"):
        from assistant.chat_models.remote import remote_errors

        return remote_errors(str(getattr(model, "model_name", "the model")))
    return nullcontext()
