"""The only place that turns errors into words and exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from corpora.errors import AssistantError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of the contract (DESIGN: 0 1 2 3 4 5 6 7 8 130 143)."""
    from typer.exceptions import TyperException

    from assistant.cli import app
    from assistant.environment import quiet_third_parties

    quiet_third_parties()
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        return int(app(args=arguments, prog_name="assistant", standalone_mode=False) or 0)
    except AssistantError as error:
        _report(error.code, error.message, error.hint, as_json)
        return error.exit_code
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer vendors this class without a public name
            sys.stdout.write(f"{error}\n")
            return 2
        wording = getattr(error, "format_message", None)
        message = wording() if wording else str(error)
        known = arguments and not arguments[0].startswith("-") and "No such command" not in message
        command = f"assistant {arguments[0]}" if known else "assistant"
        _report("usage", message, f"{command} --help", as_json)
        return 2
    except BrokenPipeError:
        return _reader_gone()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except MemoryError:
        _report("out_of_memory", "Out of memory.", "close other programs, or use a smaller model", as_json)
        return 1
    except OSError as error:
        code, exit_code = ("no_space", 6) if error.errno == 28 else ("io", 6)
        _report(code, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), None, as_json)
        return exit_code
    except Exception as error:
        if os.environ.get("ASSISTANT_DEBUG"):
            traceback.print_exc()
        hint = "this is a bug; run again with ASSISTANT_DEBUG=1 and report what it prints"
        _report("bug", f"{type(error).__name__}: {error}", hint, as_json)
        return 1


def _report(code: str, message: str, hint: str | None, as_json: bool) -> None:
    from assistant.terminal import clean_line

    if as_json:
        import json

        text = json.dumps(
            {"error": {"code": code, "message": message, "hint": hint}},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        sys.stderr.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")
        return
    sys.stderr.write(f"error: {clean_line(message)}\n")
    if hint:
        sys.stderr.write(f"  try: {clean_line(hint)}\n")


def _reader_gone() -> int:
    """The reader went away (`| head`): no fault, and nothing more can be said on this pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _terminated(_signal: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _open_streams() -> None:
    """Streams that were closed become empty ones, before a file gets their number; text goes out as UTF-8."""
    nothing = Path(os.devnull)
    # In the order of their numbers, since each takes the lowest that is free; open as long as we run.
    sys.stdin = sys.stdin or nothing.open(encoding="utf-8")
    sys.stdout = sys.stdout or nothing.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nothing.open("w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def run() -> None:
    """Entry point of the `assistant` command."""
    _open_streams()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = main()
        sys.stdout.flush()
    except SystemExit as stop:
        code = int(stop.code or 0) if not isinstance(stop.code, str) else 1
        if isinstance(stop.__context__, BrokenPipeError):  # Typer makes an exit of it
            code = _reader_gone()
    except BrokenPipeError:
        code = _reader_gone()
    sys.exit(code)


if __name__ == "__main__":
    run()
