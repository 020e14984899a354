"""The library store when others hold it, when the disk is full or read-only, when text must go for good."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from corpora.chunking import Piece
from corpora.errors import Busy
from corpora.records import Extracted
from corpora.store import Library, NewDocument, Stat
from corpora.store.purge import purge

SOURCE = Path(__file__).resolve().parents[2]


def document(path: str, text: str) -> NewDocument:
    piece = Piece(0, len(text), 1, 1, None, None)
    return NewDocument(
        path, Extracted(text, "txt"), "0" * 64, Stat(1, 2), [piece], struct.pack("<4f", 1, 0, 0, 0)
    )


def put(library: Library, *documents: NewDocument) -> list[str]:
    with library.write() as writer:
        return [writer.put_document(one) for one in documents]


@pytest.fixture()
def library(tmp_path: Path) -> Library:
    with Library.create(tmp_path / ".assistant") as made:
        with made.write() as writer:
            writer.set_manifest("dimension", "4")
        yield made


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=SOURCE,
    )


HOLD = """
    import sys, time
    from pathlib import Path
    from corpora.store import Library
    with Library.open(Path(sys.argv[1])) as library, library.guard():
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_second_long_writer_waits_and_then_names_the_holder(library: Library) -> None:
    holder = python(HOLD, str(library.folder))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    heard: list[str] = []
    with pytest.raises(Busy) as caught, library.guard(wait=0.3, on_wait=heard.append):
        pass
    assert f"pid {holder.pid}" in caught.value.message
    assert len(heard) == 1
    holder.kill()
    holder.communicate()
    began = time.monotonic()
    with library.guard(wait=5):
        assert time.monotonic() - began < 1.0  # no manual unlocking after a kill


def test_reading_goes_on_while_another_holds_the_library(library: Library) -> None:
    put(library, document("a", "text"))
    holder = python(HOLD, str(library.folder))
    assert holder.stdout is not None
    holder.stdout.readline()
    with Library.open(library.folder) as reader:
        assert reader.counts() == (1, 1)
    holder.kill()
    holder.communicate()


def test_many_processes_take_turns(library: Library) -> None:
    program = """
        import sys, time
        from pathlib import Path
        from corpora.store import Library
        with Library.open(Path(sys.argv[1])) as library:
            for _ in range(10):
                with library.guard():
                    value = int(library.manifest("n") or 0)
                    time.sleep(0.002)
                    with library.write() as writer:
                        writer.set_manifest("n", str(value + 1))
    """
    workers = [python(program, str(library.folder)) for _ in range(4)]
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
    assert library.manifest("n") == "40"


def test_two_processes_may_create_the_same_library(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from corpora.store import Library
        with Library.create(Path(sys.argv[1])) as library, library.write() as writer:
            writer.set_manifest(sys.argv[2], "here")
    """
    folder = tmp_path / "new" / ".assistant"
    workers = [python(program, str(folder), str(number)) for number in range(4)]
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
    with Library.open(folder) as library:
        assert [library.manifest(str(number)) for number in range(4)] == ["here"] * 4


def test_a_damaged_lock_file_is_replaced(library: Library) -> None:
    (library.folder / "lock.db").write_bytes(b"no database at all" * 100)
    with library.guard(wait=1):
        pass


def test_a_write_that_is_killed_leaves_nothing(library: Library) -> None:
    program = """
        import os, signal, sys
        from pathlib import Path
        from corpora.store import Library
        with Library.open(Path(sys.argv[1])) as library, library.write() as writer:
            writer.set_manifest("half", "done")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    worker = python(program, str(library.folder))
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL
    assert library.manifest("half") is None
    put(library, document("a", "text"))


def test_text_that_is_purged_is_nowhere_in_the_folder(library: Library) -> None:
    secret = "the secret word is xyzzyplugh"
    put(library, *(document(f"d{number}", f"{secret} in version one" * 200) for number in range(30)))
    ids = put(library, *(document(f"d{number}", f"{secret} again" * 100) for number in range(30)))
    (library.folder / "library.db.format-0").write_text(secret)
    (library.folder / "index").mkdir()
    (library.folder / "index" / "segment").write_text(secret)
    for document_id in ids:
        purge(library, document_id)
    assert library.counts() == (0, 0)
    for file in library.folder.rglob("*"):
        assert not file.is_file() or b"xyzzyplugh" not in file.read_bytes(), file


def in_namespace(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script with mounts of its own; skips the test where that is not allowed."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    return subprocess.run(
        ["unshare", "-m", "sh", "-ec", textwrap.dedent(script), "sh", *arguments],
        capture_output=True,
        text=True,
        cwd=SOURCE,
        timeout=120,
    )


def test_a_read_only_folder_can_be_read(library: Library) -> None:
    put(library, document("a", "text"))
    library.close()
    program = """
        import sys
        from pathlib import Path
        from corpora.errors import StorageError
        from corpora.store import Library
        with Library.open(Path(sys.argv[1])) as library:
            print(library.read_only, library.counts(), len(library.passages([1])))
            try:
                with library.write():
                    pass
            except StorageError as error:
                print(error.code)
        try:
            Library.open(Path(sys.argv[1]), writable=True)
        except StorageError as error:
            print(error.code)
    """
    done = in_namespace(
        'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; "$2" -c "$3" "$1"',
        str(library.folder),
        sys.executable,
        textwrap.dedent(program),
    )
    assert done.stdout.splitlines() == ["True (1, 1) 1", "read_only", "read_only"], done.stderr


def test_a_read_only_view_follows_a_library_that_is_being_written(library: Library, tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[3])
        from test_store_faults import document, put
        from corpora.store import Library
        with Library.open(Path(sys.argv[1])) as writer:
            put(writer, document("a", "text"))
            with Library.open(Path(sys.argv[2])) as reader:
                print(reader.read_only, reader.counts())
                put(writer, document("b", "text"))
                print(reader.counts())
    """
    library.close()
    (tmp_path / "view").mkdir()
    done = in_namespace(
        'mount --bind "$1" "$2"; mount -o remount,ro,bind "$2"; "$3" -c "$4" "$1" "$2" "$5"',
        str(library.folder),
        str(tmp_path / "view"),
        sys.executable,
        textwrap.dedent(program),
        str(Path(__file__).parent),
    )
    assert done.stdout.splitlines() == ["True (1, 1)", "(2, 2)"], done.stderr


def test_a_full_disk_leaves_the_library_as_it_was(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_store_faults import document, put
        from corpora.errors import StorageError
        from corpora.store import Library, content_hash, problems
        folder = Path(sys.argv[1]) / ".assistant"
        with Library.create(folder) as library:
            with library.write() as writer:
                writer.set_manifest("dimension", "4")
            put(library, document("kept", "some text"))
            before = content_hash(library), library.generation
            try:
                put(library, *(document(f"d{n}", "x" * 100_000) for n in range(100)))
            except StorageError as error:
                print(error.code, error.exit_code)
            print(problems(library), (content_hash(library), library.generation) == before)
        with Library.open(folder) as library:
            print(problems(library), content_hash(library) == before[0])
            put(library, document("small", "text"))
            print(library.counts())
    """
    done = in_namespace(
        'mount -t tmpfs -o size=4m none "$1"; "$2" -c "$3" "$1" "$4"',
        str(tmp_path),
        sys.executable,
        textwrap.dedent(program),
        str(Path(__file__).parent),
    )
    assert done.stdout.splitlines() == ["no_space 6", "[] True", "[] True", "(2, 2)"], done.stderr


def test_a_disk_that_is_full_to_the_last_byte_can_be_read(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_store_faults import document, put
        from corpora.store import Library
        folder = Path(sys.argv[1]) / ".assistant"
        with Library.create(folder) as library:
            with library.write() as writer:
                writer.set_manifest("dimension", "4")
            put(library, document("kept", "some text"))
        try:
            with open(Path(sys.argv[1]) / "fill", "wb") as file:
                while True:
                    file.write(b"0" * 512)
                    file.flush()
        except OSError:
            pass
        with Library.open(folder) as library:
            print(library.counts(), len(library.passages([1])))
    """
    done = in_namespace(
        'mount -t tmpfs -o size=4m none "$1"; "$2" -c "$3" "$1" "$4"',
        str(tmp_path),
        sys.executable,
        textwrap.dedent(program),
        str(Path(__file__).parent),
    )
    assert done.stdout.splitlines() == ["(1, 1) 1"], done.stderr


def test_an_input_output_error_is_said_so(library: Library) -> None:
    program = """
        import resource, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_store_faults import document, put
        from corpora.errors import StorageError
        from corpora.store import Library
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with Library.open(Path(sys.argv[1])) as library:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
            try:
                put(library, document("big", "x" * 1_000_000))
            except StorageError as error:
                print(error.exit_code)
            print(library.counts())
    """
    worker = python(program, str(library.folder), str(Path(__file__).parent))
    output, errors = worker.communicate(timeout=60)
    assert output.splitlines() == ["6", "(0, 0)"], errors
