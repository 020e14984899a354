"""Models elsewhere, through langchain-openai: `openai:MODEL`, `ollama:MODEL`, `vllm:MODEL`, any base URL.

Keys come from environment variables only. Where the text goes is said once a process on standard error.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from corpora.errors import Conflict, Missing, UsageError

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

_ENDPOINTS = {
    "openai": "https://api.openai.com/v1",
    "ollama": "http://localhost:11434/v1",
    "vllm": "http://localhost:8000/v1",
}
_KEYS = {"openai": "OPENAI_API_KEY", "ollama": "OLLAMA_API_KEY", "vllm": "VLLM_API_KEY"}
_NO_TEMPERATURE = ("o1", "o3", "o4", "gpt-5")  # reasoning models refuse the parameter
_TIMEOUT_SECONDS = 120.0
_announced: set[str] = set()


def load_remote(name: str, *, base_url: str | None, offline: bool, max_new_tokens: int) -> ChatOpenAI:
    """A chat model on an OpenAI-compatible server; nothing is sent yet.

    Raises UsageError for a bad URL, Missing (code offline) where `offline` and the host is not this machine,
    Missing where a key is needed and its variable is empty.
    """
    provider, separator, model = name.partition(":")
    if not separator or provider not in _ENDPOINTS:
        provider, model = "", name
    url = _ENDPOINTS[provider] if base_url is None else base_url
    host = _host(url)
    local = is_loopback(host)
    if offline and not local:
        raise Missing(f"{name} is at {host}, and --offline is set.", hint="use a local model", code="offline")
    key_variable = _KEYS.get(provider, "OPENAI_API_KEY")
    key = os.environ.get(key_variable)
    if not key and provider == "openai" and base_url is None:
        raise Missing(
            f"{name} needs a key in {key_variable}.", hint=f"export {key_variable}=KEY", code="no_key"
        )
    _announce(host)
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    options: dict[str, Any] = {} if model.startswith(_NO_TEMPERATURE) else {"temperature": 0}
    if host == urlsplit(_ENDPOINTS["openai"]).hostname:
        options["max_completion_tokens"] = max_new_tokens
    else:  # the name that every other server knows
        options["extra_body"] = {"max_tokens": max_new_tokens}
    return ChatOpenAI(
        model=model,
        base_url=url,
        api_key=SecretStr(key or "none"),
        timeout=_TIMEOUT_SECONDS,
        max_retries=1,
        stream_usage=True,
        **options,
    )


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def remote_errors(name: str) -> Iterator[None]:
    """Turns what a server or the way to it does wrong into one line (exit 8)."""
    import openai

    try:
        yield
    except openai.APIConnectionError as error:
        raise Missing(
            f"{name} cannot be reached: {error.__cause__ or error}.",
            hint="is the server running?",
            code="remote_failed",
        ) from error
    except openai.APIStatusError as error:
        raise Missing(
            f"{name} answered {error.status_code}: {error.message}", code="remote_failed"
        ) from error
    except openai.OpenAIError as error:
        raise Missing(f"{name} failed: {error}", code="remote_failed") from error


def _host(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"{url} is no http(s) address of a server.", hint="--base-url http://localhost:8000/v1"
        )
    if parts.username or parts.password:
        raise Conflict("Keys belong into an environment variable, not into the address.", code="key_in_url")
    return parts.hostname


def _announce(host: str) -> None:
    if host in _announced:
        return
    _announced.add(host)
    from assistant.terminal import say

    say(f"note: the question and the passages found are sent to {host}.")
