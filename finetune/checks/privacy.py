"""Secrets and personal data: what no model should be taught, by plain patterns and checksums.

Tokens of services are found by the patterns of detect-secrets (its plugins, called on a line; nothing is
verified over the network, none of its settings or files are used). Of its plugins those are left out that
guess: high entropy (any hash or identifier of a document is one), keywords (made for source code), public
IP addresses. Names of people are no personal data here; addresses of reserved domains (`example.com`) and
of offices (`info@...`) are nobody's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from finetune.candidates import Candidate
from finetune.checks.records import Fault

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

_PLUGINS = (
    ("artifactory", "ArtifactoryDetector"),
    ("aws", "AWSKeyDetector"),
    ("azure_storage_key", "AzureStorageKeyDetector"),
    ("basic_auth", "BasicAuthDetector"),
    ("discord", "DiscordBotTokenDetector"),
    ("github_token", "GitHubTokenDetector"),
    ("gitlab_token", "GitLabTokenDetector"),
    ("jwt", "JwtTokenDetector"),
    ("mailchimp", "MailchimpDetector"),
    ("npm", "NpmDetector"),
    ("openai", "OpenAIDetector"),
    ("private_key", "PrivateKeyDetector"),
    ("pypi_token", "PypiTokenDetector"),
    ("sendgrid", "SendGridDetector"),
    ("slack", "SlackDetector"),
    ("square_oauth", "SquareOAuthDetector"),
    ("stripe", "StripeDetector"),
    ("telegram_token", "TelegramBotTokenDetector"),
    ("twilio", "TwilioKeyDetector"),
)
_ALSO = {
    "Private Key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "GitHub Token": re.compile(r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    "OpenAI Token": re.compile(r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}"),
    "Google API Key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "Hugging Face Token": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
}
# "password: hunter2!", "api_key = 'abc...'", "the root password is Tr0ub4dor&3", 密码是…
_ASSIGNED = re.compile(
    r"(?:\b(?:pass(?:word|wd|phrase)|pwd|secret(?:[ _-]?key)?|api[ _-]?key|access[ _-]?(?:key|token)|"
    r"auth[ _-]?token|private[ _-]?key)\b|密码|密碼|口令|密钥|密鑰)"
    r"[\"']?\s*(?:[:=：]|\bis\b|是|为|為)\s*[\"'“`]?(?P<value>[!-~]{6,})",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"^[<\[{(%$]|^(?:your|my|the|example|changeme|password|secret|none|null|true|false|required|optional|"
    r"os\.|env|process\.)|^[x*.•-]{3,}|\.\.\.",
    re.IGNORECASE,
)

_EMAIL = re.compile(
    r"(?<![\w.+-])([A-Za-z0-9][\w.+-]*)@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})(?![\w-])(?!\.\w)", re.ASCII
)
_OFFICE = re.compile(
    r"^(?:info|support|contact|help|sales|office|admin|webmaster|postmaster|noreply|no-reply|press|service|"
    r"enquiries|inquiries|feedback|security|abuse|hello|mail|team|jobs|hr|git|user|name|someone|username)$",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|test|invalid|local|localhost))$",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(?<![\w.+/-])(?:"
    r"\+\d{1,3}[\s.-]?(?:\(\d{1,4}\)[\s.-]?)?\d{2,4}(?:[\s.-]?\d{2,4}){2,4}"  # +44 20 7946 0958
    r"|(?:1[\s.-])?\(\d{3}\)\s?\d{3}[\s.-]\d{4}|\d{3}[-.]\d{3}[-.]\d{4}"  # (202) 555-0143, 202-555-0143
    r"|1[3-9]\d{9}|1[3-9]\d[\s-]\d{4}[\s-]\d{4}"  # a mobile number in China
    r"|0\d{2,3}-\d{7,8}"  # a land line there
    r")(?![\w/-]|\.\d)",
    re.ASCII,  # Han characters may stand close by
)
_CARD = re.compile(r"(?<![\w.+-])(?:\d[ -]?){12,18}\d(?![\w-]|\.\d)", re.ASCII)
_CARD_ISSUER = re.compile(r"^(?:4|5[1-5]|2[2-7]|3[47]|36|38|30[0-5]|6011|65|62|35)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", re.ASCII)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])", re.ASCII)
_CN_ID = re.compile(r"(?<!\w)[1-9]\d{5}(?:19|20)\d{9}[\dXx](?!\w)", re.ASCII)
_CN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_privacy(candidate: Candidate, quotes: Sequence[str] = ()) -> Fault | None:
    """Whether question, input, answer, history or evidence hold a secret or personal data."""
    turns = (message.content for message in candidate.history)
    for text in (candidate.question, candidate.input, candidate.answer or "", *turns, *quotes):
        secret = find_secret(text)
        if secret is not None:
            return Fault("secret", secret)
        personal = find_personal(text)
        if personal is not None:
            return Fault("personal_data", personal)
    return None


@lru_cache(maxsize=256)
def find_secret(text: str) -> str | None:
    """What sort of secret `text` holds, if any."""
    plain = unicodedata.normalize("NFKC", text)
    for name, pattern in _ALSO.items():
        if pattern.search(plain):
            return name
    for found in _ASSIGNED.finditer(plain):
        if _looks_secret(found["value"]):
            return "Password or key"
    for line in plain.splitlines():
        for plugin in _plugins():
            if any(plugin.analyze_string(line)):
                return str(plugin.secret_type)
    return None


@lru_cache(maxsize=256)
def find_personal(text: str) -> str | None:
    """What sort of personal data `text` holds, if any."""
    plain = unicodedata.normalize("NFKC", text)
    for name, pattern, genuine in _PERSONAL:
        if any(genuine(found) for found in pattern.finditer(plain)):
            return name
    return None


def luhn(digits: str) -> bool:
    """The checksum of card numbers (ISO/IEC 7812-1)."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def iban(number: str) -> bool:
    """The checksum of account numbers (ISO 13616: modulo 97)."""
    moved = number[4:] + number[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def chinese_identity(number: str) -> bool:
    """The date and the checksum of a Chinese identity number (GB 11643-1999)."""
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_CN_WEIGHTS, number, strict=False))
    return "10X98765432"[total % 11] == number[17].upper()


def _someones_address(found: re.Match[str]) -> bool:
    return not _OFFICE.match(found[1]) and not _NOBODY.search(found[2])


def _card(found: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", found[0])
    return len(set(digits)) > 1 and bool(_CARD_ISSUER.match(digits)) and luhn(digits)


_PERSONAL: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    ("e-mail address", _EMAIL, _someones_address),
    ("identity number", _CN_ID, lambda found: chinese_identity(found[0])),
    ("social security number", _SSN, lambda found: True),
    ("account number", _IBAN, lambda found: iban(found[0].replace(" ", ""))),
    ("card number", _CARD, _card),
    ("telephone number", _PHONE, lambda found: True),
)


def _looks_secret(value: str) -> bool:
    """Whether a word behind "password is" is a password rather than more of the sentence."""
    bare = value.rstrip(".,;:!?)\"'”’`]}")
    if _PLACEHOLDER.search(bare) or len(bare) < 6:
        return False
    mixed = re.search(r"\d", bare) and re.search(r"[A-Za-z]", bare)
    return bool(mixed or re.search(r"[!@#$%^&*]", bare))


@lru_cache(maxsize=1)
def _plugins() -> tuple[BasePlugin, ...]:
    found = []
    for module, name in _PLUGINS:
        plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)
        found.append(plugin())
    return tuple(found)
