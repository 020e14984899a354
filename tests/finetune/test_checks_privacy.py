"""Secrets and personal data are found, also in instruction outputs; what only looks like them is not."""

from __future__ import annotations

import multiprocessing
import sys

import pytest

from finetune.candidates import Candidate
from finetune.checks.privacy import check_privacy, chinese_identity, find_personal, find_secret, iban, luhn

# In two parts, so that no scanner takes this file for a leak.
SECRETS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED " + "PRIVATE KEY-----",
    "ghp_" + "a1B2c3D4" * 4 + "e5F6",
    "github_pat_" + "11ABCDEFG0abcdefghij_klmnop",
    "sk-proj-" + "abcDEF123456" * 4,
    "xoxb-" + "123456789012-123456789012-abcdefABCDEF",
    "hf_" + "abcdefghij" * 3 + "klmn",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "https://user:" + "hunter22@db.internal/x",
    "the root password is Tr0ub4dor&3",
    "password: hunter2!",
    "API_KEY = 'a1b2c3d4e5f6'",
    "数据库密码是Abc12345。",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcDEF123",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets(text: str) -> None:
    assert find_secret(f"Some words before {text} and behind.") is not None


@pytest.mark.parametrize(
    "text",
    [
        "The password is required for all users.",
        "password: <your password>",
        "api_key=os.environ['KEY']",
        "The secret of the castle is its garden.",
        "commit 9f2c1b7a8e6d5c4b3a291807f6e5d4c3b2a19080",
        "a3f5b8c2-1234-4d5e-8f90-abcdef123456",
        "The passphrase was invented in 1982.",
        "密码是什么意思？",
        "BEGIN PUBLIC KEY",
        "See https://example.org/path:80 at noon.",
        "AKIA is a village.",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert find_secret(text) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Write to anna.kerr@brannock-harbour.org today.", "e-mail address"),
        ("邮箱：wang.wei@163.com。", "e-mail address"),
        ("Call +44 20 7946 0958 now.", "telephone number"),
        ("Call (202) 555-0143.", "telephone number"),
        ("Call 202-555-0143.", "telephone number"),
        ("手机号13812345678请记好", "telephone number"),
        ("电话：０１０－６２７５１４０７", "telephone number"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "account number"),
        ("DE89370400440532013000", "account number"),
        ("card 4111 1111 1111 1111", "card number"),
        ("card 5500-0055-5555-5559", "card number"),
        ("SSN 219-09-9999", "social security number"),
        ("身份证号码11010519491231002X。", "identity number"),
    ],
)
def test_personal_data(text: str, what: str) -> None:
    assert find_personal(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "Write to info@brannock-harbour.org.",
        "Write to jane@example.com.",
        "Anna Kerr was born in Brannock on 3 May 1850.",
        "The population was 1,345,596 in 2010 and 1 345 600 in 2011.",
        "4111 1111 1111 1112 fails its checksum.",
        "GB82 WEST 1234 5698 7654 33",
        "ISBN 978-3-16-148410-0",
        "doi:10.1000/182.2023.123456789",
        "1949-12-31 to 1950-01-02",
        "000-12-3456",
        "From 1874-1902 and 1902-1910.",
        "3.14159265358979323846",
        "110105194912310021",
        "192.168.0.1",
        "code@line",
        "2008年8月15日及8月16日",
    ],
)
def test_what_is_nobodys(text: str) -> None:
    assert find_personal(text) is None


def test_checksums() -> None:
    assert luhn("79927398713") and not luhn("79927398710")
    assert iban("GB82WEST12345698765432") and not iban("GB82WEST12345698765431")
    assert chinese_identity("11010519491231002X") and not chinese_identity("110105194912310021")
    assert not chinese_identity("110105194913310029")  # month 13


@pytest.mark.parametrize("field", ["question", "input", "answer", "quote"])
def test_every_part_is_looked_at_and_instructions_too(field: str) -> None:
    parts = {
        "question": "Write a letter.",
        "input": "To a friend.",
        "answer": "Dear friend.",
        "quote": "Quote.",
    }
    parts[field] += " My number is +44 20 7946 0958."
    candidate = Candidate(
        "self-instruct",
        "instruction",
        "en",
        parts["question"],
        parts["answer"],
        (),
        "t",
        "1",
        input=parts["input"],
    )
    fault = check_privacy(candidate, [parts["quote"]])
    assert fault is not None and fault.reason == "personal_data"


def test_looking_starts_no_process_and_leaves_detect_secrets_alone() -> None:
    find_secret("anything at all, once more")
    assert not multiprocessing.active_children()
    settings = sys.modules.get("detect_secrets.settings")
    assert settings is not None and not settings.get_settings().plugins
