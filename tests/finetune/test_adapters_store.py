"""The adapters of a library: put in, found, chosen, rolled back, gone stale, taken out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import taught_library
from adapter_makers import put, write, write_base

from corpora.errors import Conflict, Missing, NothingToDo, UsageError
from corpora.store import Library, content_hash
from finetune.adapters.active import Choice, choice_for, choose, roll_back
from finetune.adapters.resolve import Resolved, resolve
from finetune.adapters.stale import StaleDocument, stale_documents
from finetune.adapters.state import state_of
from finetune.adapters.store import find, in_library, install, remove
from finetune.base_identity import BaseIdentity, base_name
from finetune.card import Card, Data, DocumentVersion

DATA = Data("6" * 64, {"grounded": 2}, {"self-qa": 2}, ("en",), (), ())


@pytest.fixture()
def library(tmp_path: Path) -> Iterator[Library]:
    with taught_library.make(tmp_path / ".assistant") as made:
        yield made


@pytest.fixture()
def base(tmp_path: Path) -> BaseIdentity:
    return write_base(tmp_path / "base")


class Said(list[str]):
    """What the user is told."""

    __call__ = list.append


def resolved(
    named: str | None, library: Library | None, base: BaseIdentity, tmp_path: Path, said: Said
) -> Resolved | None:
    return resolve(named, library, base, tmp_path / "base", said)


def names(library: Library) -> list[str]:
    return [adapter.name for adapter in in_library(library)]


# -- in and out ----------------------------------------------------------------------------------------


def test_an_adapter_is_stored_whole_and_found_by_name(library: Library, base: BaseIdentity) -> None:
    before = content_hash(library)
    adapter = put(library, base, "mine")
    assert find("mine", library) == adapter
    assert sorted(path.name for path in adapter.folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "card.json",
    ]
    assert Card.read(adapter.folder).name == "mine"
    assert [path.name for path in (library.folder / "adapters").iterdir()] == ["mine"]
    assert content_hash(library) == before


def test_only_files_of_an_adapter_are_taken_along(
    library: Library, base: BaseIdentity, tmp_path: Path
) -> None:
    card = write(tmp_path / "run" / "mine", base)
    source = tmp_path / "run" / "mine"
    (tmp_path / "secret").write_text("x")
    (source / "training_args.bin").write_bytes(b"\x80\x04.")
    (source / "README.md").symlink_to(tmp_path / "secret")
    (source / "LICENSE").write_text("CC BY-SA 4.0")
    folder = install(library, source, card).folder
    assert not (folder / "training_args.bin").exists() and not (folder / "README.md").exists()
    assert (folder / "LICENSE").read_text() == "CC BY-SA 4.0"


@pytest.mark.parametrize("name", ["mine", "MINE.2"])
def test_a_name_is_given_once(library: Library, base: BaseIdentity, name: str) -> None:
    put(library, base, name)
    with pytest.raises(Conflict) as caught:
        put(library, base, name, method="dora")
    assert caught.value.code == "name_taken"
    assert Card.read(find(name, library).folder).method == "lora"


def test_a_damaged_adapter_does_not_get_in(library: Library, base: BaseIdentity, tmp_path: Path) -> None:
    card = write(tmp_path / "bad", base)
    path = tmp_path / "bad" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(Conflict) as caught:
        install(library, tmp_path / "bad", card)
    assert caught.value.code == "bad_adapter" and "tmp" not in caught.value.message
    assert list((library.folder / "adapters").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "..", "../adapters/mine", "/etc", "a/b", ".tmp-1", "none", "a\0b", "a\nb"]
)
def test_what_is_no_name_finds_and_removes_nothing(library: Library, base: BaseIdentity, name: str) -> None:
    put(library, base, "mine")
    for attempt in (find, lambda given, library: remove(library, given)):
        with pytest.raises(UsageError):
            attempt(name, library)  # type: ignore[operator]
    assert names(library) == ["mine"]


def test_a_link_in_the_folder_of_adapters_is_none(
    library: Library, base: BaseIdentity, tmp_path: Path
) -> None:
    put(library, base, "mine")
    write(tmp_path / "outside", base)
    (library.folder / "adapters" / "linked").symlink_to(tmp_path / "outside")
    assert names(library) == ["mine"]
    with pytest.raises(Missing) as caught:
        remove(library, "linked")
    assert caught.value.exit_code == 8
    assert (tmp_path / "outside" / "card.json").exists()


def test_a_folder_of_adapters_that_leads_elsewhere_is_left_alone(
    library: Library, base: BaseIdentity, tmp_path: Path
) -> None:
    outside = tmp_path / "home"
    write(outside / "photos", base)
    (outside / ".tmp-work").mkdir()
    (library.folder / "adapters").symlink_to(outside)
    assert names(library) == []
    for change in (lambda: remove(library, "photos"), lambda: put(library, base, "mine")):
        with pytest.raises(Conflict):
            change()
    assert sorted(path.name for path in outside.iterdir()) == [".tmp-work", "photos"]


def test_removing_takes_all_of_it(library: Library, base: BaseIdentity) -> None:
    put(library, base, "mine")
    assert remove(library, "mine") == []
    assert list((library.folder / "adapters").iterdir()) == []
    with pytest.raises(Missing):
        remove(library, "mine")


# -- which one answers ---------------------------------------------------------------------------------


def test_the_last_choice_holds_and_one_step_goes_back(library: Library) -> None:
    assert choice_for(library, "small") == Choice(None, None, changed=False)
    with pytest.raises(NothingToDo):
        roll_back(library, "small")
    choose(library, "small", "a")
    choose(library, "small", "b")
    choose(library, "small", "b")  # nothing new: what was before is still known
    assert choice_for(library, "small") == Choice("b", "a", changed=True)
    assert roll_back(library, "small").name == "a"
    assert roll_back(library, "small").name == "b"
    choose(library, "small", "none")
    assert roll_back(library, "small").name == "b"


def test_every_base_has_its_own(library: Library) -> None:
    choose(library, "small", "a")
    choose(library, "org/large", "b")
    choose(library, "x:y;z", "c")
    assert [choice_for(library, base).name for base in ("small", "org/large", "x:y;z", "x")] == [
        *"abc",
        None,
    ]
    with pytest.raises(NothingToDo) as caught:
        roll_back(library, "another")
    assert caught.value.hint == "--model org/large"


def test_a_folder_is_one_base_by_any_path(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "models" / "m")
    monkeypatch.chdir(tmp_path)
    choose(library, "models/m", "a")
    for path in ("./models/m", str(tmp_path / "models/../models/m"), "link"):
        assert choice_for(library, path).name == "a"
    assert base_name("models/m") == str((tmp_path / "models" / "m").resolve())
    (tmp_path / "smollm2-135m").mkdir()
    assert base_name("smollm2-135m") == "smollm2-135m"


def test_removing_what_answers_brings_back_what_did_before(library: Library, base: BaseIdentity) -> None:
    for name in ("a", "b"):
        put(library, base, name)
        choose(library, "small", name)
    assert remove(library, "b") == ["small"]
    assert choice_for(library, "small") == Choice("a", None, changed=False)
    assert remove(library, "a") == ["small"]
    assert choice_for(library, "small") == Choice(None, None, changed=False)


def test_removing_what_answered_before_leaves_nothing_to_go_back_to(
    library: Library, base: BaseIdentity
) -> None:
    for name in ("a", "b"):
        put(library, base, name)
        choose(library, "small", name)
    assert remove(library, "a") == []
    assert choice_for(library, "small") == Choice("b", None, changed=False)


@pytest.mark.parametrize(
    "value",
    ["", "x", "[]", "7", '{"active": 7}', '{"active": "../../x"}', '{"active": "/etc"}', "[" * 100_000],
)
def test_an_entry_that_is_not_ours_chooses_nothing(library: Library, value: str) -> None:
    with library.write() as writer:
        writer.set_manifest("active_adapter:small", value)
    assert choice_for(library, "small").name is None
    assert choose(library, "small", "a").name == "a"


# -- what goes on a model ------------------------------------------------------------------------------


def test_the_named_one_goes_before_the_librarys_and_none_is_the_base(
    library: Library, base: BaseIdentity, tmp_path: Path
) -> None:
    said = Said()
    assert resolved(None, library, base, tmp_path, said) is None
    put(library, base, "a")
    put(library, base, "b")
    assert resolved(None, library, base, tmp_path, said) is None  # being there is not being used
    choose(library, "small", "a")
    by_library = resolved(None, library, base, tmp_path, said)
    by_name = resolved("b", library, base, tmp_path, said)
    assert by_library and (by_library.name, by_library.origin) == ("a", "library")
    assert by_name and (by_name.name, by_name.origin) == ("b", "named")
    assert resolved("none", library, base, tmp_path, said) is None
    choose(library, "small", "none")
    assert resolved(None, library, base, tmp_path, said) is None
    assert resolved(None, None, base, tmp_path, said) is None
    assert said == []


def test_a_named_one_that_does_not_fit_is_an_error_a_chosen_one_is_passed_over(
    library: Library, base: BaseIdentity, tmp_path: Path
) -> None:
    other = write_base(tmp_path / "other", seed=1)
    put(library, other, "theirs")
    choose(library, "small", "theirs")
    said = Said()
    with pytest.raises(Conflict):
        resolved("theirs", library, base, tmp_path, said)
    with pytest.raises(Missing):
        resolved("absent", library, base, tmp_path, said)
    assert said == []
    assert resolved(None, library, base, tmp_path, said) is None
    assert len(said) == 1 and "theirs" in said[0]
    shutil.rmtree(find("theirs", library).folder)
    assert resolved(None, library, base, tmp_path, said) is None
    assert len(said) == 2


def test_a_read_only_library_tells_what_answers(library: Library, base: BaseIdentity, tmp_path: Path) -> None:
    put(library, base, "a")
    choose(library, "small", "a")
    folder = library.folder
    library.close()
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        with Library.open(folder) as reopened:
            found = resolved(None, reopened, base, tmp_path, Said())
            assert found and found.name == "a"
    finally:
        folder.chmod(0o700)
        (folder / "adapters").chmod(0o700)
        (folder / "adapters" / "a").chmod(0o700)


# -- stale, damaged, unfit -----------------------------------------------------------------------------


def test_documents_that_changed_or_went_make_it_stale(library: Library, base: BaseIdentity) -> None:
    learned = tuple(DocumentVersion(one.path, one.sha256) for one in library.documents()[:3])
    adapter = put(library, base, "mine", data=replace(DATA, documents=learned))
    card = Card.read(adapter.folder)
    assert stale_documents(card, library) == ()
    assert state_of(adapter, library, lambda _: None).standing == "ok"
    changed, gone = learned[0].path, library.document(learned[2].path)
    assert gone is not None
    with library.write() as writer:
        taught_library.put(writer, changed, ["Something else."])
        writer.remove_document(gone.id)
    assert stale_documents(card, library) == (
        StaleDocument(changed, "changed"),
        StaleDocument(gone.path, "gone"),
    )
    state = state_of(adapter, library, lambda _: None)
    assert (state.standing, state.usable) == ("stale", True)
    assert state.problem == "Of the documents that it learned from, 1 changed and 1 gone."


def test_what_is_wrong_with_an_adapter_is_told(library: Library, base: BaseIdentity, tmp_path: Path) -> None:
    adapter = put(library, base, "mine")
    folder = tmp_path / "base"
    assert state_of(adapter, library, lambda _: folder, deep=True).standing == "ok"
    other = tmp_path / "other"
    write_base(other, seed=1)
    assert state_of(adapter, library, lambda _: other).standing == "unfit"
    path = adapter.folder / "adapter_model.safetensors"
    sound = path.read_bytes()
    path.write_bytes(sound[:-4] + b"\0\0\0\0")
    assert state_of(adapter, library, lambda _: folder).standing == "ok"  # the header says nothing of it
    assert state_of(adapter, library, lambda _: folder, deep=True).standing == "damaged"
    path.write_bytes(sound)
    card = json.loads((adapter.folder / "card.json").read_bytes())
    (adapter.folder / "card.json").write_text(json.dumps(card | {"prompt_version": "0"}))
    assert state_of(adapter, library, lambda _: folder).standing == "unfit"
    (adapter.folder / "card.json").write_text("{")
    state = state_of(adapter, library, lambda _: folder)
    assert (state.standing, state.card, state.usable) == ("damaged", None, False)
    (adapter.folder / "card.json").unlink()
    assert state_of(adapter, library, lambda _: folder).standing == "damaged"


# -- what came with the program ------------------------------------------------------------------------


@pytest.fixture()
def shipped_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the package would be installed, without an adapter yet."""
    monkeypatch.setattr("finetune.adapters.store.files", lambda _package: tmp_path / "site")
    return tmp_path / "site" / "shipped"


def test_the_shipped_one_answers_until_something_else_is_chosen(
    library: Library, base: BaseIdentity, tmp_path: Path, shipped_folder: Path
) -> None:
    write(shipped_folder / "grounding", base)
    write(shipped_folder / "teacher", base, purpose="question")
    write(shipped_folder / "elsewhere", replace(base, name="large"))
    said = Said()
    found = resolved(None, library, base, tmp_path, said)
    assert found and (found.name, found.origin) == ("grounding", "shipped")
    assert (found := resolved(None, None, base, tmp_path, said)) and found.name == "grounding"
    choose(library, "small", "none")
    assert resolved(None, library, base, tmp_path, said) is None
    put(library, base, "mine")
    choose(library, "small", "mine")
    assert (found := resolved(None, library, base, tmp_path, said)) and found.name == "mine"
    remove(library, "mine")
    assert resolved(None, library, base, tmp_path, said) is None  # "none" was in use before it
    assert said == []


def test_the_shipped_one_stands_in_for_a_choice_that_does_not_fit(
    library: Library, base: BaseIdentity, tmp_path: Path, shipped_folder: Path
) -> None:
    write(shipped_folder / "grounding", base)
    put(library, write_base(tmp_path / "other", seed=1), "theirs")
    choose(library, "small", "theirs")
    said = Said()
    found = resolved(None, library, base, tmp_path, said)
    assert found and found.name == "grounding" and len(said) == 1


def test_the_shipped_one_can_neither_be_removed_nor_replaced(
    library: Library, base: BaseIdentity, shipped_folder: Path
) -> None:
    write(shipped_folder / "grounding", base)
    with pytest.raises(UsageError):
        remove(library, "grounding")
    with pytest.raises(Conflict):
        put(library, base, "grounding")
    assert find("grounding", library).shipped


def test_a_damaged_shipped_one_is_passed_over(
    library: Library, base: BaseIdentity, tmp_path: Path, shipped_folder: Path
) -> None:
    write(shipped_folder / "grounding", base)
    (shipped_folder / "grounding" / "adapter_model.safetensors").write_bytes(b"x")
    said = Said()
    assert resolved(None, library, base, tmp_path, said) is None
    assert len(said) == 1
    (shipped_folder / "grounding" / "card.json").write_text("{")
    assert resolved(None, library, base, tmp_path, said) is None
    with pytest.raises(Conflict):
        resolved("grounding", library, base, tmp_path, said)
