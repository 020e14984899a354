"""Several processes at once: syncs take turns, readers never wait and never see half a document."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from corpora.store import Library, problems

DRIVER = Path(__file__).with_name("ingest_driver.py")


def write(folder: Path, number: int, word: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(number):
        (folder / f"{at}.txt").write_text(f"{word} number {at}.\n\n" * (1 + at % 7))


def test_two_writers_and_readers(tmp_path: Path) -> None:
    for name in ("one", "two", "both"):
        write(tmp_path / name, 40, name)
    Library.create(tmp_path / ".assistant").close()
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                str(DRIVER),
                str(tmp_path / ".assistant"),
                *(str(tmp_path / name) for name in names),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for names in (("one", "both"), ("both", "two"))
    ]
    torn: list[str] = []
    longest = 0.0

    def read() -> None:
        nonlocal longest
        with Library.open(tmp_path / ".assistant") as library:
            while any(writer.poll() is None for writer in writers):
                began = time.monotonic()
                with library.snapshot():
                    documents = library.documents()
                    passages = library.counts()[1]
                    if len(library.vectors(0, 100_000)[0]) != passages:
                        torn.append("vectors")
                    torn.extend(d.path for d in documents if len(library.passages_of(d.id)) != d.passages)
                longest = max(longest, time.monotonic() - began)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    for reader in readers:
        reader.join()
    assert torn == []
    assert longest < 5.0
    with Library.open(tmp_path / ".assistant") as library:
        assert problems(library) == []
        assert library.counts()[0] == 120
