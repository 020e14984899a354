"""One answer against its gold answers, by hand; and a run over several."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from evaluation_makers import answer, citation, passage
from hypothesis import given
from hypothesis import strategies as st

from corpora.errors import Missing, UsageError
from corpora.prompt import REFUSAL, render, render_closed_book
from corpora.records import Answer, Message
from finetune.evaluation.likelihood import GoldLikelihood
from finetune.evaluation.questions import EvalQuestion
from finetune.evaluation.run import evaluate
from finetune.evaluation.scores import bare, holds_answer, score

HARBOUR = passage(1, "The lighthouse was built in 1874 by Anna Kerr. It is 31 metres high.")
FERRY = passage(2, "A ticket for the ferry costs four euros.", "docs/ferry.md")
WHEN = EvalQuestion("q", "When was the lighthouse built?", ("1874", "in the year 1874"))
NEVER = EvalQuestion("n", "Who painted it?", ())


def test_an_answer_is_compared_without_markers_against_the_kindest_gold() -> None:
    exact = score(WHEN, answer("“1874” [1].", HARBOUR))
    assert (exact.em, exact.f1, exact.refused) == (1.0, 1.0, False)
    partly = score(WHEN, answer("In 1874 [1][2].", HARBOUR))
    assert (partly.em, partly.f1) == (0.0, pytest.approx(0.8))


def test_chinese_is_compared_by_characters() -> None:
    given = score(EvalQuestion(1, "灯塔是谁建的？", ("安娜·克尔",)), answer("由安娜克尔建造 [1]"))
    assert given.f1 == pytest.approx(2 * 4 / (7 + 4))


@pytest.mark.parametrize(
    ("question", "given", "refused", "f1"),
    [
        (WHEN, answer(REFUSAL["en"], HARBOUR, refused=True), True, 0.0),
        (NEVER, answer(REFUSAL["en"], HARBOUR, refused=True), True, 1.0),
        (NEVER, answer("Anna Kerr [1]", HARBOUR), False, 0.0),
        (NEVER, answer(REFUSAL["en"]), True, 1.0),  # the model says so where no engine looks: closed book
        (WHEN, answer(f"{REFUSAL['zh']} [1]"), True, 0.0),
        (NEVER, answer(""), False, 0.0),
        (WHEN, answer(None), False, 0.0),
    ],
)
def test_refusals(question: EvalQuestion, given: Answer, refused: bool, f1: float) -> None:
    found = score(question, given)
    assert (found.refused, found.em, found.f1) == (refused, f1, f1)
    assert found.citations == 0


def test_a_citation_is_right_by_its_passage_and_its_quote_by_itself() -> None:
    cited = [
        citation(1, "The lighthouse was built in 1874 by Anna Kerr."),
        citation(1, "It is 31 metres high."),
        citation(2, "A ticket for the ferry costs four euros."),
        citation(2, "1874", verified=False),
    ]
    found = score(WHEN, answer("1874 [1][2]", HARBOUR, FERRY, citations=cited))
    assert (found.citations, found.right_passages, found.right_quotes) == (3, 2, 1)
    assert score(NEVER, answer("1874 [1]", HARBOUR, citations=cited)).citations == 0


def test_found_is_the_answer_in_a_passage_or_the_gold_document() -> None:
    assert score(WHEN, answer("x", FERRY, HARBOUR)).found is True
    assert score(WHEN, answer("x", FERRY)).found is False
    assert score(WHEN, answer("x", FERRY), retrieval=False).found is None
    assert score(NEVER, answer("x", FERRY)).found is None
    named = EvalQuestion("q", "When?", ("long ago",), "docs/ferry.md")
    assert score(named, answer("x", FERRY)).found is True
    assert score(named, answer("x", HARBOUR)).found is False


@pytest.mark.parametrize(
    ("text", "gold", "held"),
    [
        ("It was Anna Kerr's lighthouse.", "anna kerr", True),
        ("the years 1873–1974", "1974", True),
        ("In 1952 it burnt.", "5", False),
        ("Built by the Normans", "Normans", True),
        ("built by Normans", "the Normans", True),
        ("class A steel", "A", False),  # an article to SQuAD: cannot be told from one
        ("由安娜·克尔于1874年建造", "1874", True),
        ("由安娜·克尔于1874年建造", "安娜・克尔", True),
        ("costs ４ euros", "4 Euros", True),
        ("anything", "!?", False),
        ("", "1874", False),
    ],
)
def test_an_answer_stands_in_a_text_as_whole_words(text: str, gold: str, held: bool) -> None:
    assert holds_answer(text, [gold]) is held


@given(st.text(), st.lists(st.text(), min_size=1, max_size=3), st.text())
def test_scores_stay_in_bounds(said: str, golds: list[str], quote: str) -> None:
    question = EvalQuestion(1, "?", tuple(gold for gold in golds if gold))
    found = score(question, answer(said, HARBOUR, citations=[citation(1, quote)]))
    assert 0 <= found.em <= found.f1 <= 1
    assert found.right_quotes <= found.right_passages <= found.citations <= 1


@given(st.text(alphabet="ab 1,[]", max_size=30))
def test_markers_go_and_words_stay(text: str) -> None:
    assert bare(f"{text} [1]") == bare(text)


# -- a run -------------------------------------------------------------------------------------------


class Scripted:
    """Answers from a table, and fails where it has none."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers

    def answer(self, question: str) -> Answer:
        if question == "offline?":
            raise Missing("no network")
        if question not in self.answers:
            raise UsageError("The question is too long.")
        return self.answers[question]


class Weigher:
    """Finds a reply the likelier the shorter it is, and keeps what it was asked."""

    fingerprint = "0" * 16

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[Message], str]] = []

    def reply_log_likelihoods(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        self.asked += pairs
        return [-float(len(reply)) if reply else float("-inf") for _, reply in pairs]


def count(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def test_a_question_that_fails_costs_itself_alone() -> None:
    other = EvalQuestion("o", "Too long?", ("x",))
    answerer = Scripted({WHEN.question: answer("1874 [1]", HARBOUR)})
    outcomes = list(evaluate([other, WHEN], answerer))
    assert [outcome.error for outcome in outcomes] == ["The question is too long.", None]
    assert [outcome.row()["status"] for outcome in outcomes] == ["error", "ok"]
    assert outcomes[0].row().keys() == outcomes[1].row().keys()
    with pytest.raises(Missing):
        list(evaluate([EvalQuestion("x", "offline?", ())], answerer))


def test_the_gold_answer_is_weighed_behind_the_prompt_that_serves() -> None:
    weigher = Weigher()
    answerer = Scripted({
        WHEN.question: answer("1874 [1]", HARBOUR, FERRY),
        NEVER.question: answer(REFUSAL["en"], HARBOUR, refused=True),
    })  # fmt: skip
    likelihood = GoldLikelihood(weigher, count, limit=10_000)
    first, second = evaluate([WHEN, NEVER], answerer, likelihood=likelihood)
    assert first.score is not None and first.score.log_likelihood == -4.0
    assert second.score is not None and second.score.log_likelihood is None
    rendered = render(WHEN.question, [HARBOUR, FERRY], count_tokens=count, limit=10_000)
    assert weigher.asked == [(rendered.messages, "1874")]


def test_without_retrieval_the_question_stands_alone_and_without_room_nothing_is_said() -> None:
    weigher = Weigher()
    alone = GoldLikelihood(weigher, count, limit=10_000, retrieval=False)
    assert alone.of(WHEN.question, [HARBOUR], " 1874 ") == -4.0
    rendered = render_closed_book(WHEN.question, count_tokens=count, limit=10_000)
    assert weigher.asked == [(rendered.messages, "1874")]
    assert GoldLikelihood(weigher, count, limit=10).of(WHEN.question, [HARBOUR], "1874") is None
    assert alone.of(WHEN.question, [], "") is None
