"""Refusals: the sentence that says so, and recognising it in what a model writes."""

from __future__ import annotations

import re
import unicodedata

from corpora.prompt import REFUSAL, Language, language_of

_NOISE = re.compile(r"[\W_]+")
# A model may say the sentence in its own words; only whole sentences that deny the passages count.
_DENIAL = re.compile(
    r"(?:the|these|those|your|provided|given|available|\s)*"
    r"(?:passages?|documents?|context|information|text|sources?)[\w\s]{0,24}"
    r"\b(?:do|does|did)\s?(?:not|n't)\s+(?:contain|mention|provide|include|answer|say|state|specify)\b"
    r"|i (?:found|find|could find|can find) (?:nothing|no (?:information|answer|mention))\b"
    r"|i (?:cannot|can't|could not|couldn't) (?:find|answer)\b"
    r"|(?:您|你)?的?(?:文档|文档中|段落|文中|资料)[^。]{0,8}(?:没有|未|并未)(?:提到|提及|包含|相关|说明|给出)",
    re.IGNORECASE,
)

_UNDECIDED = 100  # letters that an answer with such an opening is held back
_OPENINGS = [
    _NOISE.sub("", opening)
    for opening in (
        *(f"{the}{of}{what}" for the in ("the", "these", "those", "your")
          for of in ("", "provided", "given", "available")
          for what in ("passage", "document", "context", "information", "text", "source")),
        *("i found no", "i find no", "i could not", "i couldn't", "i cannot", "i can't", "i could find no"),
        *(f"{the}{what}" for the in ("您的", "你的", "") for what in ("文档", "段落", "文中", "资料")),
    )
]  # fmt: skip


def refusal_sentence(question: str) -> str:
    """The sentence shown to the user, in the language of the question."""
    language: Language = language_of(question)
    return REFUSAL[language]


def is_refusal(answer: str) -> bool:
    """Whether a whole answer says that the documents do not hold one."""
    plain = _plain(answer)
    if not plain or any(plain.startswith(_plain(sentence)) for sentence in REFUSAL.values()):
        return bool(plain)
    return bool(_DENIAL.match(answer.strip())) and len(answer) < 300


def may_become_refusal(beginning: str) -> bool:
    """Whether an answer that begins like this may still turn out to be a refusal."""
    plain = _plain(beginning)
    sentences = [_plain(sentence) for sentence in REFUSAL.values()]
    if any(sentence.startswith(plain) or plain.startswith(sentence) for sentence in sentences):
        return True
    return len(plain) < _UNDECIDED and any(
        opening.startswith(plain) or plain.startswith(opening) for opening in _OPENINGS
    )


def _plain(text: str) -> str:
    return _NOISE.sub("", unicodedata.normalize("NFKC", text).casefold())
