"""What a sync adds, keeps, renames and removes, each rule by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import ingest_driver as driver
import pytest

from corpora.errors import Conflict, NothingToDo, StorageError
from corpora.store import Library, content_hash, problems
from index.sync_options import Hooks


@pytest.fixture()
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


@pytest.fixture()
def library(tmp_path: Path) -> Library:
    with Library.create(tmp_path / ".assistant") as made:
        yield made
        assert problems(made) == []


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(f"The text of {name}.\n\nIt has two paragraphs.\n"))


def counted(report: object) -> tuple[int, ...]:
    return tuple(getattr(report, name) for name in ("added", "updated", "unchanged", "removed"))


def paths(library: Library) -> list[str]:
    return [document.path for document in library.documents()]


def test_first_ingest_adds_and_the_second_finds_all_unchanged(library: Library, docs: Path) -> None:
    write(docs, "a.txt", "deep/b.md", "c.html")
    first = driver.run(library, docs)
    assert counted(first) == (3, 0, 0, 0)
    assert paths(library) == ["docs/a.txt", "docs/c.html", "docs/deep/b.md"]
    loads = driver.Loads()
    second = driver.run(library, docs, load=loads)
    assert counted(second) == (0, 0, 3, 0)
    assert loads.loaded == []
    assert library.roots() == [str(docs)]


def test_an_unchanged_run_imports_nothing_heavy_and_loads_no_encoder(library: Library, docs: Path) -> None:
    write(docs, "a.txt", "b.bin")
    (docs / "b.bin").write_bytes(bytes(range(256)))
    driver.run(library, docs)
    library.close()
    program = (
        "import sys; from pathlib import Path; from corpora.store import Library\n"
        "from index.ingest import ingest; from index.sync_options import IngestOptions\n"
        "def fails(name): raise AssertionError(name)\n"
        "with Library.open(Path(sys.argv[1])) as library:\n"
        "    report = ingest(library, [Path(sys.argv[2])], IngestOptions(choose=fails, load=fails))\n"
        "assert report.unchanged == 1, report\n"
        "heavy = {'torch', 'numpy', 'faiss', 'tantivy', 'transformers', 'lxml', 'pypdf'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program, library.folder, docs], check=True, timeout=60)


def test_a_changed_file_is_updated_and_its_old_passages_are_gone(library: Library, docs: Path) -> None:
    write(docs, "a.txt", "b.txt")
    driver.run(library, docs)
    before = library.document("docs/a.txt")
    (docs / "a.txt").write_text("Something else entirely.")
    report = driver.run(library, docs)
    assert counted(report) == (0, 1, 1, 0)
    after = library.document("docs/a.txt")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert library.text(after.id) == "Something else entirely."
    assert [p.text for p in library.passages_of(after.id)] == ["Something else entirely."]


def test_a_change_of_equal_size_and_mtime_is_still_seen(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    driver.run(library, docs)
    found = (docs / "a.txt").stat()
    (docs / "a.txt").write_text((docs / "a.txt").read_text().replace("two", "six"))
    os.utime(docs / "a.txt", ns=(found.st_atime_ns, found.st_mtime_ns))
    assert counted(driver.run(library, docs)) == (0, 1, 0, 0)


def test_a_touched_file_is_unchanged_and_not_read_again(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    driver.run(library, docs)
    os.utime(docs / "a.txt", (1, 1))
    loads = driver.Loads()
    assert counted(driver.run(library, docs, load=loads)) == (0, 0, 1, 0)
    document = library.document("docs/a.txt")
    assert document is not None
    assert document.mtime_ns == 1_000_000_000
    assert loads.loaded == []


def test_an_edit_encodes_only_the_passages_that_are_new(library: Library, docs: Path) -> None:
    text = "".join(f"Paragraph {n} says something about the number {n}.\n\n" * 3 for n in range(40))
    (docs / "a.txt").write_text(text)
    encoder = driver.HashingEncoder()
    driver.run(library, docs, load=driver.Loads(encoder))
    first = len(encoder.encoded)
    encoder.encoded.clear()
    (docs / "a.txt").write_text(text + "One more paragraph at the end.\n")
    assert counted(driver.run(library, docs, load=driver.Loads(encoder))) == (0, 1, 0, 0)
    assert 0 < len(encoder.encoded) < first / 3


def test_a_file_that_is_gone_is_removed(library: Library, docs: Path) -> None:
    write(docs, "a.txt", "b.txt")
    driver.run(library, docs)
    (docs / "a.txt").unlink()
    assert counted(driver.run(library, docs)) == (0, 0, 1, 1)
    assert paths(library) == ["docs/b.txt"]


def test_documents_outside_the_given_path_are_left_alone(
    library: Library, docs: Path, tmp_path: Path
) -> None:
    write(docs, "a.txt", "in/b.txt", "inner.txt")
    driver.run(library, docs)
    shutil.rmtree(docs / "in")
    (docs / "a.txt").unlink()
    (docs / "in").mkdir()
    assert counted(driver.run(library, docs / "in")) == (0, 0, 0, 1)
    assert paths(library) == ["docs/a.txt", "docs/inner.txt"]


@pytest.mark.parametrize("how", ["missing", "a file now"])
def test_a_missing_root_removes_nothing(library: Library, docs: Path, how: str) -> None:
    write(docs, "a.txt", "b.txt")
    driver.run(library, docs)
    shutil.rmtree(docs)
    if how == "missing":
        with pytest.raises(NothingToDo) as caught:
            driver.run(library, docs)
        assert caught.value.exit_code == 3
    else:
        docs.write_text("I am a file now.")
        driver.run(library, docs)
    assert {"docs/a.txt", "docs/b.txt"} <= set(paths(library))


def test_one_missing_root_among_others_changes_nothing(library: Library, docs: Path, tmp_path: Path) -> None:
    write(docs, "a.txt")
    with pytest.raises(NothingToDo):
        driver.run(library, docs, tmp_path / "typo")
    assert library.counts() == (0, 0)


def test_a_file_named_by_itself_that_is_gone_is_not_removed(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    driver.run(library, docs / "a.txt")
    (docs / "a.txt").unlink()
    with pytest.raises(NothingToDo):
        driver.run(library, docs / "a.txt")
    assert paths(library) == ["docs/a.txt"]
    assert counted(driver.run(library, docs)) == (0, 0, 0, 1)


def as_anybody(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python without root's right to read everything."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, to lay root's rights down")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")


def test_a_root_that_cannot_be_followed_removes_nothing(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    driver.run(library, docs)
    shutil.rmtree(docs)
    docs.symlink_to(docs)
    with pytest.raises((NothingToDo, StorageError)):
        driver.run(library, docs)
    assert paths(library) == ["docs/a.txt"]


def test_many_removals_are_refused_until_prune(library: Library, docs: Path) -> None:
    write(docs, *(f"{n}.txt" for n in range(40)))
    driver.run(library, docs)
    before = content_hash(library)
    for n in range(21):
        (docs / f"{n}.txt").unlink()
    write(docs, "new.txt")
    with pytest.raises(Conflict) as caught:
        driver.run(library, docs)
    assert (caught.value.code, caught.value.exit_code) == ("too_many_removals", 5)
    assert "--prune" in str(caught.value.hint)
    assert content_hash(library) == before
    assert counted(driver.run(library, docs, prune=True)) == (1, 0, 19, 21)


@pytest.mark.parametrize(("there", "going"), [(42, 21), (20, 20)])
def test_half_and_twenty_are_not_too_many(library: Library, docs: Path, there: int, going: int) -> None:
    write(docs, *(f"{n}.txt" for n in range(there)), "stays.md")
    (docs / "stays.md").write_text("stays")
    driver.run(library, docs)
    for n in range(going):
        (docs / f"{n}.txt").unlink()
    assert driver.run(library, docs).removed == going


def test_an_emptied_folder_of_many_documents_is_refused(library: Library, docs: Path) -> None:
    write(docs, *(f"{n}.txt" for n in range(30)))
    driver.run(library, docs)
    for file in docs.iterdir():
        file.unlink()
    with pytest.raises(Conflict):
        driver.run(library, docs)
    assert library.counts()[0] == 30


def test_a_renamed_file_keeps_its_document(library: Library, docs: Path) -> None:
    write(docs, "old/a.txt", "b.txt")
    driver.run(library, docs)
    before = library.document("docs/old/a.txt")
    assert before is not None
    passages = library.passages_of(before.id)
    (docs / "new").mkdir()
    (docs / "old/a.txt").rename(docs / "new/z.txt")
    loads = driver.Loads()
    report = driver.run(library, docs, load=loads)
    assert counted(report) == (0, 1, 1, 0)
    assert report.renamed == 1
    assert loads.loaded == []
    after = library.document("docs/new/z.txt")
    assert after is not None
    assert after.id == before.id
    assert [p.rowid for p in library.passages_of(after.id)] == [p.rowid for p in passages]
    assert counted(driver.run(library, docs)) == (0, 0, 2, 0)


def test_a_whole_folder_may_be_renamed_without_prune(library: Library, docs: Path) -> None:
    write(docs, *(f"old/{n}.txt" for n in range(30)))
    driver.run(library, docs)
    (docs / "old").rename(docs / "new")
    report = driver.run(library, docs)
    assert (report.renamed, report.removed, report.added) == (30, 0, 0)


def test_a_copy_is_no_rename_and_another_type_is_read_anew(library: Library, docs: Path) -> None:
    write(docs, "a.txt", "b.txt")
    driver.run(library, docs)
    shutil.copy(docs / "a.txt", docs / "copy.txt")
    (docs / "b.txt").rename(docs / "b.md")
    report = driver.run(library, docs)
    assert (report.added, report.renamed, report.removed) == (2, 0, 1)
    document = library.document("docs/b.md")
    assert document is not None
    assert document.kind == "md"


def test_a_new_version_that_cannot_be_read_keeps_the_old_one_as_stale(library: Library, docs: Path) -> None:
    write(docs, "a.ipynb.txt", "b.txt")
    (docs / "a.docx").write_bytes(_docx())
    driver.run(library, docs)
    before = library.document("docs/a.docx")
    assert before is not None
    good = (docs / "a.docx").read_bytes()
    (docs / "a.docx").write_bytes(good[: len(good) // 2])
    report = driver.run(library, docs)
    assert report.failed
    assert [skip.path for skip in report.skipped] == ["docs/a.docx"]
    stale = library.document("docs/a.docx")
    assert stale is not None
    assert stale.stale
    assert (stale.id, stale.sha256, stale.passages) == (before.id, before.sha256, before.passages)

    again = driver.run(library, docs)
    assert again.failed
    assert [skip.path for skip in again.skipped] == ["docs/a.docx"]

    (docs / "a.docx").write_bytes(good)
    healed = driver.run(library, docs)
    assert not healed.failed
    assert healed.skipped == ()
    revived = library.document("docs/a.docx")
    assert revived is not None
    assert revived.stale is None


def _docx() -> bytes:
    import io
    import zipfile

    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006"
    words = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r"'
        f' Type="{office}/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{words}"><w:body><w:p><w:r><w:t>Words of a document</w:t>'
        "</w:r></w:p></w:body></w:document>",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_skipped_files_are_listed_but_not_read_again_while_unchanged(
    library: Library, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(docs, "a.txt")
    (docs / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    (docs / "empty.txt").write_text("")
    first = driver.run(library, docs)
    assert first.failed  # a text without text; the picture alone would be no failure
    assert {(skip.path, skip.code) for skip in first.skipped} == {
        ("docs/b.png", "unsupported"),
        ("docs/empty.txt", "empty"),
    }
    second = driver.run(library, docs)
    assert second.planned == 0
    assert second.skipped and {skip.path for skip in second.skipped} == {skip.path for skip in first.skipped}
    os.utime(docs / "b.png", (1, 1))
    assert driver.run(library, docs).planned == 0
    monkeypatch.setattr("index.ingest._reader_version", lambda: "another version")
    assert driver.run(library, docs).planned == 2
    (docs / "b.png").unlink()
    assert [skip.path for skip in driver.run(library, docs).skipped] == ["docs/empty.txt"]
    assert [skip.path for skip in library.skipped()] == ["docs/empty.txt"]


def test_a_skipped_file_that_gives_text_at_last_is_added(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    (docs / "b.txt").write_text("")
    driver.run(library, docs)
    write(docs, "b.txt")
    report = driver.run(library, docs)
    assert (report.added, report.skipped) == (1, ())


def test_pictures_and_empty_source_code_are_no_failures(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    (docs / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    (docs / "__init__.py").write_text("")
    report = driver.run(library, docs)
    assert {skip.code for skip in report.skipped} == {"unsupported", "empty"}
    assert not report.failed


def test_white_space_only_is_skipped_as_empty(library: Library, docs: Path) -> None:
    (docs / "a.txt").write_text(" \n\n \t \n")
    report = driver.run(library, docs)
    assert [(skip.path, skip.code) for skip in report.skipped] == [("docs/a.txt", "empty")]
    assert library.counts() == (0, 0)


def test_no_input_at_all_is_exit_3(library: Library, docs: Path) -> None:
    with pytest.raises(NothingToDo, match="pdf") as caught:
        driver.run(library, docs)
    assert caught.value.code == "no_input"


def test_another_encoder_is_refused_with_the_command_that_changes_it(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    driver.run(library, docs)
    with pytest.raises(Conflict, match="hashing") as caught:
        driver.run(library, docs, encoder="other")
    assert caught.value.hint == "assistant reindex --encoder other"
    write(docs, "b.txt")
    changed = driver.Loads(driver.HashingEncoder(fingerprint="e" * 16))
    with pytest.raises(Conflict) as caught:
        driver.run(library, docs, load=changed)
    assert caught.value.code == "wrong_encoder"
    assert library.counts()[0] == 1


def test_the_manifest_says_how_the_library_was_made(library: Library, docs: Path) -> None:
    write(docs, "a.txt")
    driver.run(library, docs, chunk_tokens=32, chunk_overlap=4)
    keys = ("encoder", "encoder_fingerprint", "dimension", "chunk_tokens", "chunk_overlap")
    assert [library.manifest(key) for key in keys] == ["hashing", "f" * 16, "32", "32", "4"]


def test_the_sample_for_the_encoder_covers_all_of_the_files(library: Library, docs: Path) -> None:
    for n in range(100):
        (docs / f"{n:03}.txt").write_text("English text here." if n < 60 else "这里是中文。")
    seen: list[str] = []

    def choose(sample: object) -> str:
        seen.extend(sample)  # type: ignore[call-overload]
        return "hashing"

    from index.ingest import ingest
    from index.sync_options import IngestOptions

    report = ingest(library, [docs], IngestOptions(choose=choose, load=driver.Loads()))
    assert report.added == 100
    assert any("中文" in text for text in seen)
    assert any("English" in text for text in seen)


def test_a_request_to_stop_keeps_what_is_committed(library: Library, docs: Path) -> None:
    write(docs, *(f"{n}.txt" for n in range(200)))
    asked = iter([False] * 8)

    report = driver.run(library, docs, hooks=Hooks(stop=lambda: next(asked, True)))
    assert report.stopped
    assert report.added < 200
    assert library.counts()[0] == report.added
    assert driver.run(library, docs).added == 200 - report.added


def test_a_name_that_is_not_utf8_is_ingested_and_synced(library: Library, docs: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    write(docs, name)
    assert driver.run(library, docs).added == 1
    assert paths(library) == [f"docs/{name}"]
    assert driver.run(library, docs).unchanged == 1
    (docs / name).unlink()
    assert driver.run(library, docs).removed == 1


def test_files_outside_of_the_librarys_folder_have_absolute_paths(
    library: Library, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, "a.txt")
    driver.run(library, elsewhere)
    assert paths(library) == [f"{os.path.realpath(elsewhere)}/a.txt"]


def test_a_library_that_moves_with_its_folder_finds_its_documents_again(tmp_path: Path) -> None:
    write(tmp_path / "one/docs", "a.txt")
    with Library.create(tmp_path / "one/.assistant") as library:
        driver.run(library, tmp_path / "one/docs")
    (tmp_path / "one").rename(tmp_path / "two")
    with Library.open(tmp_path / "two/.assistant") as library:
        assert driver.run(library, tmp_path / "two/docs").unchanged == 1


def test_a_linked_root_and_its_target_are_the_same(library: Library, docs: Path, tmp_path: Path) -> None:
    write(docs, "a.txt")
    (tmp_path / "link").symlink_to(docs)
    driver.run(library, tmp_path / "link")
    assert driver.run(library, docs).unchanged == 1
    assert paths(library) == ["docs/a.txt"]


def test_a_second_hard_link_does_not_hide_a_change_of_the_first(library: Library, docs: Path) -> None:
    write(docs, "b.txt")
    driver.run(library, docs)
    os.link(docs / "b.txt", docs / "a.txt")
    driver.run(library, docs)
    (docs / "b.txt").write_text("changed through the second name")
    driver.run(library, docs)
    texts = {d.path: library.text(d.id) for d in library.documents()}
    assert set(texts) == {"docs/a.txt", "docs/b.txt"}
    assert set(texts.values()) == {"changed through the second name"}


def test_a_document_whose_place_is_taken_by_a_folder_is_kept_as_stale(library: Library, docs: Path) -> None:
    write(docs, "a.txt", "b.txt")
    driver.run(library, docs)
    (docs / "a.txt").unlink()
    (docs / "a.txt").mkdir()
    driver.run(library, docs)
    document = library.document("docs/a.txt")
    assert document is not None
    assert document.stale


def test_an_unreadable_file_keeps_its_document_and_counts_as_failed(tmp_path: Path) -> None:
    program = (
        "import importlib.util, os, sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "spec = importlib.util.spec_from_file_location('driver', sys.argv[3])\n"
        "driver = importlib.util.module_from_spec(spec); spec.loader.exec_module(driver)\n"
        "from corpora.store import Library\n"
        "base = Path(sys.argv[1]); docs = base / 'docs'\n"
        "(docs / 'in').mkdir(parents=True)\n"
        "for name in ('a.txt', 'b.txt', 'in/c.txt'): (docs / name).write_text('text of ' + name)\n"
        "with Library.create(base / '.assistant') as library:\n"
        "    driver.run(library, docs)\n"
        "    (docs / 'a.txt').chmod(0); (docs / 'in').chmod(0)\n"
        "    report = driver.run(library, docs)\n"
        "    print(report.failed, report.removed, library.counts()[0])\n"
        "    print(sorted(d.path for d in library.documents() if d.stale))\n"
        "    docs.chmod(0)\n"
        "    try: driver.run(library, docs)\n"
        "    except Exception as error: print(type(error).__name__, library.counts()[0])\n"
        "    docs.chmod(0o700); (docs / 'a.txt').chmod(0o600); (docs / 'in').chmod(0o700)\n"
        "    report = driver.run(library, docs)\n"
        "    print(report.failed, report.unchanged, [d.path for d in library.documents() if d.stale])\n"
    )
    source = Path(__file__).resolve().parents[2]
    done = as_anybody(program, tmp_path, source, Path(__file__).with_name("ingest_driver.py"))
    assert done.stdout.splitlines() == [
        "True 0 3",
        "['docs/a.txt', 'docs/in/c.txt']",
        "StorageError 3",
        "False 3 []",
    ], done.stderr
