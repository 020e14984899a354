"""From messages to token ids, so that no text of a message can become a special token.

The template is rendered once around unguessable placeholders; what lies between them is the template's own
and is encoded with special tokens, what replaces them is data and is encoded without. Serving and training
share this function, so that a prompt has the same ids in both.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from corpora.errors import Conflict
from corpora.records import Message

_WORKER = Path(__file__).with_name("chat_template_worker.py")
_WALL_SECONDS = 20.0
_BEHIND_SYSTEM = "\n\n"  # between instructions and question where both are one turn


class TextEncoder(Protocol):
    """The part of a tokenizer that is needed here; never adds tokens of its own at the ends."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Ids of `text`; strings of special tokens become those tokens only where `special`."""

    @property
    def forbidden(self) -> Mapping[str, int]:
        """Strings and ids of the tokens that data may never become: all added control tokens."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's template with its special strings (bos_token, eos_token, ...)."""

    source: str
    special_strings: Mapping[str, str]

    def pieces(self, roles: Sequence[str]) -> list[str]:
        """The template's own text around the contents of `roles`: one piece more than there are roles.

        Ends with what opens the assistant's turn. Where the template refuses a system message (Gemma, early
        Mistral), leaves it out, or puts it into a later turn, the instructions open the first turn of the
        user. Raises Conflict for a template that fails, does not end, or does not show each content exactly
        once and in order.
        """
        try:
            return self._pieces(roles)
        except Conflict:
            if tuple(roles[:2]) != ("system", "user"):
                raise
            opening, *rest = self._pieces(roles[1:])
            return [opening, _BEHIND_SYSTEM, *rest]

    def _pieces(self, roles: Sequence[str]) -> list[str]:
        marks = [f"content{secrets.token_hex(12)}" for _ in roles]
        turns = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
        variables = {
            **self.special_strings,
            "messages": turns,
            "add_generation_prompt": True,
            "enable_thinking": False,
            "tools": None,
            "documents": None,
        }
        text = _rendered(self.source, variables)
        pieces = re.split("|".join(marks), text)
        if re.findall("|".join(marks), text) != marks:
            raise Conflict("The model's chat template drops or repeats messages.", code="bad_template")
        return pieces


def encode_chat(messages: Sequence[Message], pieces: Sequence[str], encoder: TextEncoder) -> list[int]:
    """Ids of a conversation; `pieces` come from `ChatTemplate.pieces` for the roles of `messages`."""
    ids: list[int] = []
    for piece, message in zip(pieces, messages, strict=False):
        ids += encoder.encode(piece, special=True)
        ids += encode_data(message.content.strip(), encoder)
    return ids + encoder.encode(pieces[-1], special=True)


def encode_data(text: str, encoder: TextEncoder) -> list[int]:
    """Ids of untrusted text, none of them forbidden: strings of such tokens are encoded in two halves."""
    forbidden = encoder.forbidden
    if not forbidden:
        return encoder.encode(text, special=False)
    ids: list[int] = []
    for part in _cut(text, forbidden):
        ids += _encode_part(part, encoder, frozenset(forbidden.values()))
    return ids


def _encode_part(text: str, encoder: TextEncoder, forbidden: Collection[int]) -> list[int]:
    # A tokenizer that normalises before it matches (NFKC, lower case) finds tokens that no search of ours
    # sees; halving ends at single characters, and one that still is a control token is left out.
    ids = encoder.encode(text, special=False)
    if not any(token in forbidden for token in ids):
        return ids
    if len(text) <= 1:
        return [token for token in ids if token not in forbidden]
    middle = len(text) // 2
    return [
        *_encode_part(text[:middle], encoder, forbidden),
        *_encode_part(text[middle:], encoder, forbidden),
    ]


def _cut(text: str, forbidden: Mapping[str, int]) -> list[str]:
    strings = sorted((string for string in forbidden if len(string) > 1), key=len, reverse=True)
    if not strings:
        return [text]
    cuts = [
        found.start() + 1 for found in re.finditer("|".join(f"(?={re.escape(s)})" for s in strings), text)
    ]
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if start < end]


def _rendered(template: str, variables: Mapping[str, object]) -> str:
    request = json.dumps({"template": template, "variables": variables})
    try:
        done = subprocess.run(  # noqa: S603 - our own file, by our own interpreter
            [sys.executable, "-I", str(_WORKER)],
            input=request,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_WALL_SECONDS,
            check=False,
        )
        reply = json.loads(done.stdout) if done.returncode == 0 else {"error": "it ran out of time or memory"}
    except (subprocess.TimeoutExpired, ValueError):
        reply = {"error": "it does not end"}
    if "text" not in reply:
        raise Conflict(f"The model's chat template failed: {reply['error']}.", code="bad_template")
    return str(reply["text"])
