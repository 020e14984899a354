"""What documents, models and file names say is shown as it is: no markup, no action, no control byte.

The strings are made by a grammar of markup (davep/textual-enhanced#46, Textual #6155 and #6614) and from a
table of escape sequences (vercel/ai#20052); all of them go through everything that shows text.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_driver import make_app, make_library, ready, until
from pty_driver import Terminal
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from assistant.chat.records import Session, Turn
from assistant.terminal import clean, clean_line
from assistant.tui import slash, words
from assistant.tui.app import ChatApp
from assistant.tui.compare import CompareScreen, sides
from assistant.tui.dialogs import AskLine, Confirm, Correction
from assistant.tui.pages import Page, why_content
from assistant.tui.past import PastSessions
from assistant.tui.shelf import sources_of
from assistant.tui.sources import PassageScreen
from assistant.tui.status import State, status
from assistant.tui.turns import TurnView, reply_content
from corpora.records import Answer, Citation, Passage, ScoredPassage, Seconds, Span, Usage

STRINGS = 10_000
OURS = ("cite(", "nearest(", "link(")
PIECES = [
    "[", "]", "[[", "]]", "[/", "[/]", "[b]", "[/b]", "[bold red]", "[@click=app.quit]",
    "[@click=app.bell()]",
    "[@click='", "[link=https://evil.example]", "[link='", "[$", "[$primary]", "[not a style]",
    "[auto 50%]",
    "[on red]", "[#ff0000]", "[rgb(1,2,3)]", "[=", '[="', "[@", "[@click=", "[1]", "[2]", "[1", "\\[",
    "\\", "\\\\[",
    "\\]", "'", '"', "=", "{x}", "$x", "$", "%", "&amp;", ":smile:", "[u", "[/u", "[/link]", "\n", " ",
    "\t", "a", "é",
    "漢字", "👩‍👩‍👧", "e\u0301", "[bold", "[blink]", "[reverse]", "[^]", "[~]", "[.]", "[1.5]", "[-]",
    "[a=b]", "[a='b]",
]  # fmt: skip
ESCAPES = [
    "\x1b]52;c;UFdORUQ=\x07", "\x1b]0;PWNED\x07", "\x1b]8;;http://evil.example\x1b\\x\x1b]8;;\x1b\\",
    "\x1bPq#0\x1b\\",
    "\x1b_APC\x1b\\", "\x1b^PM\x1b\\", "\x1bXSOS\x1b\\", "\x1b[2J\x1b[H", "\x1b[6n", "\x1b]52;c;never ends",
    "\x1bc", "\x1b[?1049h", "\x1b[31m", "\x9b2J", "\x9d0;PWNED\x9c", "\x90q\x9c", "\x85", "\x8d",
    "\x07\x08\x08",
    "\r\rover", "\x00", "\x7f", "\u202egnp.exe", "\u2066x\u2069", "\u200b", "\ufeff",
    "\U000e0041\U000e0042", "\ud800",
    "\u2028", "\x1b", "\x1b[", "\x1b]", "\x0c\x0b", "\x1b(0", "\x1b#8", "\x1b%G", "\x0e\x0f",
]  # fmt: skip
UNSAFE = {chr(n) for n in (*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def strings(n: int, seed: int) -> Iterator[str]:
    """Strings of the grammar, with escapes among them."""
    chance = random.Random(seed)
    for _ in range(n):
        pieces = chance.choices(PIECES, k=chance.randint(1, 8))
        if chance.random() < 0.3:
            pieces.insert(chance.randrange(len(pieces)), chance.choice(ESCAPES))
        yield "".join(pieces)


def hostile_turn(said: Iterator[str], kind: str = "answered") -> Turn:
    """A turn in which every text is of the grammar."""

    def more(n: int = 4) -> str:
        return "\n".join(next(said) for _ in range(n))

    passages = []
    for rank in range(1, 4):
        text = more(6)
        passages.append(
            ScoredPassage(
                rank, 0.5,
                Passage(rank, f"p{rank}", "d", more(1), "md", rank, 0, len(text), 1, 9, None, more(1), text),
                0.4, 2.0,
            )
        )  # fmt: skip
    text = passages[0].passage.text
    citation = Citation(1, "p1", more(1), None, 1, 1, 2, min(30, len(text)), text[2:30], True)
    answer = Answer(
        more(1), more(6), "generated", kind == "refused", "floor" if kind == "refused" else None, False, 0,
        (citation,), tuple(passages), 0, more(1), more(1), Usage(10, 5), Seconds(0.1, 0.2, 0.3),
    )  # fmt: skip
    return Turn(
        1, "s", more(2), more(1), None if kind == "error" else answer, "error" if kind == "error" else "done",
        more(2) if kind == "error" else None, "good", "2026-01-01T00:00:00", more(1), more(1), True,
    )  # fmt: skip


def check(content: Content, wanted: str | None = None) -> None:
    """No control character, no action but ours, and the text is there."""
    plain = content.plain
    assert not UNSAFE - {"\n", "\t"} & set(plain), repr(plain)
    if wanted is not None:
        assert wanted in plain
    for span in content.spans:
        if isinstance(span.style, str):
            assert span.style in KNOWN, span.style
        else:
            assert all(str(action).startswith(OURS) for action in span.style.meta.values()), span.style.meta
            assert span.style.link is None


KNOWN = {
    "dim", "bold", "italic dim", "bold dim", words.CITED, words.HIGHLIGHT, "$text-secondary",
    "$text-warning",
    "bold $text-warning", "bold $text-accent", "bold $text-success", "bold $text-error", "$text-accent",
}  # fmt: skip


def test_every_string_keeps_its_text_and_brings_no_markup() -> None:
    for string in strings(STRINGS, seed=1):
        check(words.text(string), clean(string))
        check(words.line(string), clean_line(string))
        check(words.answer(string, [1, 2]), clean(string))
        check(words.passage(string, [Span(1, 4), Span(3, 9)]))
        check(words.clickable(string, "link(1)"), clean_line(string))
        check(status(State(library=string, model=string, adapter=string, within=string), 500))
        slash.completions(f"/in {string}", lambda _name, _beginning, string=string: [string])
        slash.read(string)


def test_turns_made_of_the_strings() -> None:
    said = strings(STRINGS * 4, seed=2)
    for number in range(300):
        turn = hostile_turn(said, ("answered", "refused", "error")[number % 3])
        check(reply_content(turn))
        if turn.answer is not None:
            check(why_content(turn, {"parts": [[turn.question, 3]], "reply_tokens": 9, "examples": []}, 99))
            assert len(sources_of(turn, words.score)) == 3


def on_screen(app: ChatApp) -> str:
    """All text that is painted."""
    strips = app.screen._compositor.render_strips()
    return "".join(segment.text for strip in strips for segment in strip)


async def through_every_widget(app: ChatApp, pilot: Pilot[Any], said: Iterator[str]) -> None:
    chat = app.chat
    for kind in ("answered", "refused", "error"):
        turn = hostile_turn(said, kind)
        view = await chat.transcript.add(turn.question)
        await pilot.pause()
        view.show_searched(turn.searched)
        view.write(next(said))
        view.finish(turn)
        chat.session = Session("s", next(said), "2026", "2026", 1, None)
        chat.tell(next(said), "warning")
        chat.say(words.line(next(said)))
        chat.prompt.stage.show({"what": next(said), "done": 1, "total": 2, "note": next(said)})
        chat.entry.set_text(next(said))
        chat.state.model = next(said)
        chat.refresh_state()
        await settled(app, pilot)
    turn = hostile_turn(said)
    view = await chat.transcript.add(turn.question)
    view.finish(turn)
    view = await chat.transcript.add(next(said))
    view.fail(next(said), next(said))
    chat.action_sources()
    await settled(app, pilot)
    await pilot.press("escape")
    found = sources_of(turn, words.score)
    past = [(Session("s", next(said), "2026", "2026", 1, next(said)), turn)] * 3
    example = {
        "share": 0.5,
        "reviewed": False,
        "method": next(said),
        "question": next(said),
        "answer": next(said),
    }
    event = {"parts": [[next(said), 5]], "reply_tokens": 9, "examples": [example]}
    compared = CompareScreen(next(said), sides(next(said)), lambda: False)
    row = {
        "refused": True, "answer": next(said), "unsupported": True, "passages": [1], "model": next(said),
        "adapter": next(said),
        "citations": [{"path": next(said), "page": None, "line_start": 1, "marker": 1}],
        "usage": {"completion_tokens": 1}, "seconds": {"total": 0.1},
    }  # fmt: skip
    screens = [
        PassageScreen(found, 0, lambda _source, _then: None),
        PastSessions(lambda _query, then: then(past), next(said)),
        Page("Why", why_content(turn, event, 2048)),
        Confirm(next(said), next(said), "Yes"),
        AskLine(next(said), next(said)),
        Correction(next(said), next(said)),
        compared,
    ]
    for screen in screens:
        await app.push_screen(screen)
        if screen is compared:
            compared.begin(0)
            compared.write(next(said))
            compared.finish(1, row)
            compared.stop(next(said))
        await settled(app, pilot)
        app.pop_screen()
        await pilot.pause()


async def settled(app: ChatApp, pilot: Pilot[Any]) -> None:
    """Paint, and look at every byte and every click of it."""
    await pilot.pause()
    assert not UNSAFE & set(on_screen(app)), "a control character is on the screen"
    for widget in app.screen.query(Static):
        if isinstance(widget.content, Content):
            check(widget.content)
    for listed in app.screen.query(OptionList):
        for number in range(listed.option_count):
            prompt = listed.get_option_at_index(number).prompt
            assert isinstance(prompt, Content)
            check(prompt)
    assert not app._exit


@pytest.mark.usefixtures("docs")
def test_fields_of_one_line_have_one() -> None:
    async def main() -> None:
        app = make_app()
        async with app.run_test() as pilot:
            await ready(pilot)
            for screen in (
                PastSessions(lambda _, then: then([]), "a\n\tb\x1b[2J"),
                AskLine("Name", "a\n\tb\r"),
            ):
                await app.push_screen(screen)
                assert app.screen.query_one(Input).value == "a b"
                await settled(app, pilot)
                app.pop_screen()

    asyncio.run(main())


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize(
    ("rounds", "seed"),
    [(2, 3), pytest.param(50, 4, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
    ids=["some", "10000"],
)
def test_every_widget_shows_it_as_it_is(rounds: int, seed: int) -> None:
    async def main() -> None:
        said = strings(1 << 30, seed)
        app = make_app()
        async with app.run_test(size=(110, 40)) as pilot:
            await ready(pilot)
            for _ in range(rounds):
                await through_every_widget(app, pilot, said)
                for view in app.chat.transcript.views[:-2]:
                    await view.remove()

    asyncio.run(main())


@pytest.mark.usefixtures("docs")
def test_what_is_pasted_is_cleaned() -> None:
    from textual.events import Paste

    async def main() -> None:
        app = make_app()
        async with app.run_test() as pilot:
            await ready(pilot)
            app.post_message(Paste("".join(ESCAPES) + "end"))
            await until(pilot, lambda: app.chat.entry.text.endswith("end"))
            assert not UNSAFE - {"\n", "\t"} & set(app.chat.entry.text)

    asyncio.run(main())


def test_no_byte_of_theirs_reaches_a_terminal(tmp_path: Path) -> None:
    """Hostile file names, documents and a hostile model, seen from the other end of a pseudo-terminal."""
    payload = "".join(part for part in ESCAPES if part != "\ud800")
    name = "harbour\x1b]0;PWNED\x07[red]\u202e.md"
    text = f"# Brannock {payload}\n\nThe lighthouse of Brannock was built in 1874 {payload} by Anna Kerr.\n"
    make_library(tmp_path / "docs", {name: text, "b.md": f"Ferry {payload}\n"})
    reply = f"The lighthouse was built in 1874 {payload} [1]."
    program = Path(__file__).with_name("chat_driver.py")
    command = [sys.executable, str(program), str(tmp_path / "docs")]
    said = {"REPLY": reply.replace("\x00", "")}
    with Terminal(command, cwd=tmp_path, env=said, columns=110, rows=40) as terminal:
        terminal.wait_for("2 documents")
        terminal.wait_for("tuned")
        terminal.send("When was the lighthouse built?")
        terminal.read(1.0)
        terminal.send("\r")
        terminal.wait_for("scripted + tuned")
        terminal.send("\x0f")  # Ctrl+O
        terminal.wait_for("Sources", after=len(terminal.written))
        terminal.send("\r")
        terminal.wait_for("1 of", after=len(terminal.written))
        terminal.send("\x11")  # Ctrl+Q
        assert terminal.finish() == 0
    seen = terminal.written.decode("utf-8")
    seen = re.sub("\x1b]22;[a-z]*\x07", "", seen)  # the shape of the mouse pointer, which Textual sets
    for theirs in ("\x1b]52", "\x1b]0", "\x1b]8", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b[6n", "\x1bc",
                   "\x1b#8",
                   "\x1b(0", "\x1b%G", "\x00", "\x07", "\x0e", "\x7f", "\U000e0041", "\u200b"):  # fmt: skip
        assert theirs not in seen, theirs
    assert not UNSAFE - {chr(n) for n in range(32)} & set(seen)


def test_the_check_would_see_markup() -> None:
    with pytest.raises(AssertionError):
        check(Content.from_markup("[@click=app.quit]x[/]"))
    with pytest.raises(AssertionError):
        check(Content.from_markup("[red]x[/]"))
    assert TurnView("[red]x").question == "[red]x"
