"""The child process that reads files: one request in, three frames out, until its input closes.

Started by `corpora.readers.sandbox`, never imported by it: it puts limits on itself, gives up the network,
and then handles files that may be hostile. A frame is a length (8 bytes, big-endian) and that many bytes. The
answer is what was read (hash, size, time), what came of it but for the text, both JSON, and the text itself.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import importlib
import json
import os
import resource
import signal
import stat
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from corpora.readers import ReadProblem
from corpora.readers.detect import detect
from corpora.readers.hidden import strip_hidden
from corpora.records import Extracted, Skipped

OUT_OF_MEMORY = 70
"""Exit status of a child that ran out of its memory."""

_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000


def main() -> None:
    """Serve requests from standard input until it closes; standard output belongs to the protocol."""
    requests, answers = _take_pipes()
    setup = _receive(requests)
    if setup is None:
        return
    _limit(setup)
    _send(answers, {"ready": True})
    while (request := _receive(requests)) is not None:
        try:
            _serve(request, setup, answers)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Private copies of both pipes; what a parser prints goes nowhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return requests, answers


def _limit(setup: dict[str, Any]) -> None:
    """Memory, file size and open files; no network where the kernel lets go of it; die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != setup["parent"]:
            os._exit(0)  # the parent was gone before the line above took hold
        # A user namespace would take root's right to read others' files, and root does not need one.
        libc.unshare(_CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER)
    _lower(resource.RLIMIT_AS, setup["memory_bytes"])
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 64)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def _serve(request: dict[str, Any], setup: dict[str, Any], answers: BinaryIO) -> None:
    _arm_cpu_limit(setup["cpu_seconds"])
    path: bytes = request["path"].encode("latin-1")
    seen: dict[str, Any] = {"sha256": None, "size": None, "mtime_ns": None}
    outcome: Extracted | Skipped
    try:
        data = _read_file(path, setup["file_bytes"], seen)
        _send(answers, seen)
        outcome = _extract(data, os.fsdecode(path.rpartition(b"/")[2]), setup["readers"])
    except ReadProblem as problem:
        if seen["sha256"] is None:
            _send(answers, seen)
        outcome = Skipped(problem.code, " ".join(problem.reason.split())[:300])
    _answer(outcome, setup, answers)


def _arm_cpu_limit(seconds: int) -> None:
    """The kernel ends this process (SIGXCPU) after `seconds` more of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or soft <= hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _read_file(path: bytes, limit: int, seen: dict[str, Any]) -> bytes:
    """All bytes of a regular file; `seen` gets its sha256, size and time as they were while it was read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise _open_problem(error) from error
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise ReadProblem("not_a_file", "not a regular file")
        seen.update(size=before.st_size, mtime_ns=before.st_mtime_ns)
        if before.st_size > limit:
            raise ReadProblem("too_large", f"{before.st_size:,} bytes; the limit is {limit:,}")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(before.st_size + 1)
        after = os.fstat(descriptor)
    except OSError as error:
        raise ReadProblem("unreadable", (error.strerror or "I/O error").lower()) from error
    finally:
        os.close(descriptor)
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise ReadProblem("vanished", "changed while it was being read")
    seen["sha256"] = hashlib.sha256(data).hexdigest()
    return data


def _open_problem(error: OSError) -> ReadProblem:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return ReadProblem("vanished", "gone before it could be read")
    if error.errno == errno.ELOOP:
        return ReadProblem("vanished", "became a symbolic link before it could be read")
    if error.errno in {errno.ENXIO, errno.ENODEV}:
        return ReadProblem("not_a_file", "not a regular file")
    return ReadProblem("unreadable", (error.strerror or "cannot be opened").lower())


def _extract(data: bytes, name: str, readers: dict[str, str]) -> Extracted:
    kind = detect(data, name)
    module, _, function = readers[kind].partition(":")
    try:
        read = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise ReadProblem("crashed", f"the reader for {kind} cannot be loaded: {error}") from error
    try:
        extracted = strip_hidden(read(data, name))
    except (ReadProblem, MemoryError):
        raise
    except RecursionError as error:
        raise ReadProblem("damaged", f"cannot be read as {kind}: nested too deeply") from error
    except Exception as error:
        reason = f"cannot be read as {kind}: {type(error).__name__}: {error}"
        raise ReadProblem("damaged", reason) from error
    if not extracted.text.strip():
        raise ReadProblem("empty", "no visible text")
    return extracted


def _answer(outcome: Extracted | Skipped, setup: dict[str, Any], answers: BinaryIO) -> None:
    if isinstance(outcome, Extracted) and len(outcome.text) > setup["output_bytes"]:
        outcome = _too_much(setup)
    rest, text = _packed(outcome)
    if len(rest) + len(text) > setup["output_bytes"]:
        rest, text = _packed(_too_much(setup))
    _send_bytes(answers, rest)
    _send_bytes(answers, text)


def _too_much(setup: dict[str, Any]) -> Skipped:
    return Skipped("too_large", f"gives more than {setup['output_bytes'] >> 20} MiB of text")


def _packed(outcome: Extracted | Skipped) -> tuple[bytes, bytes]:
    """All but the text as JSON, and the text as UTF-8."""
    # A child that has grown is not kept: what is left of its memory would decide about the next file.
    rest: dict[str, Any] = {"worn": _address_space() > resource.getrlimit(resource.RLIMIT_AS)[0] // 2}
    if isinstance(outcome, Skipped):
        rest["skipped"] = [outcome.code, outcome.reason]
        return _json(rest), b""
    rest["kind"] = outcome.kind
    rest["marks"] = [[mark.start, mark.page, mark.heading] for mark in outcome.marks]
    rest["blocks"] = [[span.start, span.end] for span in outcome.blocks]
    rest["hidden_removed"] = outcome.hidden_removed
    rest["notes"] = outcome.notes
    return _json(rest), outcome.text.encode("utf-8")


def _json(value: dict[str, Any]) -> bytes:
    # "replace": a note or a reason may quote a lone surrogate; texts and headings hold none.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _address_space() -> int:
    # Not ru_maxrss: that begins at the size of the parent, which may hold a language model.
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _receive(requests: BinaryIO) -> dict[str, Any] | None:
    head = requests.read(8)
    if len(head) < 8:
        return None
    message: dict[str, Any] = json.loads(requests.read(struct.unpack(">Q", head)[0]))
    return message


def _send(answers: BinaryIO, message: dict[str, Any]) -> None:
    _send_bytes(answers, _json(message))


def _send_bytes(answers: BinaryIO, frame: bytes) -> None:
    answers.write(struct.pack(">Q", len(frame)))
    answers.write(frame)
    answers.flush()
