"""`assistant adapters` as a user runs it: the installed command, a library, a tiny model and its adapters."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, get_args

import pytest
import taught_library
from tiny_chat import write_adapter, write_model

from assistant.__main__ import main
from corpora.store import Library
from finetune.adapters.state import Standing
from finetune.adapters.store import install
from finetune.card import Card, Data, DocumentVersion, GateVerdict, Serving, Setting, Source

PROGRAM = Path(sys.executable).with_name("assistant")
HANDBOOK = Path(__file__).resolve().parents[2] / "corpora" / "handbook" / "adapters.md"
TABLE = ("held-out: 40 questions", "                  F1  answerable", "  candidate     0.62        0.50")


@dataclass(frozen=True)
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


def installed(folder: Path, *words: str, code: int = 0) -> Done:
    """The command as it is installed, in a process of its own."""
    done = subprocess.run([PROGRAM, *words], cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return Done(done.stdout, done.stderr)


def run(folder: Path, *words: str, code: int = 0) -> Done:
    """The same command in this process, which has its imports behind it."""
    out, err = TextIOWrapper(BytesIO(), "utf-8"), TextIOWrapper(BytesIO(), "utf-8")
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        done = main(words)
    texts = []
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
        texts.append(stream.read())
    assert done == code, (words, *texts)
    return Done(*texts)


def rows(folder: Path, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(folder, *words, "--json").stdout.splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library, a model, and two adapters that learned from three of its documents."""
    folder = tmp_path_factory.mktemp("made")
    base = write_model(folder / "tiny")
    with taught_library.make(folder / ".assistant") as library:
        documents = tuple(DocumentVersion(one.path, one.sha256) for one in library.documents()[:3])
        source = Source("your documents", None, 5)
        data = Data("1" * 64, {"grounded": 4, "missing": 1}, {"self-qa": 5}, ("en",), documents, (source,))
        for name, verdict in (
            ("first", GateVerdict(True, True, "better", TABLE)),
            ("second", GateVerdict(False, False, "the gate was left out (--no-gate)")),
        ):
            adapter = write_adapter(
                folder / "src" / name,
                base,
                serving=Serving(False, 0.25),
                scale=0.3,
                data=data,
                verdict=verdict,
                settings={"rank": Setting(2, "flag")},
            )
            install(library, adapter, Card.read(adapter))
    return folder


@pytest.fixture()
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the library beside the same model, which is the one that answers."""
    shutil.copytree(made / ".assistant", tmp_path / ".assistant")
    monkeypatch.setenv("ASSISTANT_MODEL", str(made / "tiny"))
    return tmp_path


def answers_with(folder: Path) -> str | None:
    (state,) = rows(folder, "status")
    name: str | None = state["adapter"]
    listed = rows(folder, "adapters", "list")
    active = [one["name"] for one in listed if one["active"] and not one["shipped"]]  # those answer elsewhere
    assert active == ([name] if name else [])
    return name


def test_from_the_first_choice_to_removal(folder: Path, made: Path) -> None:
    base = str(made / "tiny")
    assert answers_with(folder) is None
    done = run(folder, "adapters", "use", "first")
    assert done.stdout == f"{base} answers with first (before: the plain base)\n" and done.stderr == ""
    assert answers_with(folder) == "first"
    (told,) = rows(folder, "adapters", "use", "second")
    assert told == {"base": base, "adapter": "second", "previous": "first", "changed": True}
    assert rows(folder, "adapters", "use", "--previous")[0]["adapter"] == "first"
    assert answers_with(folder) == "first"
    assert rows(folder, "adapters", "use", "none")[0]["adapter"] is None
    assert answers_with(folder) is None
    run(folder, "adapters", "use", "--previous")
    done = run(folder, "adapters", "remove", "first")
    assert done.stdout == f"removed first\nit was in use: {base} answers without an adapter\n"
    assert answers_with(folder) is None
    assert [one["name"] for one in rows(folder, "adapters", "list") if not one["shipped"]] == ["second"]
    assert not (folder / ".assistant" / "adapters" / "first").exists()


def test_a_choice_that_was_not_promoted_is_told(folder: Path) -> None:
    done = run(folder, "adapters", "use", "second")
    assert "not promoted: the gate was left out (--no-gate)" in done.stderr


def test_the_page_of_an_adapter(folder: Path, made: Path) -> None:
    page = run(folder, "adapters", "show", "first").stdout
    for line in (
        "name        first",
        "standing    ok",
        "rows        5 (4 grounded, 1 missing)",
        "source      your documents: 5 rows, licence none",
        "documents   3",
        "asked       without examples in the prompt; refuses where its probability is over 0.25",
        "setting     rank = 2 flag",
        "verdict     promoted: better",
        *(f"  {row}" for row in TABLE),
    ):
        assert line in page.splitlines(), page
    (row,) = rows(folder, "adapters", "show", "first")
    assert row["card"] == json.loads((made / ".assistant/adapters/first/card.json").read_bytes())
    assert row["card"]["verdict"]["table"] == list(TABLE)


def test_documents_that_change_make_it_stale_everywhere(folder: Path) -> None:
    run(folder, "adapters", "use", "first")
    with Library.open(folder / ".assistant", writable=True) as library, library.write() as writer:
        one, other = library.documents()[:2]
        taught_library.put(writer, one.path, ["It was torn down."])
        writer.remove_document(other.id)
    expected = [{"path": one.path, "reason": "changed"}, {"path": other.path, "reason": "gone"}]
    (row,) = [row for row in rows(folder, "adapters", "list") if row["name"] == "first"]
    assert (row["standing"], row["stale"]) == ("stale", expected)
    (state,) = rows(folder, "status")
    assert (state["adapter"], state["adapter_standing"]) == ("first", "stale")
    assert state["adapter_stale"] == expected
    assert "adapter    stale: Of the documents that it learned from, 1 changed and 1 gone." in (
        run(folder, "status").stdout
    )
    findings = json.loads(run(folder, "doctor", "--json").stdout)["findings"]
    (finding,) = [finding for finding in findings if finding["check"] == "adapters"]
    assert finding["level"] == "warn" and finding["fix"]
    assert "2 of the documents" in run(folder, "adapters", "use", "second").stderr


def test_one_that_is_damaged_is_found_and_not_used(folder: Path) -> None:
    run(folder, "adapters", "use", "first")
    weights = folder / ".assistant/adapters/first/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2] + b"\xff\x7f")
    done = run(folder, "doctor", "--deep", "--json", code=4)
    (finding,) = [one for one in json.loads(done.stdout)["findings"] if one["check"] == "adapters"]
    assert finding["level"] == "fail" and "--previous" in finding["fix"]
    assert "damaged" in run(folder, "adapters", "show", "first").stdout
    done = run(folder, "adapters", "use", "first", "--json", code=5)
    assert json.loads(done.stderr)["error"]["code"] == "bad_adapter"
    weights.unlink()
    assert "damaged" in run(folder, "status").stdout
    shutil.rmtree(weights.parent)
    (state,) = rows(folder, "status")
    assert (state["adapter"], state["adapter_standing"]) == ("first", "missing")
    run(folder, "doctor", code=4)


def test_an_adapter_that_is_named_by_its_folder(
    folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, "adapters", "use", "first")
    monkeypatch.setenv("ASSISTANT_ADAPTER", str(made / "src" / "second"))
    (state,) = rows(folder, "status")
    assert (state["adapter"], state["adapter_problem"]) == (str(made / "src" / "second"), None)
    assert "goes before it" in run(folder, "adapters", "use", "second").stderr
    monkeypatch.setenv("ASSISTANT_ADAPTER", "./absent")
    (state,) = rows(folder, "status")
    assert (state["adapter"], state["adapter_standing"]) == ("./absent", "missing")
    monkeypatch.setenv("ASSISTANT_ADAPTER", "none")
    assert rows(folder, "status")[0]["adapter"] is None


def test_a_hostile_card_writes_nothing_to_the_terminal(folder: Path) -> None:
    place = folder / ".assistant/adapters/first"
    card = Card.read(place)
    evil = "\x1b]0;owned\x07\x1b[2J\u202eok\nname        other"
    replace(
        card,
        method=evil,
        created=evil,
        base=replace(card.base, name=evil),
        versions={evil: evil},
        verdict=GateVerdict(True, True, evil, (evil,)),
        licences=(evil,),
    ).write(place)
    for words in (("list",), ("show", "first")):
        out = run(folder, "adapters", *words).stdout
        assert not {"\x1b", "\x07", "\u202e"} & set(out)
        assert "\nname        other" not in out
    done = run(folder, "adapters", "use", "first")
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout + done.stderr)


def test_a_card_that_names_another_base_is_found_out(folder: Path) -> None:
    other = write_model(folder / "other", seed=9)
    place = folder / ".assistant/adapters/first"
    card = Card.read(place)
    replace(card, base=replace(card.base, name=str(other))).write(place)
    (row,) = [row for row in rows(folder, "adapters", "list") if row["name"] == "first"]
    assert row["standing"] == "unfit"
    done = run(folder, "adapters", "use", "first", "--json", code=5)
    assert json.loads(done.stderr)["error"]["code"] == "wrong_base"
    assert answers_with(folder) is None


@pytest.mark.models
@pytest.mark.timeout(900)
def test_answers_come_with_it_until_it_is_rolled_back(
    embedded_models: Path, folder: Path, made: Path
) -> None:
    """The whole way: what is chosen is what `ask` answers with, and what another base refuses."""
    question = ("ask", "Who built the lighthouse of Brannock?", "--offline", "--no-retrieval")

    def answered(*options: str) -> str | None:
        name: str | None = json.loads(installed(folder, *question, *options, "--json").stdout)["adapter"]
        return name

    installed(folder, "adapters", "use", "first")
    assert answered() == "first"
    assert answered("--adapter", "second") == "second"
    installed(folder, "adapters", "remove", "first")
    assert answered() is None
    other = str(write_model(folder / "other", seed=9))
    done = installed(folder, *question, "--model", other, "--adapter", "second", "--json", code=5)
    assert json.loads(done.stderr)["error"]["code"] == "wrong_base"


def test_a_merge_is_made_and_used(folder: Path, made: Path) -> None:
    done = run(folder, "adapters", "merge", "both", "first=0.5", "second=0.25")
    assert done.stdout.startswith("both is 0.5 x first + 0.25 x second\n")
    (row,) = rows(folder, "adapters", "show", "both")
    assert (row["method"], row["active"], row["promoted"]) == ("merge", False, False)
    assert [part["name"] for part in row["card"]["merged_from"]] == ["first", "second"]
    run(folder, "adapters", "use", "both")
    assert answers_with(folder) == "both"
    for words, code in (
        (("both", "first=1", "second=1"), 5),
        (("more", "first=1"), 2),
        (("more", "first", "second"), 2),
        (("more", "first=1", "first=2"), 2),
        (("more", "first=1", "absent=2"), 8),
        (("../more", "first=1", "second=2"), 2),
    ):
        run(folder, "adapters", "merge", *words, code=code)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("use",), 2),
        (("use", "first", "--previous"), 2),
        (("use", "first", "--model", "m"), 2),
        (("use", "../../etc"), 2),
        (("use", "absent"), 8),
        (("use", "--previous"), 3),
        (("show", "/etc"), 2),
        (("remove", ".."), 2),
        (("remove", "absent"), 8),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(folder: Path, words: tuple[str, ...], code: int) -> None:
    done = run(folder, "adapters", *words, code=code)
    assert done.stdout == "" and done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) <= 2


def test_without_a_library(tmp_path: Path) -> None:
    run(tmp_path, "adapters", "list", code=3)


def test_the_handbook_explains_every_standing() -> None:
    section = HANDBOOK.read_text("utf-8").split("## What fits")[1].split("##")[0]
    first = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    assert first[2:] == list(get_args(Standing))
