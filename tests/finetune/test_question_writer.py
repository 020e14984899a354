"""Questions that a model words for chosen answers: what it is sent, how its reply is read, what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from corpora.records import Passage
from finetune.answer_first.question_writer import (
    Chosen,
    ModelQuestionWriter,
    parse_question,
    question_prompt,
)
from finetune.answer_first.sources import sources
from finetune.answer_first.spans import likely_answers
from finetune.answer_first.writer import AnswerFirst
from finetune.teacher import Ask, Reply


def passage(text: str, title: str) -> Passage:
    return Passage(1, "p1", "d1", f"{title}.md", "md", 0, 0, len(text), 1, 1, None, title, text)


CHOSEN = Chosen("Telenet was incorporated in 1973.", "Telenet was incorporated in 1973.", "1973")


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("When was Telenet incorporated?", "When was Telenet incorporated?"),
        ('Question: "When was Telenet incorporated?"\nAnswer: 1973', "When was Telenet incorporated?"),
        ("In what year was Telenet incorporated? It was 1973.", "In what year was Telenet incorporated?"),
        ("Was Telenet incorporated in 1973?", None),
        ("What happened to Telenet in 1973?", None),
        ("Telenet was a network.", None),
        ("", None),
    ],
)
def test_replies_are_read_leniently(reply: str, question: str | None) -> None:
    assert parse_question(reply, CHOSEN) == question


class Scripted:
    name = "scripted"
    fingerprint = "0" * 16

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = list(replies)
        self.asks: list[Ask] = []

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        self.asks += asks
        return self._replies


def test_a_failed_call_costs_one_question() -> None:
    teacher = Scripted([Reply("When was Telenet incorporated?"), Reply(None, error="timed out")])
    assert ModelQuestionWriter(teacher).questions([CHOSEN, CHOSEN]) == [
        "When was Telenet incorporated?",
        None,
    ]
    assert "Answer: 1973" in teacher.asks[0].messages[-1].content


def test_a_model_adds_questions_that_read_well_and_no_others() -> None:
    text = "Debate in Holyrood is more informal than in some parliamentary systems."
    assert AnswerFirst().write([passage(text, "Holyrood")])[0] == []
    asked = Scripted([])

    class Model:
        name = "small"

        def questions(self, chosen: Sequence[Chosen]) -> list[str | None]:
            asked.asks += [Ask((), 1) for _ in chosen]
            first = "Where is debate more informal than in some parliamentary systems?"
            return [first] + ["What did it do?" for _ in chosen[1:]]

    found = AnswerFirst(Model()).write([passage(text, "Holyrood")])[0]
    assert len(asked.asks) == 2
    assert [(one.question, one.answer) for one in found] == [
        ("Where is debate more informal than in some parliamentary systems?", "Holyrood")
    ]
    assert [one.teacher for one in found] == ["small"]


def test_prompts_of_one_passage_begin_alike_and_end_with_the_answer() -> None:
    one = Chosen("Telenet was a network. It began in 1973.", "Telenet was a network.", "a network", "Telenet")
    other = replace(one, sentence="It began in 1973.", answer="1973")
    said = [question_prompt(chosen, examples=False)[-1].content for chosen in (one, other)]
    assert said[0] == (
        "Title: Telenet\nText: Telenet was a network. It began in 1973.\n"
        "Sentence: Telenet was a network.\nAnswer: a network"
    )
    assert said[1].endswith("\nSentence: It began in 1973.\nAnswer: 1973")
    assert said[1].startswith(said[0].partition("Sentence")[0])


def test_a_long_passage_is_left_out_and_a_sentence_is_not_said_twice() -> None:
    long = Chosen("Telenet was a network. " * 100, "Telenet was a network.", "a network")
    assert question_prompt(long, examples=False)[-1].content == (
        "Text: Telenet was a network.\nAnswer: a network"
    )


def test_a_tuned_model_is_shown_no_examples() -> None:
    teacher = Scripted([Reply("When was Telenet incorporated?")])
    ModelQuestionWriter(teacher, examples=False).questions([CHOSEN])
    ModelQuestionWriter(teacher).questions([CHOSEN])
    assert [message.role for message in teacher.asks[0].messages] == ["system", "user"]
    assert len(teacher.asks[1].messages) > 4
    assert teacher.asks[0].messages[-1] == teacher.asks[1].messages[-1]


def test_facts_are_asked_for_before_phrases_and_subjects_last() -> None:
    text = "The first packets were sent over leased telephone lines by Telenet in 1973."
    [source] = sources(passage(text, "Telenet"))
    found = [text[span.start : span.end] for span in likely_answers(source)]
    assert found == ["1973", "Telenet", "leased telephone lines", "The first packets"]


def test_the_topic_is_named_in_full_in_what_a_model_words() -> None:
    text = "Debate in the parliament is more informal than in old parliamentary systems."

    class Model:
        name = "small"

        def questions(self, chosen: Sequence[Chosen]) -> list[str | None]:
            assert {one.title for one in chosen} == {"Scottish Parliament"}
            return ["Where is debate less informal than in the parliament?" for _ in chosen]

    found = AnswerFirst(Model()).write([passage(text, "Scottish Parliament")])[0]
    assert [one.question for one in found] == [
        "Where is debate less informal than in the Scottish Parliament?"
    ]
