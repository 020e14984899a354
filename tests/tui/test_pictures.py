"""Every screen and state as an SVG picture, compared with the one that was looked at.

DRAW_PICTURES=1 writes them anew; look at each before it is committed.
"""

from __future__ import annotations

import asyncio
import difflib
import itertools
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import textual
from chat_driver import REPLY, Script, ask, make_app, ready, type_line, until
from textual.pilot import Pilot
from textual.widgets import Input

from assistant.tui.dialogs import Confirm
from assistant.tui.preferences import OwnTheme, Preferences
from corpora.errors import Missing

PICTURES = Path(__file__).with_name("pictures")
BUILT = "When was the lighthouse of Brannock built?"
NOTHING = "Who won the football cup in Peru?"
Act = Callable[[Pilot[Any]], Awaitable[None]]


def portable(svg: str) -> str:
    """A picture without names that differ from run to run, and with nothing from a network."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"terminal-\d+", "terminal-0", svg)


def plain(svg: str) -> str:
    """A portable picture without seconds and dates."""
    svg = portable(svg)
    svg = re.sub(r"\d+\.\d(&#160;(?:s|tok/s)\b)", r"#.#\1", svg)
    return re.sub(r"\d{4}-\d\d-\d\d&#160;\d\d:\d\d", "2026-01-01&#160;00:00", svg)


def compare(name: str, svg: str) -> None:
    """Fails where the picture is not the one that is kept."""
    path = PICTURES / f"{name}.svg"
    if os.environ.get("DRAW_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        path.write_text(plain(svg), "utf-8")
        return
    kept = path.read_text("utf-8").splitlines()
    changed = [line for line in difflib.unified_diff(kept, plain(svg).splitlines(), lineterm="", n=0)]
    assert not changed, "\n".join(changed[:20])


def take(
    name: str,
    act: Act,
    *,
    size: tuple[int, int] = (100, 32),
    script: Script | None = None,
    **options: Any,
) -> None:
    """Run the chat, do `act`, and compare what is on the screen."""

    async def run() -> None:
        app = make_app(script, **options)
        async with app.run_test(size=size) as pilot:
            app.chat.entry.cursor_blink = False
            await act(pilot)
            for field in app.screen.query(Input):
                field.cursor_blink = False
            await pilot.pause(0.1)
            svg = app.export_screenshot(title="assistant chat")
            if script is not None:
                script.go_on.set()
            compare(name, svg)

    asyncio.run(run())


async def one_answer(pilot: Pilot[Any]) -> None:
    await ready(pilot)
    await ask(pilot, BUILT)


@pytest.fixture()
def even_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer takes as long as any other, so that its seconds are as wide."""
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) * 0.25)
    monkeypatch.setattr("assistant.answer.engine.time", clock)


pytestmark = [
    pytest.mark.usefixtures("docs", "even_pace"),
    pytest.mark.skipif(not textual.__version__.startswith("8.2."), reason="drawn by another Textual"),
]


def test_empty() -> None:
    take("empty", ready)


def test_conversation() -> None:
    """A question, a follow-up and a refusal, with the sources of the one in the middle."""

    async def act(pilot: Pilot[Any]) -> None:
        await ready(pilot)
        await ask(pilot, NOTHING)
        await ask(pilot, BUILT)
        await ask(pilot, "Who built it?")
        await type_line(pilot, "/rename Brannock")
        await until(pilot, lambda: pilot.app.chat.session.name == "Brannock")  # type: ignore[attr-defined]
        pilot.app.clear_notifications()
        await pilot.press("ctrl+o")

    def reply(prompt: str) -> str:
        if prompt.rsplit("Question:", 1)[1].strip().startswith("Who"):
            return "The engineer Anna Kerr [1]."
        return "The lighthouse of Brannock was built in 1874 [1]."

    script = Script(reply)
    take("conversation", act, size=(110, 32), script=script)


def test_first_run_without_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    monkeypatch.chdir(folder)

    async def act(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: pilot.app.query("#empty"))

    take("first-run", act)


def test_loading() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await ready(pilot)
        pilot.app.chat.prompt.stage.show(  # type: ignore[attr-defined]
            {"what": "Reading", "done": 12, "total": 40, "note": "reports/2024/annual-report.pdf"}
        )

    take("loading", act)


def test_answer() -> None:
    take("answer", one_answer)


def test_streaming() -> None:
    script = Script("The lighthouse was built in 1874 by Anna Kerr [1]. It is 31 metres high [1].")
    script.hold_at = 40

    async def act(pilot: Pilot[Any]) -> None:
        await ready(pilot)
        await type_line(pilot, BUILT)
        await until(pilot, lambda: "1874" in pilot.app.chat.transcript.last.written)  # type: ignore[attr-defined]

    take("streaming", act, script=script)


def test_cancelled() -> None:
    script = Script("The lighthouse was built in 1874 by Anna Kerr [1]. It is 31 metres high [1].")
    script.hold_at = 40

    async def act(pilot: Pilot[Any]) -> None:
        await ready(pilot)
        await type_line(pilot, BUILT)
        chat = pilot.app.chat  # type: ignore[attr-defined]
        await until(pilot, lambda: "1874" in chat.transcript.last.written)
        await pilot.press("escape")
        script.go_on.set()
        await until(pilot, lambda: chat.requests.at_work is None)

    take("cancelled", act, script=script)


def test_follow_up_shows_what_was_searched() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await ask(pilot, "How high is it?")

    def reply(prompt: str) -> str:
        return "It is 31 metres high [1]." if "high" in prompt else "It was built in 1874 by Anna Kerr [1]."

    take("follow-up", act, script=Script(reply))


def test_refusal() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await ask(pilot, NOTHING)

    take("refusal", act)


def test_unsupported() -> None:
    take("unsupported", one_answer, script=Script("Penguins migrate to the moon every winter."))


def test_error() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await ask(pilot, "How high is the lighthouse of Brannock?")
        await type_line(pilot, "/model missing")
        await until(pilot, lambda: pilot.app.query(".notice"))

    def reply(prompt: str) -> str:
        if "high" in prompt.rsplit("Question:", 1)[1]:
            raise Missing("The server of the model does not answer.", hint="start it, or /model another one")
        return REPLY

    take("error", act, script=Script(reply))


def test_sources_open() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await pilot.press("ctrl+o")

    take("sources", act)


def test_passage() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await type_line(pilot, "/sources 1")
        await until(pilot, lambda: str(pilot.app.screen.query_one("#after").content))  # type: ignore[attr-defined]

    take("passage", act)


def test_asking_before_a_file_is_opened() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await pilot.app.push_screen(Confirm("Open this file?", "vim +7 harbour.md", "Open"))

    take("confirm", act)


def test_compare() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await type_line(pilot, "/compare")
        await until(pilot, lambda: pilot.app.chat.requests.at_work is None)  # type: ignore[attr-defined]

    take("compare", act, size=(120, 32))
    take("compare-narrow", act, size=(60, 32))


def test_why() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await type_line(pilot, "/why")
        await until(pilot, lambda: pilot.app.screen.query("#page"))

    take("why", act, size=(100, 40))


def test_palette() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause(0.3)

    take("palette", act)


def test_completions() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await pilot.press("/", "s")

    take("completions", act)


def test_help() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await ready(pilot)
        await pilot.press("f1")

    take("help", act, size=(100, 50))


def test_past_conversations() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await type_line(pilot, "/new")
        await ask(pilot, "What does a ticket for the ferry cost?")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: pilot.app.screen.query_one("#session-list").option_count == 2)  # type: ignore[attr-defined]

    take("past", act)


def test_fix() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await type_line(pilot, "/fix")

    take("fix", act)


def test_narrow() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await pilot.press("ctrl+o")

    take("narrow", one_answer, size=(60, 20))
    take("narrow-sources", act, size=(60, 20))


def test_wide() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await pilot.press("ctrl+o")

    take("wide", act, size=(200, 50))


def test_light() -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await ask(pilot, NOTHING)
        await pilot.press("ctrl+o")

    take("light", act, preferred=Preferences(theme="light"))


def test_own_theme() -> None:
    own = OwnTheme("dusk", True, {"primary": "#c678dd", "background": "#282c34", "accent": "#98c379"})
    take("own-theme", one_answer, preferred=Preferences(theme="dusk", themes=(own,)))


def test_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def act(pilot: Pilot[Any]) -> None:
        await one_answer(pilot)
        await ask(pilot, NOTHING)

    take("no-colour", act)
