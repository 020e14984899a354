"""Conversations with the real engine and a scripted model: saved, stopped, retried, edited, forked."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import taught_library as taught
from talk_driver import REPLY, Scripted, talk

from assistant.chat.records import ChatOptions
from assistant.chat.sessions import Sessions
from corpora.errors import Missing, UsageError
from corpora.prompt import REFUSAL
from corpora.store import Library, problems

FIRST = "Who built the lighthouse of Brannock?"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with taught.make(tmp_path_factory.mktemp("talk") / ".assistant") as library:
        yield library


@pytest.fixture()
def library(made: Library) -> Library:
    with made.write() as writer:
        writer.connection.execute("DELETE FROM sessions")
    return made


def test_a_question_is_answered_from_the_documents_and_saved(library: Library) -> None:
    heard: list[str] = []
    held = talk(library)
    assert held.session is None
    turn = held.ask(f"  {FIRST} ", heard.append)
    assert (turn.status, turn.question, turn.searched) == ("done", FIRST, FIRST)
    assert turn.answer is not None
    assert turn.answer.answer == "".join(heard) == REPLY
    assert [citation.path for citation in turn.answer.citations] == ["towns/brannock.md"]
    assert (turn.model, turn.adapter, turn.retrieval) == ("scripted", None, True)
    session = held.session
    assert session is not None
    assert (session.name, session.turns, session.parent) == (FIRST, 1, None)
    again = talk(library, session=Sessions(library).open(session.id[:4]))
    assert again.turns == held.turns == (turn,)


def test_a_follow_up_is_searched_as_a_question_of_its_own(library: Library) -> None:
    held = talk(library)
    held.ask("When was the lighthouse of Brannock built?")
    told: list[str] = []
    turn = held.ask("How high is it?", on_searched=told.append)
    assert turn.question == "How high is it?"
    assert [turn.searched] == told == ["How high is the lighthouse of Brannock?"]
    assert turn.answer is not None
    assert turn.answer.question == turn.searched


def test_a_larger_model_writes_the_stand_alone_question(library: Library) -> None:
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return "What does the ferry of Oldham cost?" if "Last question:" in prompt else REPLY

    held = talk(library, Scripted(reply, english_only=False))
    held.ask("Who built the lighthouse of Oldham?")
    turn = held.ask("And what does the ferry there cost?")
    assert turn.searched == "What does the ferry of Oldham cost?"
    assert "Answer: It was built in 1601" in prompts[1]
    assert held.ask("What does the ferry of Tarsus cost in summer?").searched.startswith(
        "What does the ferry of T"
    )
    assert sum("Last question:" in prompt for prompt in prompts) == 1, "what stands alone is not rewritten"


@pytest.mark.parametrize(
    "nonsense", ["", "I do not know.\nWhat?", "那艘船多少钱？", "x" * 500 + "?", "It is 4."]
)
def test_what_is_no_question_is_not_taken_from_the_model(library: Library, nonsense: str) -> None:
    model = Scripted(lambda prompt: nonsense if "Last question:" in prompt else REPLY, english_only=False)
    held = talk(library, model)
    held.ask("When was the lighthouse of Brannock built?")
    assert held.ask("How high is it?").searched == "How high is the lighthouse of Brannock?"


def test_a_stopped_answer_keeps_what_was_said_within_two_tokens(library: Library) -> None:
    model = Scripted("It was built in 1601 by Anna Kerr [1]. And then much more was said of it, on and on.")
    held = talk(library, model)
    heard: list[str] = []
    given = model.chat.given
    turn = held.ask(FIRST, heard.append, lambda: "much" in "".join(given))
    assert len("".join(given).partition("much")[2]) <= 6, "two tokens of three letters"
    assert turn.status == "cancelled"
    assert turn.answer is not None
    assert turn.answer.answer is not None
    assert turn.answer.answer.startswith("It was built in 1601 by Anna Kerr [1]. And then")
    assert [citation.marker for citation in turn.answer.citations] == [1]
    assert turn.answer.passages
    assert held.ask(FIRST).status == "done", "the conversation goes on"


def test_an_answer_stopped_before_a_word_is_empty(library: Library) -> None:
    turn = talk(library).ask(FIRST, stop=lambda: True)
    assert (turn.status, turn.answer) == ("cancelled", None)


def test_a_stop_without_retrieval_keeps_the_words(library: Library) -> None:
    model = Scripted("Some words that go on and on and on.")
    held = talk(library, model, options=ChatOptions(retrieval=False))
    turn = held.ask(FIRST, stop=lambda: len(model.chat.given) > 4)
    assert (turn.status, turn.retrieval) == ("cancelled", False)
    assert turn.answer is not None
    assert (turn.answer.answer or "").startswith("Some words")


def test_what_the_user_can_mend_becomes_a_turn_with_an_error(library: Library) -> None:
    def fails(_prompt: str) -> str:
        raise Missing("No model.", hint="assistant models pull")

    held = talk(library, Scripted(fails))
    turn = held.ask(FIRST)
    assert (turn.status, turn.error, turn.answer) == ("error", "No model.\nassistant models pull", None)
    assert held.turns == (turn,)


def test_a_bug_is_recorded_and_raised(library: Library) -> None:
    def fails(_prompt: str) -> str:
        raise ZeroDivisionError("oops")

    held = talk(library, Scripted(fails))
    with pytest.raises(ZeroDivisionError):
        held.ask(FIRST)
    assert held.turns[0].error == "ZeroDivisionError: oops"


def test_an_empty_question_leaves_nothing(library: Library) -> None:
    held = talk(library)
    with pytest.raises(UsageError):
        held.ask(" \n ")
    assert Sessions(library).list() == []


def test_options_reach_the_engine(library: Library) -> None:
    held = talk(library, options=ChatOptions(k=2, within="towns/oldham.md"))
    turn = held.ask("What do the ferry, the lighthouse and the school of Oldham have?")
    assert turn.answer is not None
    assert {hit.passage.path for hit in turn.answer.passages} == {"towns/oldham.md"}
    assert len(turn.answer.passages) == 2
    held.options = ChatOptions()
    turn = held.ask("What do the ferry, the lighthouse and the school of Tarsus have?")
    assert turn.answer is not None
    assert len(turn.answer.passages) == 3


def test_retry_replaces_the_last_answer_when_the_new_one_is_whole(library: Library) -> None:
    replies = iter([REPLY, "Anna Kerr [1].", "Cut off here and now.", "Max Stone"])
    held = talk(library, Scripted(lambda _prompt: next(replies)))
    first = held.ask(FIRST)
    second = held.retry()
    assert held.turns == (second,)
    assert second.answer is not None
    assert second.answer.answer == "Anna Kerr [1]."
    assert Sessions(library).turns(second.session_id) == [second]
    stopped = held.retry(stop=lambda: True)
    assert held.turns == (second, stopped), "a cancelled one replaces nothing"
    assert first.id not in [turn.id for turn in held.turns]


def test_edit_asks_anew_from_an_earlier_question_on(library: Library) -> None:
    held = talk(library)
    first = held.ask("When was the lighthouse of Brannock built?")
    second = held.ask("How high is it?")
    held.ask("Who built it?")
    edited = held.edit("Which engineer built it?", second)
    assert held.turns == (first, edited)
    assert edited.searched == "Which engineer built the lighthouse of Brannock?"
    assert held.edit("Who was its engineer?").searched == "Who was the lighthouse of Brannock’s engineer?"
    with pytest.raises(UsageError):
        held.edit("Again?", second)


def test_undo_takes_back_the_last_question(library: Library) -> None:
    held = talk(library)
    first = held.ask(FIRST)
    second = held.ask("How high is it?")
    assert held.undo() == second
    assert held.turns == (first,)
    assert held.undo() == first
    assert held.ask(FIRST).status == "done", "an emptied session can be filled again"
    held.undo()
    with pytest.raises(UsageError):
        held.undo()


def test_a_fork_goes_on_apart(library: Library) -> None:
    held = talk(library)
    with pytest.raises(UsageError):
        held.fork()
    first = held.ask("When was the lighthouse of Brannock built?")
    held.ask("Who built it?")
    forked = held.fork(first, name="Another way")
    assert [turn.question for turn in forked.turns] == [first.question]
    assert forked.turns[0].answer == first.answer
    assert forked.ask("How high is it?").searched == "How high is the lighthouse of Brannock?"
    assert (len(held.turns), len(forked.turns)) == (2, 2)
    assert forked.session is not None and held.session is not None
    assert (forked.session.parent, forked.session.name) == (held.session.id, "Another way")


def test_a_deleted_session_is_no_crash(library: Library) -> None:
    held = talk(library)
    held.ask(FIRST)
    session = held.session
    assert session is not None
    Sessions(library).delete(session)
    with pytest.raises(UsageError, match="deleted"):
        held.ask(FIRST)


def test_refused_answers_are_saved_and_say_nothing_to_a_follow_up(library: Library) -> None:
    held = talk(library, Scripted(REFUSAL["en"]))
    turn = held.ask("Who built the lighthouse of Brannock?")
    assert turn.answer is not None
    assert turn.answer.refused
    assert held.ask("When was he born?").searched == (
        "When was the person who built the lighthouse of Brannock born?"
    )


def test_lone_surrogates_and_control_characters_survive(library: Library) -> None:
    held = talk(library, Scripted("\x1b[31mAnna\ud800 Kerr built it in 1601 [1]."))
    turn = held.ask("Who built\udcff the \x1b]0;x\x07lighthouse of Brannock?")
    assert turn.status == "done"
    assert Sessions(library).turns(turn.session_id) == [turn]


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_a_kill_loses_at_most_the_answer_in_flight(tmp_path: Path, kills: int) -> None:
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), *(str(here.parents[1] / name) for name in ("index", "finetune"))])
    folder = tmp_path / ".assistant"
    rng = random.Random(kills)
    answered = 0
    for number in range(kills):
        with subprocess.Popen(
            [sys.executable, here / "talk_driver.py", folder],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        ) as process:
            assert process.stdout is not None
            said = [process.stdout.readline()]  # the first question is in
            if number == kills - 1:
                said.append(process.stdout.readline())  # and answered, for once, however slow the machine
            time.sleep(rng.uniform(0, 3.0))
            process.send_signal(signal.SIGKILL)
            said += process.stdout.read().splitlines(keepends=True)
        answered += sum(line.startswith(b"answered") and line.endswith(b"\n") for line in said)
        with Library.open(folder) as library:
            assert problems(library) == []
            sessions = Sessions(library)
            turns = [turn for one in sessions.list() for turn in sessions.turns(one.id)]
            done = [turn for turn in turns if turn.status == "done"]
            assert answered <= len(done) <= answered + 1
            assert all(turn.answer is not None and turn.answer.answer == REPLY for turn in done)
            answered = len(done)
            assert sum(turn.status == "pending" for turn in turns) <= kills
    assert answered > 0
    with Library.open(folder) as library:
        latest = Sessions(library).latest()
        assert latest is not None
        held = talk(library, session=latest)
        assert held.ask("How high is it?").status == "done"
