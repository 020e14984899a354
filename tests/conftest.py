"""Every test runs in a home of its own, without the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# As `assistant.runtime` does for the program: tests run side by side, and spinning threads starve each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME and XDG folders of this test alone; no ASSISTANT_* variable leaks in."""
    home = tmp_path_factory.mktemp("home")
    for name in [
        name for name in os.environ if name.startswith("ASSISTANT_") and name != "ASSISTANT_TEST_CACHE"
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home


@pytest.fixture(scope="session")
def weights_cache() -> Path:
    """The cache that holds the embedded weights between test runs; fetched here, before any test looks."""
    named = os.environ.get("ASSISTANT_TEST_CACHE")
    cache = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = Path(sys.executable).with_name("assistant")
    for model in ("all-minilm-l6-v2", "multilingual-e5-small", "smollm2-135m"):
        done = subprocess.run(
            [program, "models", "pull", model],
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return cache


@pytest.fixture()
def embedded_models(weights_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets a test use the embedded models: XDG_CACHE_HOME points at the shared weights cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(weights_cache))
    return weights_cache


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Human-made data beside the checkout; tests that read it are skipped where it is not there."""
    named = os.environ.get("ASSISTANT_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the checkout")
    return folder
