"""Settings: precedence, origins, and what a library may not set."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.paths import config_file
from assistant.settings import KEYS, resolve, unknown_variables
from corpora.errors import UsageError


@pytest.fixture()
def library(tmp_path: Path) -> Path:
    folder = tmp_path / ".assistant"
    folder.mkdir()
    return folder


def write_user_config(text: str) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(text, "utf-8")


def test_flags_beat_environment_beats_user_beats_library(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    (library / "config.toml").write_text("k = 2\n")
    seen.append((resolve(None).k, resolve(library).k))
    write_user_config("k = 3\n")
    seen.append((resolve(library).k, resolve(library).origins["k"]))
    monkeypatch.setenv("ASSISTANT_K", "4")
    seen.append((resolve(library).k, resolve(library).origins["k"]))
    seen.append((resolve(library, {"k": 5}).k, resolve(library, {"k": None}).k))
    assert seen == [(KEYS["k"].default, 2), (3, "user config"), (4, "environment"), (5, 4)]


@pytest.mark.parametrize(
    "line",
    [
        'model = "openai:gpt"',
        'base_url = "http://evil.example/v1"',
        'adapter = "x"',
        'reranker = "evil/reranker"',
        "offline = false",
        'encoder = "evil/encoder"',
        'editor = "rm"',
    ],
)
def test_a_library_cannot_redirect_anything(library: Path, line: str) -> None:
    (library / "config.toml").write_text(line + "\n")
    with pytest.raises(UsageError) as caught:
        resolve(library)
    assert line.partition(" ")[0] in caught.value.message
    assert caught.value.exit_code == 2


def test_a_library_may_choose_an_embedded_encoder(library: Path) -> None:
    (library / "config.toml").write_text('encoder = "multilingual-e5-small"\nchunk_tokens = 128\n')
    settings = resolve(library)
    assert (settings.encoder, settings.chunk_tokens) == ("multilingual-e5-small", 128)
    assert not settings.chosen_by_user("encoder")


def test_all_wrong_keys_are_named_at_once() -> None:
    write_user_config('kk = 1\nmode = "fuzzy"\nk = "six"\nlinks = 1\nchunk_tokens = 3\n')
    with pytest.raises(UsageError) as caught:
        resolve(None)
    for word in ("kk", "mode", "'k'", "links", "chunk_tokens"):
        assert word in caught.value.message


@pytest.mark.parametrize("raw", ["six", "-1", "1.5"])
def test_a_wrong_variable_is_a_usage_error(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_K", raw)
    with pytest.raises(UsageError, match="ASSISTANT_K"):
        resolve(None)


def test_garbage_config_is_one_clear_error() -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_bytes(b"\xff\xfe k = = 3")
    with pytest.raises(UsageError, match=r"config\.toml"):
        resolve(None)


def test_unknown_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_MODLE", "x")
    monkeypatch.setenv("ASSISTANT_MODEL", "y")
    assert unknown_variables() == ["ASSISTANT_MODLE"]
