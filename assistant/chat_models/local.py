"""Our LangChain chat model: transformers on this machine, greedy unless told otherwise, one reply or many."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from pydantic import ConfigDict, PrivateAttr

from assistant.chat_models.batch import Meter, Row, Watch, write_rows
from assistant.chat_models.decoding import begun
from assistant.chat_models.likelihood import mean_log_likelihoods
from assistant.chat_models.prefill import Layers, Prefiller, Stems
from assistant.chat_models.refusing import RefusalRule
from assistant.chat_models.sampling import Chooser
from assistant.chat_models.tokens import GrowingText, TokenizerEncoder, before_stop
from assistant.chat_models.turns import chunk_of, message_of, said
from corpora.chat_template import ChatTemplate, encode_data
from corpora.errors import UsageError
from corpora.prompt import refusal_of
from corpora.records import Message
from finetune.card import Serving
from finetune.teacher import Ask, Reply
from finetune.tuning.encode import ChatEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ROWS_AT_ONCE = 16  # of LangChain's `batch`


@dataclass(frozen=True, slots=True)
class LocalWeights:
    """What is loaded: the model (with its adapter), its tokenizer, and how many tokens it can see.

    `start_id` is the token that stands before a text that has nothing before it. `fingerprint` changes
    whenever replies could (hex, 16 digits). `serving` is how the card of its adapter wants it asked, and
    `opening` what an adapter of virtual tokens puts before every prompt (`context` is without it).
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    template: ChatTemplate
    context: int
    stop_ids: frozenset[int]
    start_id: int
    fingerprint: str
    serving: Serving | None = None
    opening: Layers = ()


class LocalChatModel(BaseChatModel):
    """A causal language model of transformers behind LangChain's seam.

    A call may set `max_new_tokens`, `temperature`, `top_p`, `presence_penalty` and `seed` for itself.
    `cancel` stops a generation that runs in another thread after the current token; what was written until
    then is the result. Where the adapter has a refusal threshold, it decides whether a prompt over passages
    is refused (see `refusing`).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model_name: str
    adapter_name: str | None = None
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    _weights: LocalWeights = PrivateAttr()
    _encoder: TokenizerEncoder = PrivateAttr()
    _chat: ChatEncoder = PrivateAttr()
    _prefiller: Prefiller = PrivateAttr()
    _stems: Stems = PrivateAttr()
    _cancelled: threading.Event = PrivateAttr(default_factory=threading.Event)

    def __init__(self, weights: LocalWeights, **fields: Any) -> None:
        super().__init__(**fields)
        self._weights = weights
        self._encoder = TokenizerEncoder(weights.tokenizer)
        self._chat = ChatEncoder(weights.tokenizer, template=weights.template, ends=weights.stop_ids)
        self._prefiller = Prefiller(weights.model, weights.opening)
        self._stems = Stems(self.prompt_ids)

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

    @property
    def fingerprint(self) -> str:
        """Changes whenever replies could: weights, adapter, template, precision (hex, 16 digits)."""
        return self._weights.fingerprint

    @property
    def serving(self) -> Serving | None:
        """How the adapter wants to be asked; None without one, or where its card does not say."""
        return self._weights.serving

    @property
    def loaded(self) -> LocalWeights:
        """The weights in use."""
        return self._weights

    def replace_weights(self, weights: LocalWeights, adapter: str | None) -> None:
        """Answer with other weights of the same base from now on; `adapter` is what they are called."""
        self._weights, self.adapter_name = weights, adapter
        self._prefiller = Prefiller(weights.model, weights.opening)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Exactly the ids that the model is given; no text of a message becomes a special token."""
        return self._chat.prompt_ids(messages)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of `prompt_ids`."""
        return len(self.prompt_ids(messages))

    def text_tokens(self, text: str) -> int:
        """Tokens of a bare text."""
        return len(self._encoder.encode(text, special=False))

    def cancel(self) -> None:
        """Stop the generation that is running."""
        self._cancelled.set()

    def generate_batch(
        self,
        asks: Sequence[Ask],
        *,
        watches: Sequence[Watch] | None = None,
        stop: Callable[[], bool] = lambda: False,
        meter: Meter | None = None,
    ) -> list[Reply]:
        """The replies to `asks`, in order, written side by side.

        A prompt that is over the context fails by itself. The same asks in the same order give the same
        replies, bit for bit. `watches` hear the text of each reply as it comes and end it by False; `stop` is
        asked between prompts and between tokens, and makes all replies "cancelled"; `meter` counts.
        """
        self._cancelled.clear()
        prompts = [self.prompt_ids(ask.messages) for ask in asks]
        rows: dict[int, Row] = {}
        for n, (ask, prompt) in enumerate(zip(asks, prompts, strict=True)):
            room = min(ask.max_new_tokens, self._weights.context - len(prompt))
            if room > 0:
                rows[n] = Row(
                    ask,
                    prompt,
                    room,
                    self._weights.tokenizer,
                    stem=self._stems.shared(ask.messages, prompt),
                    rule=self._rule(ask.messages),
                    watch=watches[n] if watches else None,
                )
        done = not rows or write_rows(
            list(rows.values()),
            self._prefiller,
            self._weights.model,
            self._weights.stop_ids,
            stopped=lambda: self._cancelled.is_set() or stop(),
            meter=meter or Meter(),
        )
        unread = [self._too_long(len(prompt)) if n not in rows else None for n, prompt in enumerate(prompts)]
        return [
            Reply(None, error=unread[n] or "cancelled") if n not in rows or not done else rows[n].reply()
            for n in range(len(asks))
        ]

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Mean natural log of the probability of a token of the second text, behind the first; no chat.

        The texts are encoded apart: a second text that goes on behind a word begins with its blank. What
        is over the context is left out at the front. Minus infinity for an empty second text.
        """
        start = self._weights.start_id
        return self._likelihoods([([start, *encode_data(one, self._encoder)], two) for one, two in pairs])

    def reply_log_likelihoods(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        """As `log_likelihoods`, of replies behind the prompts that `messages` make in a chat."""
        return self._likelihoods([(self.prompt_ids(messages), reply) for messages, reply in pairs])

    def first_token_probabilities(self, prompts: Sequence[tuple[Sequence[int], int]]) -> list[float]:
        """Of each prompt of ids, the probability that the reply begins with the token given with it."""
        rows = [(list(ids), [token]) for ids, token in prompts]
        return [math.exp(value) for value in mean_log_likelihoods(self._prefiller, rows)]

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """As LangChain's, written side by side; with callbacks one by one, so that each is heard."""
        configs = config if isinstance(config, list) else [config or {}]
        if any(one.get("callbacks") for one in configs):
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        asks = [self._ask(self._convert_input(one).to_messages(), kwargs) for one in inputs]
        messages: list[Any] = []
        for start in range(0, len(asks), _ROWS_AT_ONCE):
            for reply in self.generate_batch(asks[start : start + _ROWS_AT_ONCE]):
                if reply.text is None and not return_exceptions:
                    raise UsageError(reply.error or "")
                messages.append(UsageError(reply.error or "") if reply.text is None else said(reply))
        return messages

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        ask = self._ask(messages, {**kwargs, "stop": stop})
        ids = self.prompt_ids(ask.messages)
        text, given, growing = "", 0, GrowingText(self._weights.tokenizer)
        prompt = len(ids)  # counted with the first chunk, each token with its own
        for token in self._tokens(ids, ask):
            text += growing.push(token)
            certain, stopped = before_stop(text, ask.stop)
            yield chunk_of(text[given:certain], prompt, 1, run_manager)
            prompt, given = 0, max(given, certain)
            if stopped:
                return
        yield chunk_of(text[given:] + growing.rest(), prompt, 0, run_manager)

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

    def _tokens(self, ids: Sequence[int], ask: Ask) -> Iterator[int]:
        """Ids of the answer, one at a time, up to the limit or the end of the turn (which is not given)."""
        weights = self._weights
        if len(ids) >= weights.context:
            raise UsageError(self._too_long(len(ids)))
        limit = min(ask.max_new_tokens, weights.context - len(ids))
        self._cancelled.clear()
        chooser, rule = Chooser(ask), self._rule(ask.messages)
        logits, decoder = begun(self._prefiller, weights.model, ids, self._stems.shared(ask.messages, ids))
        if rule is not None:
            if rule.refuses(logits):
                yield from rule.ids[:limit]
                return
            logits = rule.without_refusal(logits)
        for written in range(1, limit + 1):
            token = chooser.choose(logits)
            if token in weights.stop_ids or self._cancelled.is_set():
                return
            yield token
            if written < limit:
                logits = decoder.step([token])[0]

    def _rule(self, messages: Sequence[Message]) -> RefusalRule | None:
        """How the refusal of this prompt is decided; None where the text that the model writes decides."""
        sentence, serving = refusal_of(messages), self._weights.serving
        if sentence is None or serving is None or serving.refusal_threshold is None:
            return None
        *ids, _end = self._chat.answer_ids(messages, sentence)
        return RefusalRule(tuple(ids), serving.refusal_threshold)

    def _likelihoods(self, pairs: Sequence[tuple[list[int], str]]) -> list[float]:
        context = self._weights.context
        encoded = []
        for before, text in pairs:
            after = encode_data(text, self._encoder)[: context - 1]
            encoded.append((before[-(context - len(after)) :], after))
        return mean_log_likelihoods(self._prefiller, encoded)

    def _too_long(self, tokens: int) -> str:
        return f"The prompt is {tokens} tokens; the limit is {self._weights.context} with this model."

    def _ask(self, messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> Ask:
        """A call of LangChain's with what it sets for itself and what the model is set to."""
        return Ask(
            tuple(message_of(message) for message in messages),
            max_new_tokens=int(options.get("max_new_tokens", self.max_new_tokens)),
            temperature=float(options.get("temperature", self.temperature)),
            top_p=float(options.get("top_p", 1.0)),
            presence_penalty=float(options.get("presence_penalty", 0.0)),
            seed=int(options.get("seed", self.seed)),
            stop=tuple(options.get("stop") or ()),
        )
