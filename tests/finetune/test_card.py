"""card.json: what is written comes back; what anybody else may have written is refused or ignored."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpora.errors import Conflict, StorageError
from finetune.card import (
    Base,
    Card,
    Data,
    DocumentVersion,
    GateVerdict,
    Parent,
    Part,
    Serving,
    Setting,
    Source,
    Training,
    is_adapter_name,
)

H = "0123456789abcdef" * 4
CARD = Card(
    name="towns-2",
    created="2026-02-03T04:05:06+00:00",
    base=Base("smollm2-135m", H, "a rounding"),
    template_sha256=H,
    prompt_version="1",
    weights_sha256=H,
    method="lora",
    data=Data(
        H,
        {"grounded": 3, "missing": 1},
        {"self-qa": 4},
        ("en", "zh"),
        (DocumentVersion("docs/灯塔.md", H), DocumentVersion("docs/odd\udcff.md", H)),
        (Source("your documents", None, 3), Source("questions", "CC BY-SA 4.0", 1)),
    ),
    serving=Serving(examples=False, refusal_threshold=0.25),
    parent=Parent("grounding", H),
    merged_from=(Part("a", H, 0.5), Part("b", H, -1.0)),
    settings={"rank": Setting(16, "flag"), "rate": Setting(2e-4, "probe"), "x": Setting(None, "default")},
    versions={"torch": "2.13"},
    training=Training(10, None, 1000, 2.5, 1 << 30, 1.0, None),
    verdict=GateVerdict(True, True, "better", ("F1  0.5",), {"gain": 0.1, "systems": [{"n": 1}, None]}),
    licences=("CC BY-SA 4.0",),
)


def written(folder: Path) -> dict[str, Any]:
    CARD.write(folder)
    value: dict[str, Any] = json.loads((folder / "card.json").read_bytes())
    return value


def refused(folder: Path) -> str:
    with pytest.raises(Conflict) as caught:
        Card.read(folder)
    assert (caught.value.exit_code, caught.value.code) == (5, "bad_card")
    return caught.value.message


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    CARD.write(tmp_path)
    assert Card.read(tmp_path) == CARD
    bare = replace(CARD, serving=None, parent=None, merged_from=(), training=None, verdict=None)
    bare.write(tmp_path)
    assert Card.read(tmp_path) == bare
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


def test_keys_that_are_not_known_are_kept_out(tmp_path: Path) -> None:
    value = written(tmp_path) | {"__class__": "os.system", "extra": {"deep": [1]}}
    value["base"]["revision"] = "main"
    (tmp_path / "card.json").write_text(json.dumps(value))
    assert Card.read(tmp_path) == CARD


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    value = written(tmp_path)
    del value["base"]["fingerprint"]
    (tmp_path / "card.json").write_text(json.dumps(value))
    assert "base.fingerprint" in refused(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda card: card.update(name="../../x"), "name"),
        (lambda card: card.update(name="a/b"), "name"),
        (lambda card: card.update(name="none"), "name"),
        (lambda card: card.update(name=7), "name"),
        (lambda card: card.update(format=2), "format"),
        (lambda card: card.pop("format"), "format"),
        (lambda card: card.update(weights_sha256="xyz"), "hash"),
        (lambda card: card.update(weights_sha256=None), "weights_sha256"),
        (lambda card: card["base"].update(fingerprint=H.upper()), "hash"),
        (lambda card: card.update(base=[]), "base"),
        (lambda card: card["serving"].update(examples=1), "examples"),
        (lambda card: card["serving"].update(examples="false"), "examples"),
        (lambda card: card["serving"].update(refusal_threshold=1.5), "refusal_threshold"),
        (lambda card: card["serving"].update(refusal_threshold=True), "refusal_threshold"),
        (lambda card: card["data"]["kinds"].update(grounded="3"), "kinds"),
        (lambda card: card["data"]["documents"][0].update(path=None), "path"),
        (lambda card: card["settings"]["rank"].update(value=[1]), "value"),
        (lambda card: card.update(purpose="anything"), "purpose"),
        (lambda card: card["training"].update(steps=1.5), "steps"),
        (lambda card: card["verdict"].update(promoted="yes"), "promoted"),
        (lambda card: card.update(method="x" * 200_000), "method"),
    ],
)
def test_a_value_of_another_kind_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    value = written(tmp_path)
    change(value)
    (tmp_path / "card.json").write_text(json.dumps(value))
    assert named in refused(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"format": 1, "name": NaN}',
        b"[" * 200_000,
        b'{"format": 1, "name": ' + b"9" * 10_000 + b"}",
        b'"' + b"x" * (17 << 20) + b'"',
    ],
    ids=["empty", "null", "list", "cut", "no text", "NaN", "deep", "long number", "17 MB"],
)
def test_what_is_no_card_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "card.json").write_bytes(data)
    refused(tmp_path)


def test_a_number_that_is_infinite_is_refused(tmp_path: Path) -> None:
    value = json.dumps(written(tmp_path)).replace("0.25", "1e999")
    (tmp_path / "card.json").write_text(value)
    assert "refusal_threshold" in refused(tmp_path)


def test_only_a_file_of_its_own_is_read(tmp_path: Path) -> None:
    assert "no card.json" in refused(tmp_path)
    secret = tmp_path / "elsewhere.json"
    CARD.write(tmp_path)
    (tmp_path / "card.json").rename(secret)
    (tmp_path / "card.json").symlink_to(secret)
    refused(tmp_path)
    (tmp_path / "card.json").unlink()
    os.mkfifo(tmp_path / "card.json")  # opening it for reading would wait for ever
    refused(tmp_path)
    (tmp_path / "card.json").unlink()
    (tmp_path / "card.json").mkdir()
    refused(tmp_path)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        CARD.write(tmp_path / "absent")


@pytest.mark.parametrize("name", ["a", "towns-2", "A.b_c-1", "x" * 64])
def test_names(name: str) -> None:
    assert is_adapter_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "a\n", "é", "none", "x" * 65, "a\0b", "~x"]
)
def test_what_is_no_name(name: str) -> None:
    assert not is_adapter_name(name)
