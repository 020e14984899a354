"""Models by folder and by hub id: what is taken, what is refused, and how soon."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from corpora.errors import Conflict, Missing
from index.weights import model_folder
from index.weights.hub import is_whole

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"weights", "tokenizer.json": b"{}"}
PICKLED = {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."}


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_with_safetensors_is_itself(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", FILES)
    assert model_folder(str(folder), offline=True) == folder


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", PICKLED)
    with pytest.raises(
        Conflict, match=r"Refused pytorch_model\.bin.*pickle can run code. Ask for safetensors"
    ):
        model_folder(str(folder), offline=True)


def test_a_folder_without_weights_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="holds no model"):
        model_folder(str(fill(tmp_path / "empty", {"config.json": b"{}"})), offline=True)


@pytest.mark.parametrize(
    "name",
    [
        *("no-such-model", "a/b/c", "https://hub/model", "../away/from", "org/na me", "./mistyped", "../up"),
        *("a--b/c", "org/x..y", "-a/b", "org/" + "x" * 100),
    ],
)
def test_a_name_that_is_nothing_is_missing(name: str) -> None:
    with pytest.raises(Missing) as caught:
        model_folder(name, offline=False)
    assert caught.value.exit_code == 8


def hub_cache(home: Path, files: dict[str, bytes]) -> Path:
    repository = home / "cache" / "huggingface" / "hub" / "models--org--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return fill(repository / "snapshots" / COMMIT, files)


@pytest.fixture()
def hub_home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub library reads its settings at import: they are set where it keeps them."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(own_home / "cache" / "huggingface" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return own_home


@pytest.mark.parametrize("offline", [True, False])
def test_a_whole_snapshot_in_the_hub_cache_needs_no_network(hub_home: Path, offline: bool) -> None:
    folder = hub_cache(hub_home, FILES)
    assert model_folder("org/model", offline=offline) == folder


def test_a_hub_model_that_is_not_here_is_refused_offline(hub_home: Path) -> None:
    with pytest.raises(Missing, match="--offline") as caught:
        model_folder("org/model", offline=True)
    assert caught.value.code == "offline"


def test_a_hub_that_cannot_be_reached_is_an_error_within_seconds(
    hub_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(Missing, match="could not be fetched") as caught:
        model_folder("org/model", offline=False)
    assert caught.value.code == "remote_failed"
    assert time.monotonic() - began < 10


def test_a_snapshot_whose_shards_are_not_all_there_is_not_whole(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    folder = fill(
        tmp_path / "model",
        {
            "config.json": b"{}",
            "model-1.safetensors": b"",
            "model.safetensors.index.json": json.dumps(index).encode(),
        },
    )
    assert not is_whole(folder)
    (folder / "model-2.safetensors").write_bytes(b"")
    assert is_whole(folder)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's interface as a download of `org/model` needs."""

    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        name = path.rpartition(f"/org/model/resolve/{COMMIT}/")[2]
        if path.startswith("/api/models/org/model/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(self.files[name]), "oid": name}
                for name in self.files
            ]
            self._send(200, json.dumps(tree).encode(), body)
        elif path.startswith("/api/models/org/model"):
            siblings = [{"rfilename": name} for name in self.files]
            found = json.dumps({"id": "org/model", "sha": COMMIT, "siblings": siblings}).encode()
            self._send(200, found, body)
        elif path.startswith("/org/model/resolve/") and name in self.files:
            self.asked.append(name)
            self._send(200, self.files[name], body)
        else:
            self._send(404, b"{}", body)

    def _send(self, status: int, data: bytes, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{abs(hash(data)):x}"')
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture()
def hub(hub_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    from huggingface_hub import constants

    handler = type("ThisHub", (Hub,), {"files": dict(FILES), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_hub_model_is_fetched_once_and_only_its_data(hub: type[Hub]) -> None:
    hub.files |= {"modeling.py": b"import os", "pytorch_model.bin": b"\x80\x04.", "onnx/config.json": b"{}"}
    folder = model_folder("org/model", offline=False)
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert not {"modeling.py", "pytorch_model.bin", "onnx/config.json"} & set(hub.asked)
    hub.asked.clear()
    assert model_folder("org/model", offline=False) == folder
    assert hub.asked == []


def test_a_hub_model_of_pickles_is_no_model(hub: type[Hub]) -> None:
    hub.files.clear()
    hub.files.update(PICKLED)
    with pytest.raises(Missing, match="safetensors"):
        model_folder("org/model", offline=False)


def test_a_hub_id_that_does_not_exist_says_so(hub: type[Hub]) -> None:
    with pytest.raises(Missing, match="no model org/absent"):
        model_folder("org/absent", offline=False)
