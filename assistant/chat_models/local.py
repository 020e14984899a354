"""Our LangChain chat model: transformers on this machine, token by token, greedy unless told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, PrivateAttr

from assistant.chat_models.tokens import GrowingText, TokenizerEncoder, before_stop
from corpora.chat_template import ChatTemplate, encode_chat
from corpora.errors import Conflict, UsageError
from corpora.records import Message

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}


@dataclass(frozen=True, slots=True)
class LocalWeights:
    """What is loaded: the model (with its adapter), its tokenizer, and how many tokens it can see."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    template: ChatTemplate
    context: int
    stop_ids: frozenset[int]


class LocalChatModel(BaseChatModel):
    """A causal language model of transformers behind LangChain's seam.

    `cancel` stops a generation that runs in another thread after the current token; what was written until
    then is the result.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model_name: str
    adapter_name: str | None = None
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    _weights: LocalWeights = PrivateAttr()
    _encoder: TokenizerEncoder = PrivateAttr()
    _cancelled: threading.Event = PrivateAttr(default_factory=threading.Event)

    def __init__(self, weights: LocalWeights, **fields: Any) -> None:
        super().__init__(**fields)
        self._weights = weights
        self._encoder = TokenizerEncoder(weights.tokenizer)

    @property
    def _llm_type(self) -> str:
        return "local-transformers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model_name, "adapter": self.adapter_name, "temperature": self.temperature}

    @property
    def context_tokens(self) -> int:
        """Tokens that prompt and answer together may have."""
        return self._weights.context

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Exactly the ids that the model is given; no text of a message becomes a special token."""
        pieces = _pieces(self._weights.template, tuple(message.role for message in messages))
        return encode_chat(messages, pieces, self._encoder)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of `prompt_ids`."""
        return len(self.prompt_ids(messages))

    def text_tokens(self, text: str) -> int:
        """Tokens of a bare text."""
        return len(self._encoder.encode(text, special=False))

    def cancel(self) -> None:
        """Stop the generation that is running."""
        self._cancelled.set()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        ids = self.prompt_ids([_message(message) for message in messages])
        limit = int(kwargs.get("max_new_tokens", self.max_new_tokens))
        text, given, growing = "", 0, GrowingText(self._weights.tokenizer)
        prompt = len(ids)  # counted with the first chunk, each token with its own
        for token in self._tokens(ids, limit):
            text += growing.push(token)
            certain, stopped = before_stop(text, stop or ())
            yield _chunk(text[given:certain], prompt, 1, run_manager)
            prompt, given = 0, max(given, certain)
            if stopped:
                return
        yield _chunk(text[given:] + growing.rest(), prompt, 0, run_manager)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        whole = AIMessageChunk(content="")
        for chunk in self._stream(messages, stop, run_manager, **kwargs):
            whole += chunk.message  # type: ignore[assignment]
        message = AIMessage(content=whole.content, usage_metadata=whole.usage_metadata)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _tokens(self, ids: Sequence[int], limit: int) -> Iterator[int]:
        """Ids of the answer, one at a time, up to `limit` or the end of the turn (which is not given)."""
        import torch
        from transformers import DynamicCache

        weights = self._weights
        if len(ids) >= weights.context:
            raise UsageError(
                f"The prompt is {len(ids)} tokens; the limit is {weights.context} with this model."
            )
        limit = min(limit, weights.context - len(ids))
        self._cancelled.clear()
        device = weights.model.device
        generator = torch.Generator(device=device).manual_seed(self.seed) if self.temperature > 0 else None
        cache = DynamicCache(config=weights.model.config)
        step = torch.tensor([list(ids)], device=device)
        for _ in range(limit):
            with torch.inference_mode():
                logits = weights.model(
                    input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1
                ).logits[0, -1]
            token = self._choose(logits, generator)
            if token in weights.stop_ids or self._cancelled.is_set():
                return
            yield token
            step = torch.tensor([[token]], device=device)

    def _choose(self, logits: torch.Tensor, generator: torch.Generator | None) -> int:
        if generator is None:
            return int(logits.argmax())
        import torch

        shares = torch.softmax(logits.float() / self.temperature, dim=-1)
        return int(torch.multinomial(shares, 1, generator=generator))


@lru_cache(maxsize=64)
def _cached_pieces(
    source: str, strings: tuple[tuple[str, str], ...], roles: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(ChatTemplate(source, dict(strings)).pieces(roles))


def _pieces(template: ChatTemplate, roles: tuple[str, ...]) -> tuple[str, ...]:
    """The template around `roles`; rendered once for each order of roles, as that is all it depends on."""
    return _cached_pieces(template.source, tuple(sorted(template.special_strings.items())), roles)


def _chunk(
    text: str, prompt: int, written: int, run_manager: CallbackManagerForLLMRun | None
) -> ChatGenerationChunk:
    """A piece of the reply with the tokens that it cost; the costs of all pieces add up."""
    usage = UsageMetadata(input_tokens=prompt, output_tokens=written, total_tokens=prompt + written)
    chunk = ChatGenerationChunk(message=AIMessageChunk(content=text, usage_metadata=usage))
    if run_manager is not None and text:
        run_manager.on_llm_new_token(text, chunk=chunk)
    return chunk


def _message(message: BaseMessage) -> Message:
    role = _ROLES.get(message.type)
    if role is None or not isinstance(message.content, str):
        raise Conflict(f"A local model takes text of system, user and assistant, not {message.type!r}.")
    return Message(role, message.content)  # type: ignore[arg-type]
