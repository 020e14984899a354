"""LangChain's messages and ours: turns in, replies and pieces of them out."""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk

from corpora.errors import Conflict
from corpora.records import Message
from finetune.teacher import Reply

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}


def chunk_of(
    text: str, prompt: int, written: int, run_manager: CallbackManagerForLLMRun | None
) -> ChatGenerationChunk:
    """A piece of the reply with the tokens that it cost; the costs of all pieces add up."""
    usage = UsageMetadata(input_tokens=prompt, output_tokens=written, total_tokens=prompt + written)
    piece = ChatGenerationChunk(message=AIMessageChunk(content=text, usage_metadata=usage))
    if run_manager is not None and text:
        run_manager.on_llm_new_token(text, chunk=piece)
    return piece


def said(reply: Reply) -> AIMessage:
    """A whole reply with its costs."""
    usage = reply.usage
    tokens = UsageMetadata(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )
    return AIMessage(content=reply.text or "", usage_metadata=tokens)


def message_of(message: BaseMessage) -> Message:
    """A turn of a conversation. Raises Conflict for anything but text of the three roles."""
    role = _ROLES.get(message.type)
    if role is None or not isinstance(message.content, str):
        raise Conflict(f"A local model takes text of system, user and assistant, not {message.type!r}.")
    return Message(role, message.content)  # type: ignore[arg-type]
