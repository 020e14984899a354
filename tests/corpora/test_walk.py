"""The walk: every real file once, nothing outside of the roots, nothing that could block."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.errors import NothingToDo, StorageError
from corpora.walk import FoundFile, check_root, walk


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(found: list[FoundFile], root: Path) -> list[str]:
    return [str(file.path.relative_to(root)) for file in found if file.problem is None]


def problems(found: list[FoundFile]) -> dict[str, str]:
    return {file.path.name: file.problem.code for file in found if file.problem is not None}


@pytest.fixture()
def ordinary_user(tmp_path: Path) -> Iterator[None]:
    """Root may read anything: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_sorted_and_without_hidden_and_version_control(tmp_path: Path) -> None:
    for name in (
        "b.txt",
        "a/z.txt",
        "a/b.txt",
        "a.txt",
        ".hidden.txt",
        ".git/c",
        "CVS/d",
        "a/.x/e",
        "_darcs/f",
    ):
        write(tmp_path / name)
    assert names(list(walk([tmp_path])), tmp_path) == ["a/b.txt", "a/z.txt", "a.txt", "b.txt"]


def test_hidden_parents_of_the_root_do_not_matter(tmp_path: Path) -> None:
    root = tmp_path / ".config" / ".git"
    write(root / "a.txt")
    assert names(list(walk([root])), root) == ["a.txt"]


def test_the_library_is_left_out_whatever_it_is_called(tmp_path: Path) -> None:
    write(tmp_path / "my-library" / "library.db")
    write(tmp_path / ".assistant" / "library.db")
    write(tmp_path / "a.txt")
    assert names(list(walk([tmp_path], tmp_path / "my-library")), tmp_path) == ["a.txt"]


def test_a_file_named_directly_is_taken_even_if_hidden_and_comes_once(tmp_path: Path) -> None:
    hidden, seen = write(tmp_path / ".env.txt"), write(tmp_path / "a.txt")
    found = list(walk([tmp_path, hidden, seen, tmp_path / "." / "a.txt"]))
    assert [file.path for file in found] == [hidden, seen]


def test_overlapping_roots_give_each_file_once(tmp_path: Path) -> None:
    write(tmp_path / "sub" / "a.txt")
    write(tmp_path / "b.txt")
    assert len(list(walk([tmp_path, tmp_path / "sub", tmp_path]))) == 2
    assert len(list(walk([tmp_path / "sub", tmp_path]))) == 2


def test_hard_links_are_one_file(tmp_path: Path) -> None:
    os.link(write(tmp_path / "a.txt"), tmp_path / "b.txt")
    assert names(list(walk([tmp_path])), tmp_path) == ["a.txt"]


def test_links_inside_the_root_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path / "real" / "a.txt")
    write(tmp_path / ".store" / "deep" / "b.txt")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "again").symlink_to("real")
    (tmp_path / "shown").symlink_to(".store")
    (tmp_path / "alias.txt").symlink_to("real/a.txt")
    assert names(list(walk([tmp_path])), tmp_path) == ["real/a.txt", ".store/deep/b.txt"]


def test_links_that_leave_the_root_or_lead_nowhere_are_named(tmp_path: Path) -> None:
    root = tmp_path / "root"
    secret = write(tmp_path / "root-secret" / "s.txt")
    write(root / "a.txt")
    (root / "out.txt").symlink_to(secret)
    (root / "out").symlink_to(secret.parent)
    (root / "gone").symlink_to("nothing")
    (root / "self").symlink_to("self")
    found = list(walk([root]))
    assert names(found, root) == ["a.txt"]
    assert problems(found) == {
        "out": "outside_root",
        "out.txt": "outside_root",
        "gone": "vanished",
        "self": "unreadable",
    }


def test_links_do_not_lead_into_version_control_or_a_library(tmp_path: Path) -> None:
    write(tmp_path / ".git" / "config")
    write(tmp_path / ".assistant" / "notes.txt")
    (tmp_path / "a").symlink_to(".git")
    (tmp_path / "b").symlink_to(".assistant/notes.txt")
    assert list(walk([tmp_path])) == []


def test_a_root_that_is_a_link_keeps_its_own_name(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.txt")
    root = tmp_path / "docs"
    root.symlink_to("data")
    assert [file.path for file in walk([root])] == [root / "a.txt"]


def test_pipes_and_sockets_are_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket is at most 108 bytes
        try:
            listener.bind("socket.txt")
        finally:
            os.chdir(here)
        assert problems(list(walk([tmp_path]))) == {"pipe.txt": "not_a_file", "socket.txt": "not_a_file"}
    assert problems(list(walk([tmp_path / "pipe.txt"]))) == {"pipe.txt": "not_a_file"}


@pytest.mark.usefixtures("ordinary_user")
def test_an_unreadable_folder_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    locked = tmp_path / "box" / "locked"
    previous = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    write(locked / "a.txt")
    write(tmp_path / "box" / "b.txt")
    locked.chmod(0)
    os.seteuid(previous)
    found = list(walk([tmp_path / "box"]))
    assert names(found, tmp_path / "box") == ["b.txt"]
    assert problems(found) == {"locked": "unreadable"}
    with pytest.raises(StorageError) as error:
        check_root(locked)
    assert error.value.exit_code == 6


def test_a_root_that_is_missing_is_an_error_before_anything_is_yielded(tmp_path: Path) -> None:
    write(tmp_path / "a.txt")
    with pytest.raises(NothingToDo, match="does not exist") as error:
        next(walk([tmp_path, tmp_path / "typo"]))
    assert error.value.exit_code == 3


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9\n.txt"
    Path(os.fsdecode(odd)).touch()
    assert [os.fsencode(file.path) for file in walk([tmp_path])] == [odd]


def test_a_path_longer_than_the_kernel_takes_is_named(tmp_path: Path) -> None:
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(25):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    write(tmp_path / "a.txt")
    found = list(walk([tmp_path]))
    assert names(found, tmp_path) == ["a.txt"]
    assert list(problems(found).values()) == ["unreadable"]
