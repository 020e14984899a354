"""Models by hub id: the local hub cache first, then the network where that is allowed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from corpora.errors import Missing

_PART = r"\w(?:(?:(?!--|\.\.)[\w.-])*\w)?"
_HUB_ID = re.compile(rf"{_PART}/{_PART}", re.ASCII)
_LONGEST = 96  # characters
_WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
_UNWANTED = ["*.bin", "*.pt", "*.py", "onnx/*", "openvino/*", "original/*"]
_SECONDS = 5.0


def looks_like_hub_id(name: str) -> bool:
    """Whether `name` has the form `organisation/model`, as the hub allows it; `./model` has not."""
    return len(name) <= _LONGEST and _HUB_ID.fullmatch(name) is not None


def snapshot(name: str, *, offline: bool) -> Path:
    """The folder of a hub model; a whole copy in the local cache is used without asking the network."""
    # Read at import of the library: no telemetry, whatever the environment says.
    os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(int(_SECONDS)))
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError, OSError):
        folder = None
    if folder is not None and is_whole(folder):
        return folder
    if offline:
        raise Missing(
            f"The model {name} is not in the hub cache, and --offline forbids fetching it.",
            hint=f"assistant models pull {name}",
            code="offline",
        )
    return _download(name)


def _download(name: str) -> Path:
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=_WANTED, ignore_patterns=_UNWANTED, etag_timeout=_SECONDS, max_workers=4
            )
        )
    except RepositoryNotFoundError as error:
        raise Missing(
            f"The hub has no model {name} (or it is private).",
            hint="check the name, or log in with: hf auth login",
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, HTTPError, OSError) as error:
        first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        reason = first_line.removeprefix("Got: ")[:160].rstrip(".")
        raise Missing(
            f"The model {name} could not be fetched from the hub: {reason}.",
            hint="check the network, or name a local folder that holds config.json and *.safetensors",
            code="remote_failed",
        ) from error


def is_whole(folder: Path) -> bool:
    """Whether a snapshot holds its configuration and all weights that its index of shards names."""
    if not ((folder / "config.json").is_file() or (folder / "modules.json").is_file()):
        return False
    shards = folder / "model.safetensors.index.json"
    if not shards.is_file():
        return any(folder.glob("*.safetensors")) or any(folder.glob("*/*.safetensors"))
    try:
        names = set(json.loads(shards.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((folder / str(name)).is_file() for name in names)
