"""The picture that README opens with: the embedded models over the project's own handbook.

DRAW_PICTURES=1 draws it anew. Without it, the picture is held against what the models say now: the same
sources and refusals; words of an answer may differ between processors, so they are not compared.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from chat_driver import ask, ready, type_line, until
from test_pictures import portable

import corpora
from assistant.chat.records import Turn
from assistant.tui.app import ChatApp, Setup
from assistant.tui.preferences import Preferences
from assistant.tui.requests import Chosen

PICTURE = Path(__file__).with_name("pictures") / "readme.svg"
QUESTIONS = (
    "What does an adapter belong to?",
    "How many people live in Peru?",
    "What happens when a file is changed?",
)


@pytest.mark.models
@pytest.mark.usefixtures("embedded_models")
def test_the_picture_of_the_readme_is_what_the_embedded_models_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "work"
    shutil.copytree(Path(corpora.__file__).parent / "handbook", place / "handbook")
    monkeypatch.chdir(place)
    turns: list[Turn] = []

    async def run() -> str:
        app = ChatApp(Setup(None, {"offline": True}, "smollm2-135m", Chosen()), Preferences())
        async with app.run_test(size=(110, 34)) as pilot:
            app.chat.entry.cursor_blink = False
            await until(pilot, lambda: app.query("#empty"))
            await type_line(pilot, "/ingest handbook")
            await pilot.press("enter")
            await until(pilot, lambda: app.chat.facts is not None and app.chat.facts.documents, seconds=180)
            await until(pilot, lambda: app.chat.state.context_limit is not None, seconds=180)
            await type_line(pilot, "/new")
            await ready(pilot)
            for question in QUESTIONS:
                await ask(pilot, question)
            turns.extend(view.turn for view in app.chat.transcript.views if view.turn is not None)
            await type_line(pilot, "/rename handbook")
            await until(pilot, lambda: app.chat.session and app.chat.session.name == "handbook")
            app.clear_notifications()
            await pilot.press("ctrl+o")
            await pilot.pause(0.2)
            return app.export_screenshot(title="assistant chat")

    svg = asyncio.run(run())
    if os.environ.get("DRAW_PICTURES"):
        PICTURE.write_text(portable(svg), "utf-8")
    drawn = unescape(re.sub(r"<[^>]*>", "", PICTURE.read_text("utf-8"))).replace("\xa0", " ")
    assert [turn.question for turn in turns] == list(QUESTIONS)
    assert [turn.answer is not None and turn.answer.refused for turn in turns] == [False, True, False]
    for turn in turns:
        assert turn.answer is not None
        assert turn.question in drawn
        for citation in turn.answer.citations:
            assert f"{citation.path}:{citation.line_start}" in drawn
