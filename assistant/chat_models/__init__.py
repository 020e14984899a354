"""Chat models by name: embedded, a hub id or a folder (local), `openai:`, `ollama:`, `vllm:` (remote).

Every one is a LangChain `BaseChatModel`; `budget` says how much text it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpora.errors import Conflict, UsageError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from corpora.store import Library

__all__ = ["is_remote", "load_chat_model"]

_SERVERS = ("openai", "ollama", "vllm")
# provider -> the package that has its LangChain chat model; none of them is a dependency of ours
_EXTRAS = {
    "anthropic": "langchain-anthropic",
    "google_genai": "langchain-google-genai",
    "google_vertexai": "langchain-google-vertexai",
    "mistralai": "langchain-mistralai",
    "groq": "langchain-groq",
    "bedrock": "langchain-aws",
    "cohere": "langchain-cohere",
    "deepseek": "langchain-deepseek",
    "fireworks": "langchain-fireworks",
    "together": "langchain-together",
    "xai": "langchain-xai",
}


def load_chat_model(
    name: str,
    *,
    adapter: str | None = None,
    library: Library | None = None,
    default_adapter: bool = False,
    offline: bool = False,
    base_url: str | None = None,
    max_new_tokens: int = 256,
) -> BaseChatModel:
    """The chat model called `name`, ready to answer; greedy.

    `adapter` is the name of one of `library` or of a shipped one, a folder, or "none"; without it the plain
    model answers, or with `default_adapter` what is in use on it (see `adapters.adapter_for`). `base_url`
    makes `name` a model of that OpenAI-compatible server. Raises Missing (exit 8) where it cannot be had,
    Conflict (exit 5) for an adapter of another base, UsageError for a name that cannot be.
    """
    from assistant.environment import quiet_third_parties

    quiet_third_parties()
    provider, _, model = name.partition(":")
    if base_url is not None or (model and provider in _SERVERS):
        from assistant.chat_models.remote import load_remote
        from index.weights import CATALOGUE

        if name in CATALOGUE:
            raise UsageError(
                f"{name} runs on this machine; --base-url does not apply.", hint="--model THEIRS"
            )
        if adapter not in (None, "none"):
            raise UsageError("A remote model takes no --adapter; name the tuned model there instead.")
        return load_remote(name, base_url=base_url, offline=offline, max_new_tokens=max_new_tokens)
    if is_remote(name, base_url):
        return _load_extra(provider, model, offline=offline, max_new_tokens=max_new_tokens)
    from assistant.chat_models.loading import load_local

    return load_local(
        name,
        adapter=adapter,
        library=library,
        default_adapter=default_adapter,
        offline=offline,
        max_new_tokens=max_new_tokens,
    )


def is_remote(name: str, base_url: str | None) -> bool:
    """Whether the model runs elsewhere, where adapters of this machine are of no use."""
    provider, _, model = name.partition(":")
    return base_url is not None or bool(model and (provider in _SERVERS or provider in _EXTRAS))


def _load_extra(provider: str, model: str, *, offline: bool, max_new_tokens: int) -> BaseChatModel:
    from importlib.util import find_spec

    from corpora.errors import Missing

    package = _EXTRAS[provider]
    if offline:
        raise Missing(f"{provider}: is a service on the network, and --offline is set.", code="offline")
    if find_spec(package.replace("-", "_")) is None:
        raise Missing(f"{provider}: models need the package {package}.", hint=f"pip install {package}")
    from langchain.chat_models import init_chat_model

    from assistant.terminal import say

    say(f"note: the question and the passages found are sent to {provider} ({model}).")
    try:
        return init_chat_model(model, model_provider=provider, temperature=0, max_tokens=max_new_tokens)
    except (ImportError, ValueError) as error:
        raise Conflict(f"{provider}: {error}", code="model_unusable") from error
