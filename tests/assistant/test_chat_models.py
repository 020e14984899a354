"""Chat models by name: providers, offline, keys, tracing; nothing here loads weights."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from assistant.chat_models import load_chat_model
from assistant.chat_models.remote import is_loopback, remote_errors
from assistant.chat_models.talk import foreign_letters, stream_text
from corpora.errors import AssistantError, Conflict, Missing, UsageError
from corpora.records import Message


@pytest.mark.parametrize(
    ("name", "base_url", "endpoint"),
    [
        ("ollama:llama3.2", None, "http://localhost:11434/v1"),
        ("vllm:qwen", None, "http://localhost:8000/v1"),
        ("my-model", "http://127.0.0.1:9000/v1", "http://127.0.0.1:9000/v1"),
        ("openai:gpt-4o-mini", None, "https://api.openai.com/v1"),
    ],
)
def test_remote_names_and_their_servers(
    name: str, base_url: str | None, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    model = load_chat_model(name, base_url=base_url)
    assert str(model.openai_api_base) == endpoint  # type: ignore[attr-defined]
    assert model.temperature == 0  # type: ignore[attr-defined]


def test_the_first_use_of_a_host_says_where_the_text_goes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("assistant.chat_models.remote._announced", set())
    load_chat_model("m", base_url="https://models.example.org/v1")
    load_chat_model("m", base_url="https://models.example.org/v1")
    assert capfd.readouterr().err.count("models.example.org") == 1


def test_offline_allows_this_machine_and_nothing_else() -> None:
    assert load_chat_model("ollama:m", offline=True)
    for name, url in (
        ("openai:gpt-4o", None),
        ("m", "http://192.168.1.5:8000/v1"),
        ("anthropic:claude", None),
    ):
        with pytest.raises(Missing) as caught:
            load_chat_model(name, base_url=url, offline=True)
        assert (caught.value.exit_code, caught.value.code) == (8, "offline")


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost.example.org", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("example.org", False),
    ],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(Missing, match="OPENAI_API_KEY"):
        load_chat_model("openai:gpt-4o-mini")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:8000", "ftp://x/v1", ""])
def test_a_base_url_must_be_http(url: str) -> None:
    with pytest.raises(UsageError):
        load_chat_model("m", base_url=url)


def test_a_key_in_the_address_is_refused() -> None:
    with pytest.raises(Conflict, match="environment"):
        load_chat_model("m", base_url="https://user:secret@example.org/v1")


def test_other_providers_name_the_package_they_need() -> None:
    with pytest.raises(Missing) as caught:
        load_chat_model("anthropic:claude-x")
    assert caught.value.hint == "pip install langchain-anthropic"


def test_an_unreachable_server_is_one_line_and_exit_8() -> None:
    model = load_chat_model("m", base_url="http://127.0.0.1:9/v1")
    model.max_retries = 0  # type: ignore[attr-defined]
    with pytest.raises(Missing) as caught:
        list(stream_text(model, [Message("user", "hello")], 8))
    assert (caught.value.exit_code, caught.value.code) == (8, "remote_failed")
    assert "\n" not in caught.value.message


def test_errors_of_ours_pass_through() -> None:
    with pytest.raises(UsageError), remote_errors("m"):
        raise UsageError("as it is")


def test_a_remote_model_takes_no_adapter() -> None:
    with pytest.raises(UsageError):
        load_chat_model("ollama:m", adapter="mine")
    assert load_chat_model("ollama:m", adapter="none")
    assert load_chat_model("ollama:m", default_adapter=True)


def test_an_unknown_local_name_is_missing() -> None:
    with pytest.raises(AssistantError) as caught:
        load_chat_model("no such model", offline=True)
    assert caught.value.exit_code in (2, 8)


TRACING = (
    "import os, sys\n"
    "from assistant.chat_models import load_chat_model\n"
    "load_chat_model('ollama:m')\n"
    "from langsmith.utils import tracing_is_enabled\n"
    "from langchain_core.tracers.langchain import LangChainTracer\n"
    "print(tracing_is_enabled(), os.environ['HF_HUB_DISABLE_TELEMETRY'], os.environ['LANGSMITH_TRACING'])\n"
)


def test_tracing_and_telemetry_are_off_whatever_the_environment_says() -> None:
    environment = os.environ | {
        "LANGSMITH_TRACING": "true",
        "LANGCHAIN_TRACING_V2": "true",
        "LANGCHAIN_TRACING": "true",
        "LANGSMITH_TRACING_V2": "true",
        "LANGSMITH_API_KEY": "x",
        "HF_HUB_DISABLE_TELEMETRY": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", TRACING], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "1", "false"]


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("What is 算法?", "算法"),
        ("plain English, naïve café", ""),
        ("Это тест", "Этотест"),
        ("a long English sentence with 中", ""),
    ],
)
def test_letters_of_another_script(text: str, foreign: str) -> None:
    assert foreign_letters(text) == foreign
