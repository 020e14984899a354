"""The chat's tests share a driver: small documents, and the real engine behind a scripted model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chat_driver import make_library


@pytest.fixture(scope="session")
def made_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents and their library; to be copied, not used."""
    folder = tmp_path_factory.mktemp("made")
    make_library(folder)
    return folder


@pytest.fixture()
def docs(made_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with documents and their library, as the working folder."""
    import shutil

    folder = tmp_path / "docs"
    shutil.copytree(made_library, folder)
    monkeypatch.chdir(folder)
    return folder
