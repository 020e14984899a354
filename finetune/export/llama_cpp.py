"""Answers of llama.cpp to ids, through `xllamacpp`, which has it prebuilt; an optional dependency.

Its engine listens on a port of this machine's own address while it is loaded, behind a key made for it.
"""

from __future__ import annotations

import importlib
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from corpora.errors import Conflict, Missing
from finetune.export.answers import Written

PACKAGE = "xllamacpp"
_QUIET = -1
_SECONDS = 900.0  # of one answer: a long prompt on a slow machine


def is_installed() -> bool:
    """Whether llama.cpp can be asked here."""
    return find_spec(PACKAGE) is not None


class LlamaCpp:
    """A GGUF file, loaded. Raises Missing without the package, Conflict for a file that it refuses."""

    def __init__(self, path: Path, *, context: int, ends: Collection[int], most: int) -> None:
        if not is_installed():
            raise Missing(f"llama.cpp is not here: {PACKAGE}.", hint=f"pip install {PACKAGE}")
        import torch

        engine = importlib.import_module(PACKAGE)
        self._key = secrets.token_urlsafe(16)
        self._ends, self._most = frozenset(ends), most
        options = engine.CommonParams()
        options.model.path = str(path)
        options.n_ctx, options.n_parallel, options.n_predict = context, 1, most
        options.verbosity, options.warmup, options.api_keys = _QUIET, False, [self._key]
        for part in (options.cpuparams, options.cpuparams_batch):
            part.n_threads = torch.get_num_threads()  # as many as the adapter had
        try:
            self._server: Any = engine.Server(options)
        except RuntimeError as error:
            raise Conflict(f"llama.cpp refuses {path.name}: {error}.", code="model_unusable") from error

    def answer(self, prompt: Sequence[int]) -> Written:
        """The greedy answer to the ids of `prompt`, as `finetune.export.answers.greedy` writes it."""
        reply = self._asked(
            "/completion",
            {
                "prompt": list(prompt),
                "n_predict": self._most,
                "temperature": 0.0,
                "top_k": 1,
                "repeat_penalty": 1.0,
                "n_probs": 1,
                "return_tokens": True,
                "cache_prompt": False,  # the same prompt gives the same answer, whatever came before it
            },
        )
        tokens = [int(token) for token in reply["tokens"]]
        stop = next((n for n, token in enumerate(tokens) if token in self._ends), len(tokens))
        logs = _aligned(tokens, reply.get("completion_probabilities") or [])
        return Written(tuple(tokens[:stop]), tuple(logs[:stop]))

    def tokens(self, text: str) -> list[int]:
        """The ids of a bare text."""
        reply = self._asked("/tokenize", {"content": text, "add_special": False, "parse_special": False})
        return [int(token) for token in reply["tokens"]]

    def _asked(self, path: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        """The engine's own interface; the package's functions leave out the ids. Raises Conflict."""
        address = urlsplit(self._server.listening_address)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
            connection.request("POST", path, json.dumps(wish), headers)
            reply = json.loads(connection.getresponse().read())
        except (OSError, HTTPException, ValueError) as error:
            raise Conflict(f"llama.cpp does not answer: {error}.", code="remote_failed") from error
        finally:
            connection.close()
        if not isinstance(reply, dict) or "tokens" not in reply:
            raise Conflict(f"llama.cpp: {str(reply)[:200]}", code="remote_failed")
        return reply


def _aligned(tokens: Sequence[int], told: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """The log-probability of each token; the engine tells none of those that end within a character."""
    logs: list[float | None] = []
    at = 0
    for token in tokens:
        if at < len(told) and told[at]["id"] == token:
            logs.append(float(told[at]["logprob"]))
            at += 1
        else:
            logs.append(None)
    return logs
