"""Every key and every command, pressed and typed, over the real engine with a scripted model."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from chat_driver import DOCUMENTS, Script, ask, make_app, ready, type_line, until
from textual._styles_cache import StylesCache
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static, TextArea

from assistant.tui import slash
from assistant.tui.app import ChatApp
from assistant.tui.chat import ChatScreen
from assistant.tui.compare import CompareScreen
from assistant.tui.dialogs import Confirm, Correction
from assistant.tui.keys import bindings
from assistant.tui.pages import Page
from assistant.tui.past import PastSessions
from assistant.tui.preferences import Preferences
from assistant.tui.sources import PassageScreen
from assistant.tui.turns import Reply
from corpora.store import ExampleStore, Library, NewTurn, SessionStore

BUILT = "When was the lighthouse of Brannock built?"
FERRY = "What does a ticket for the ferry cost?"
Act = Callable[[ChatApp, Pilot[Any]], Awaitable[None]]


def run(act: Act, script: Script | None = None, size: tuple[int, int] = (100, 32), **options: Any) -> None:
    async def main() -> None:
        app = make_app(script, **options)
        async with app.run_test(size=size) as pilot:
            await ready(pilot)
            await act(app, pilot)
            if script is not None:
                script.go_on.set()

    asyncio.run(main())


def reply_of(prompt: str) -> str:
    question = prompt.rsplit("Question:", 1)[-1]
    if "ferry" in question:
        return "A ticket for the ferry costs four euros [1]."
    return "The lighthouse was built in 1874 by Anna Kerr [1]."


def shown(app: ChatApp, selector: str) -> str:
    return "\n".join(str(widget.content) for widget in app.screen.query(selector).results(Static))


def stored(folder: Path) -> list[Any]:
    with Library.open(folder / ".assistant") as library:
        store = SessionStore(library)
        return [turn for session in reversed(store.sessions()) for turn in store.turns(session.id)]


pytestmark = pytest.mark.usefixtures("docs")


def test_enter_sends_and_ctrl_j_and_shift_enter_begin_a_line(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await pilot.press(*"When was the", "ctrl+j", *"lighthouse", "shift+enter", *"built?")
        assert app.chat.entry.text == "When was the\nlighthouse\nbuilt?"
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.last_turn is not None)
        assert app.chat.entry.text == ""

    run(act)
    assert [turn.question for turn in stored(docs)] == ["When was the\nlighthouse\nbuilt?"]


def test_escape_stops_within_two_tokens(docs: Path) -> None:
    script = Script("The lighthouse was built in 1874 by Anna Kerr. " * 20)
    script.hold_at = 40

    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await type_line(pilot, BUILT)
        await until(pilot, lambda: "1874" in (app.chat.transcript.last or app.chat).written)  # type: ignore[union-attr]
        await pilot.press("escape")
        assert "stopping" in str(app.chat.state.doing)
        await pilot.pause(0.1)
        script.go_on.set()
        await until(pilot, lambda: app.chat.requests.at_work is None)

    run(act, script)
    (turn,) = stored(docs)
    assert turn.status == "cancelled"
    assert len(turn.answer.answer.replace(" [1]", "")) <= 40 + 2 * 4, "two tokens of four characters"


def test_while_one_answer_is_written_the_next_question_waits_in_the_prompt() -> None:
    script = Script()
    script.hold_at = 0

    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await type_line(pilot, BUILT)
        await type_line(pilot, FERRY)
        assert app.chat.entry.text == FERRY
        assert len(app.chat.transcript.views) == 1
        script.go_on.set()
        await until(pilot, lambda: app.chat.requests.at_work is None)

    run(act, script)


def test_sources_open_a_passage_and_ask_before_the_editor(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    editor = tmp_path / "vim"
    editor.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{seen}"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)

    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        monkeypatch.setattr(app, "suspend", contextlib.nullcontext)  # there is no terminal here to be lent
        await ask(pilot, BUILT)
        await pilot.press("ctrl+o")
        await pilot.pause()
        listed = app.screen.query_one("#source-list", OptionList)
        assert listed.has_focus
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PassageScreen))
        await until(pilot, lambda: shown(app, "#before"))
        assert "harbour.md:7" in shown(app, "#place")
        assert "west coast" in shown(app, "#before")
        assert "last keeper" in shown(app, "#after")
        passage = app.screen.query_one("#passage", Static).content
        assert [passage.plain[span.start : span.end] for span in passage.spans] == [  # type: ignore[union-attr]
            "The lighthouse of Brannock was built in 1874 by the engineer Anna Kerr."
        ]
        await pilot.press("right")
        assert "[2]" in shown(app, "#place")
        await pilot.press("left")
        await until(pilot, lambda: shown(app, "#before"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert not seen.exists()
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, PassageScreen))
        assert not seen.exists()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await until(pilot, seen.exists)
        await pilot.press("escape", "escape", "ctrl+o")
        assert not app.chat.sources.has_class("-open")

    run(act)
    assert seen.read_text().split("\n")[:2] == ["+7", str(docs / "harbour.md")]


def test_a_click_on_a_marker_opens_its_passage() -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        reply = app.screen.query_one(Reply)
        at = str(reply.content).index("[1]")
        await pilot.click(Reply, offset=(at + 3, 0))
        await until(pilot, lambda: isinstance(app.screen, PassageScreen))

    run(act)


def test_palette_help_past_conversations_and_new_by_key() -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert "/compare" in shown(app, "#page")
        await pilot.press("escape")
        await pilot.press("ctrl+p")
        await until(pilot, lambda: app.screen.query(Input))
        await pilot.press(*"keys and", "enter")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Page))
        await pilot.press("escape", "ctrl+n")
        await until(pilot, lambda: not app.chat.transcript.views)
        assert app.chat.session is None
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, PastSessions))
        await pilot.press(*"anna kerr")
        await until(pilot, lambda: "1 turn" in options_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.session is not None)
        assert isinstance(app.screen, ChatScreen)
        assert len(app.chat.transcript.views) == 1

    run(act)


def options_of(app: ChatApp) -> str:
    listed = app.screen.query(OptionList).last(OptionList)
    return "\n".join(str(listed.get_option_at_index(n).prompt) for n in range(listed.option_count))


def test_past_conversations_are_renamed_forked_and_deleted(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, PastSessions) and "1 turn" in options_of(app))
        await pilot.press("f2")
        await until(pilot, lambda: app.screen.query(Input) and not isinstance(app.screen, PastSessions))
        app.screen.query_one(Input).value = "The old light"
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.session is not None and app.chat.session.name == "The old light")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, PastSessions) and "old light" in options_of(app))
        first = app.chat.session
        await pilot.press("f4")
        await until(pilot, lambda: app.chat.session is not None and app.chat.session.parent == first.id)  # type: ignore[union-attr]
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, PastSessions) and "1 turn" in options_of(app))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")  # what is dangerous is not the default
        assert app.chat.session is not None
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, PastSessions) and "1 turn" in options_of(app))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app.chat.session is None)

    run(act)
    with Library.open(docs / ".assistant") as library:
        assert [session.name for session in SessionStore(library).sessions()] == ["The old light"]


def test_after_a_conversation_is_deleted_another_one_goes_on(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        kept = app.chat.session
        await type_line(pilot, "/new")
        await ask(pilot, FERRY)
        dropped = app.chat.session
        assert kept is not None and dropped is not None
        app.shelf.sessions.delete(dropped)
        app.open_session(kept)
        await until(pilot, lambda: app.chat.session is not None and app.chat.session.id == kept.id)
        await ask(pilot, "How high is it?")
        assert app.chat.last_turn is not None and app.chat.last_turn.status == "done"

    run(act)
    assert [turn.question for turn in stored(docs)] == [BUILT, "How high is it?"]


def test_what_another_chat_added_is_not_undone(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        session = app.chat.session
        assert session is not None
        with Library.open(docs / ".assistant", writable=True) as library, library.write() as writer:
            SessionStore(library).begin(
                writer, session.id, NewTurn("Elsewhere?", "Elsewhere?", None, None, True)
            )
        await type_line(pilot, "/undo")
        await until(pilot, lambda: not app.chat.transcript.views)

    run(act)
    assert [turn.question for turn in stored(docs)] == ["Elsewhere?"]


@pytest.mark.parametrize(
    "line", ["/ingest ~nobody-at-all/docs", f"/ingest {'x' * 300}", f"/export {'x' * 300}/a.md", "/in [z-a]"]
)
def test_odd_paths_are_said_to_be_none(docs: Path, line: str) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        await pilot.press(*"/ingest ~nobody-at-all/", "ctrl+a", "ctrl+k")
        await type_line(pilot, line)
        await until(pilot, lambda: app._notifications)
        assert app.chat.state.within is None

    run(act)


def end_engine(app: ChatApp) -> None:
    """It ends when nothing more can be asked of it."""
    engine = app.link._engine
    assert engine is not None
    engine.requests.close()


def test_without_an_engine_nothing_waits_for_ever(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.tui.app._MOST_DEATHS", 0)

    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        end_engine(app)
        await until(pilot, lambda: "/quit" in shown(app, ".notice"))
        await type_line(pilot, BUILT)
        await until(pilot, lambda: "does not run" in shown(app, ".reply"))
        assert app.chat.requests.at_work is None

    run(act)


def test_copy_quit_pages_and_history_by_key() -> None:
    long_reply = "\n".join(["The lighthouse was built in 1874 by Anna Kerr [1]."] + ["It stands."] * 60)

    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        await ask(pilot, FERRY)
        await pilot.press("ctrl+y")
        assert "four euros" in app.clipboard
        await pilot.press("up")
        assert app.chat.entry.text == FERRY
        await pilot.press("up")
        assert app.chat.entry.text == BUILT
        await pilot.press("down", "down")
        assert app.chat.entry.text == ""
        transcript = app.chat.transcript
        end = transcript.scroll_y
        await pilot.press("pageup")
        await pilot.pause()
        assert transcript.scroll_y < end
        await pilot.press("pagedown", "pagedown")
        await pilot.pause()
        assert transcript.scroll_y == end
        await pilot.press("ctrl+home")
        await pilot.pause()
        assert transcript.scroll_y == 0
        await pilot.press("ctrl+end")
        await pilot.press("ctrl+q")
        assert app._exit

    run(act, Script(lambda prompt: reply_of(prompt) if "ferry" in prompt[-60:] else long_reply), (80, 10))


def test_selected_text_is_copied() -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        app.chat.text_select_all()
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert "1874" in app.clipboard

    run(act)


def test_keys_are_set_in_the_users_config() -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await pilot.press("ctrl+t")
        assert app.chat.sources.has_class("-open")
        await pilot.press("ctrl+o")
        assert app.chat.sources.has_class("-open"), "the old key does nothing now"
        await pilot.press("ctrl+t", "f1")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert "^t" in shown(app, "#page")

    run(act, preferred=Preferences(keys={"chat.sources": "ctrl+t"}))


def test_every_command_is_tried_here() -> None:
    source = Path(__file__).read_text("utf-8")
    assert [command.name for command in slash.COMMANDS if f"/{command.name}" not in source] == []
    assert len({binding.id for binding in bindings()}) == len(bindings())


def test_settings_of_the_next_question(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await type_line(pilot, "/k 2")
        await type_line(pilot, "/in *.txt")
        await type_line(pilot, "/adapter none")
        await until(pilot, lambda: app.chat.state.adapter is None)
        await ask(pilot, "Where is the market of Brannock held?")
        turn = app.chat.last_turn
        assert turn is not None
        assert turn.answer is not None
        assert {hit.passage.path for hit in turn.answer.passages} == {"notes/market.txt"}
        assert turn.answer.adapter is None
        await type_line(pilot, "/in")
        await type_line(pilot, "/rag off")
        assert not app.chat.state.retrieval
        await ask(pilot, BUILT)
        turn = app.chat.last_turn
        assert turn is not None
        assert not turn.retrieval
        await type_line(pilot, "/rag on")
        await type_line(pilot, "/adapter tuned")
        await until(pilot, lambda: app.chat.state.adapter == "tuned")
        await ask(pilot, BUILT)
        turn = app.chat.last_turn
        assert turn is not None
        assert turn.answer is not None
        assert len(turn.answer.passages) == 2
        await type_line(pilot, "/model missing")
        await until(pilot, lambda: "There is no model" in shown(app, ".notice"))
        await ask(pilot, FERRY)
        assert app.chat.last_turn is not None
        assert app.chat.last_turn.status == "done", "the model that could not be had is not kept"
        for wrong in (
            "/k 0",
            "/k x",
            "/rag maybe",
            "/nosuch",
            "/theme nosuch",
            "/sources 99",
            "/ingest nosuch",
        ):
            await type_line(pilot, wrong)
            await pilot.press("ctrl+a", "ctrl+k")
        assert not app.chat.entry.text

    run(act, Script(reply_of))


def test_retry_edit_undo_fork_rename(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        await ask(pilot, FERRY)
        await type_line(pilot, "/retry")
        await until(pilot, lambda: app.chat.requests.at_work is None and len(app.chat.transcript.views) == 2)
        await type_line(pilot, "/edit")
        assert app.chat.entry.text == FERRY
        await type_line(pilot, "What does the ferry cross?")
        await until(pilot, lambda: app.chat.requests.at_work is None and len(app.chat.transcript.views) == 2)
        await type_line(pilot, "/edit")
        await pilot.press("escape")
        assert not app.chat.editing
        await type_line(pilot, "/rename Two questions")
        await until(pilot, lambda: app.chat.session is not None and app.chat.session.name == "Two questions")
        await type_line(pilot, "/fork")
        await until(pilot, lambda: app.chat.session is not None and app.chat.session.parent)
        await type_line(pilot, "/undo")
        await until(pilot, lambda: len(app.chat.transcript.views) == 1)
        assert app.chat.entry.text == "What does the ferry cross?", "given back"
        await type_line(pilot, "/new")
        assert not app.chat.transcript.views

    run(act, Script(reply_of))
    assert [turn.question for turn in stored(docs)] == [BUILT, "What does the ferry cross?", BUILT]


def test_compare_why_and_sources(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await type_line(pilot, "/compare")
        assert isinstance(app.screen, ChatScreen), "nothing to compare yet"
        await type_line(pilot, f"/compare {BUILT}")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: app.chat.requests.at_work is None)
        sides = [str(app.screen.query_one(f"#side-{n}", Static).content) for n in range(3)]
        assert "scripted + tuned" in sides[0]
        assert "tuned" not in sides[1]
        assert "from the model alone" in sides[2]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen))
        await ask(pilot, BUILT)
        await type_line(pilot, "/why")
        await until(pilot, lambda: isinstance(app.screen, Page))
        page = shown(app, "#page")
        assert "harbour.md:5" in page
        assert "instructions" in page
        await pilot.press("escape")
        await type_line(pilot, "/sources 1")
        await until(pilot, lambda: isinstance(app.screen, PassageScreen))
        await pilot.press("escape")
        await type_line(pilot, "/sources")
        assert app.chat.sources.has_class("-open")

    run(act)
    assert [turn.question for turn in stored(docs)] == [BUILT], "comparing stores nothing"


def test_leaving_a_comparison_stops_it() -> None:
    script = Script()
    script.hold_at = 0

    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await type_line(pilot, f"/compare {BUILT}")
        await until(pilot, lambda: script.asked)
        await pilot.press("escape")
        script.go_on.set()
        await until(pilot, lambda: app.chat.requests.at_work is None)
        assert len(script.asked) == 1

    run(act, script)


def test_good_bad_and_fix_write_reviewed_examples(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)
        await type_line(pilot, "/good")
        await until(pilot, lambda: "✓ good" in shown(app, ".reply"))
        await ask(pilot, FERRY)
        await type_line(pilot, "/bad")
        await until(pilot, lambda: "✗ bad" in shown(app, ".reply"))
        await type_line(pilot, "/fix")
        await until(pilot, lambda: isinstance(app.screen, Correction))
        app.screen.query_one(TextArea).text = "four euros"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ChatScreen) and len(accepted(docs)) == 2)

    run(act, Script(reply_of))
    assert {example.answer for example in accepted(docs)} == {
        "The lighthouse was built in 1874 by Anna Kerr.",
        "four euros",
    }


def accepted(folder: Path) -> list[Any]:
    with Library.open(folder / ".assistant") as library:
        return [one for one in ExampleStore(library).find("accepted") if one.reviewed]


def test_export_copy_theme_and_quit(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await type_line(pilot, "/export")
        await type_line(pilot, "/copy")
        await ask(pilot, BUILT)
        await type_line(pilot, "/export")
        await until(pilot, lambda: list(docs.glob("when-was*.md")))
        await type_line(pilot, "/export talk.json")
        await until(pilot, (docs / "talk.json").exists)
        await type_line(pilot, "/export talk.json")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("escape")
        await type_line(pilot, "/copy")
        assert "1874" in app.clipboard
        await type_line(pilot, "/theme light")
        assert app.theme == "textual-light"
        await type_line(pilot, "/help")
        await until(pilot, lambda: isinstance(app.screen, Page))
        await pilot.press("escape")
        await type_line(pilot, "/sessions lighthouse")
        await until(pilot, lambda: isinstance(app.screen, PastSessions) and "1 turn" in options_of(app))
        await pilot.press("escape")
        await type_line(pilot, "/quit")
        assert app._exit

    run(act, Script(reply_of))
    assert BUILT in next(docs.glob("when-was*.md")).read_text("utf-8")
    assert json.loads((docs / "talk.json").read_text("utf-8"))["conversation"][0]["question"] == BUILT


def test_completion_of_commands_and_arguments() -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        await pilot.press(*"/the")
        assert app.chat.entry.completing
        await pilot.press("tab")
        assert app.chat.entry.text == "/theme "
        await pilot.press(*"nord")
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "nord")
        await pilot.press(*"/in notes")
        await until(pilot, lambda: app.chat.entry.completing)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.chat.state.within == "notes/**")
        await pilot.press("/", "escape")
        assert not app.chat.entry.completing
        await pilot.press("backspace", *"/ra")
        await pilot.press("enter")
        assert app.chat.entry.text == "/rag ", "it needs an argument"
        await pilot.press("escape", "ctrl+a", "ctrl+k", *"/k")
        await pilot.press("enter")
        assert app.chat.entry.text == "/k "

    run(act)


def test_a_new_user_reads_documents_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new"
    (folder / "papers").mkdir(parents=True)
    for name in ("harbour.md", "ferries.md"):
        (folder / "papers" / name).write_text(DOCUMENTS[name], "utf-8")
    monkeypatch.chdir(folder)

    async def main() -> None:
        app = make_app(Script(reply_of))
        async with app.run_test(size=(60, 20)) as pilot:
            await until(pilot, lambda: "no library" in shown(app, "#empty"))
            await type_line(pilot, BUILT)
            assert app.chat.entry.text == BUILT, "kept until there is something to ask"
            await pilot.press("ctrl+a", "ctrl+k", *"/ingest pap")
            await pilot.press("tab", "enter")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            assert not (folder / ".assistant").exists()
            await pilot.press("enter")
            await until(pilot, lambda: "2 documents" in shown(app, ".notice"))
            await ready(pilot)
            await ask(pilot, BUILT)
            assert app.chat.last_turn is not None
            assert app.chat.last_turn.answer is not None
            assert "1874" in (app.chat.last_turn.answer.answer or "")

    asyncio.run(main())


def test_resume_goes_on_with_the_last_conversation(docs: Path) -> None:
    async def first(app: ChatApp, pilot: Pilot[Any]) -> None:
        await ask(pilot, BUILT)

    async def then(app: ChatApp, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.chat.session is not None)
        assert len(app.chat.transcript.views) == 1
        await ask(pilot, "How high is it?")
        assert app.chat.last_turn is not None
        assert "lighthouse" in app.chat.last_turn.searched

    run(first)
    run(then, resume="")
    assert [turn.question for turn in stored(docs)] == [BUILT, "How high is it?"]


def test_earlier_turns_come_when_the_reader_scrolls_up(docs: Path) -> None:
    async def many(app: ChatApp, pilot: Pilot[Any]) -> None:
        for number in range(45):
            await ask(pilot, f"When was the lighthouse number {number} built?")
        transcript = app.chat.transcript
        assert len(transcript.views) <= 40
        for _ in range(6):
            await pilot.press("ctrl+home")
            await pilot.pause(0.2)
        await until(pilot, lambda: transcript.views[0].question.endswith("number 0 built?"))
        assert len(transcript.views) == 45

    run(many, Script("In 1874 [1]."))


def test_turns_that_left_the_screen_are_forgotten(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing holds the drawn lines of a widget that is gone, however long the conversation grows."""
    monkeypatch.setattr("assistant.tui.transcript.WINDOW", 2)
    monkeypatch.setattr("assistant.tui.transcript._STEP", 1)

    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        for _ in range(6):
            await ask(pilot, BUILT)
        gc.collect()
        alive = gc.get_objects()
        of_widgets = {id(one._styles_cache) for one in alive if issubclass(type(one), Widget)}
        caches = [one for one in alive if type(one) is StylesCache]
        assert len(app.chat.transcript.views) == 3
        assert len(caches) > 10
        assert [one for one in caches if id(one) not in of_widgets] == []

    run(act)


def test_an_engine_that_dies_is_started_again(docs: Path) -> None:
    async def act(app: ChatApp, pilot: Pilot[Any]) -> None:
        end_engine(app)
        await until(pilot, lambda: "ended" in shown(app, ".notice"))
        await ask(pilot, BUILT)
        assert app.chat.last_turn is not None
        assert app.chat.last_turn.status == "done"

    run(act)
