"""How quick the chat is, seen from the other end of a pseudo-terminal.

    python tests/bench/chat.py                        first paint, key latency, memory (a scripted model)
    python tests/bench/chat.py --embedded             key latency while the embedded model writes
    python tests/bench/chat.py --turns 200            turns of the memory measurement

First paint: seconds from starting `assistant chat` to the first picture, warm, in a folder with a library.
Key latency: milliseconds from a key press to its letter on the terminal, while tokens stream. Memory:
resident MB of the chat's own process after 20 turns, half of them and all. Prints a JSON object for each, and
keeps them in `tests/bench/results/chat.json`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "tui"))
from chat_driver import make_library  # noqa: E402
from pty_driver import Terminal  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "chat.json"
DRIVER = REPOSITORY / "tests" / "tui" / "chat_driver.py"
LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюяαβγδεζηθικλμνξοπρστυφχψω"
LONG = " ".join(f"The lighthouse was built in 1874, as line {n} of the chronicle says." for n in range(200))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--embedded", action="store_true", help="key latency with the embedded model")
    options.add_argument("--keys", type=int, default=200, help="key presses measured")
    options.add_argument("--turns", type=int, default=200, help="turns of the memory measurement")
    options.add_argument("--paints", type=int, default=7, help="starts of the first-paint measurement")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = {f"XDG_{what}_HOME": str(folder / what.lower()) for what in ("CONFIG", "STATE")}
        if chosen.embedded:
            _tell("key_ms_embedded", embedded_keys(folder / "real", home, chosen.keys))
            return
        make_library(folder / "docs")
        _tell("first_paint_s", first_paints(folder / "docs", home, chosen.paints))
        _tell("key_ms", scripted_keys(folder / "docs", home, chosen.keys))
        _tell("memory_mb", memory(folder / "docs", home, chosen.turns))


def _tell(name: str, found: dict[str, float]) -> None:
    print(json.dumps({name: found}), flush=True)
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {name: found}, indent=1) + "\n", "utf-8")


def first_paints(folder: Path, home: dict[str, str], times: int) -> dict[str, float]:
    """Seconds to the first picture; the first start, which fills caches, is left out."""
    program = str(Path(sys.executable).with_name("assistant"))
    seconds = []
    for _ in range(times + 1):
        with Terminal([program, "chat", "--offline"], cwd=folder, env=home) as terminal:
            terminal.wait_for("Ask your documents")
            seconds.append(time.perf_counter() - terminal.begun)
    return _summary(seconds[1:])


def scripted_keys(folder: Path, home: dict[str, str], keys: int) -> dict[str, float]:
    """While a scripted model in the engine process writes 50 pieces a second."""
    env = {**home, "REPLY": LONG, "PAUSE": "0.02"}
    with Terminal([sys.executable, str(DRIVER), str(folder)], cwd=folder, env=env) as terminal:
        terminal.wait_for("tuned")
        terminal.send("When was the lighthouse built?")
        terminal.read(0.5)
        terminal.send("\r")
        terminal.wait_for("writing")
        return _keys(terminal, keys)


def embedded_keys(folder: Path, home: dict[str, str], keys: int) -> dict[str, float]:
    """While the embedded model writes, which takes both cores."""
    program = str(Path(sys.executable).with_name("assistant"))
    folder.mkdir()
    (folder / "harbour.md").write_text("The lighthouse of Brannock was built in 1874.\n", "utf-8")
    with Terminal([program, "ingest", "."], cwd=folder, env=home) as terminal:
        terminal.finish(120)
    with Terminal([program, "chat", "--no-retrieval"], cwd=folder, env=home) as terminal:
        terminal.wait_for("adapter", 120)
        terminal.read(20)
        terminal.send("Tell a long story of a lighthouse, an old keeper, three ships and a storm.\r")
        terminal.wait_for("writing", 60)
        return _keys(terminal, keys)


def _keys(terminal: Terminal, keys: int) -> dict[str, float]:
    milliseconds = []
    letters = itertools.cycle(LETTERS)
    for number in range(keys):
        if number % len(LETTERS) == 0:
            terminal.send("\x01\x0b")  # to the start of the line, and delete it
            terminal.read(0.3)
        letter = next(letters)
        before = len(terminal.written)
        terminal.send(letter)
        milliseconds.append(terminal.wait_for(letter, 10, after=before) * 1000)
        terminal.read(0.03)
    return _summary(milliseconds)


def memory(folder: Path, home: dict[str, str], turns: int) -> dict[str, float]:
    """Resident MB of the chat's process, the engine not counted."""
    env = {**home, "REPLY": f"The lighthouse was built in 1874 by Anna Kerr [1]. {LONG[:1500]}"}
    at = {}
    with Terminal([sys.executable, str(DRIVER), str(folder)], cwd=folder, env=env) as terminal:
        terminal.wait_for("tuned")
        for turn in range(1, turns + 1):
            terminal.send("When was the lighthouse of Brannock built?")
            terminal.read(0.05)
            before = len(terminal.written)
            terminal.send("\r")
            terminal.wait_for("scripted + tuned", 60, after=before)
            terminal.written = b""
            if turn in (20, turns // 2, turns):
                at[f"after_{turn}"] = _resident(terminal.process.pid)
    return at


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 3),
        "max": round(ordered[-1], 3),
        "n": len(ordered),
    }


if __name__ == "__main__":
    main()
