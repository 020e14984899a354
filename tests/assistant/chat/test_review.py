"""Reviewed answers become examples that a tune uses, and only what the documents say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import taught_library as taught
from talk_driver import REPLY, Scripted, engine, talk

from assistant.chat.records import ChatOptions, Turn
from assistant.chat.review import Reviews
from assistant.chat.why import budget, nearest_examples
from corpora.errors import UsageError
from corpora.prompt import REFUSAL
from corpora.store import ExampleStore, Library
from finetune.rows.build import build_rows
from finetune.rows.records import RowMix

QUESTION = "Who built the lighthouse of Brannock?"


@pytest.fixture()
def library(tmp_path: Path) -> Iterator[Library]:
    with taught.make(tmp_path / ".assistant") as made:
        with made.write() as writer:
            writer.connection.execute("UPDATE document_splits SET split = 'train'")
        yield made


def asked(library: Library, reply: str = REPLY, question: str = QUESTION, **options: object) -> Turn:
    return talk(library, Scripted(reply), options=ChatOptions(**options)).ask(question)  # type: ignore[arg-type]


def test_a_good_answer_is_an_accepted_example_with_its_quotes(library: Library) -> None:
    talked = talk(library)
    talked.ask("When was the lighthouse of Brannock built?")
    turn = talked.ask("Who built it?")
    reviewed = Reviews(library).good(turn)
    assert reviewed.turn.rating == "good"
    (example,) = ExampleStore(library).find("accepted", method="review")
    assert example.question == QUESTION, "the question that stands alone"
    assert example.answer == "It was built in 1601 by the engineer Anna Kerr."
    assert (example.reviewed, example.split, example.teacher, example.kind) == (
        True,
        "train",
        "scripted",
        "span",
    )
    (quote,) = example.quotes
    document = library.document("towns/brannock.md")
    assert document is not None
    assert library.text(document.id)[quote.start : quote.end] == quote.text
    assert "Anna Kerr" in quote.text


def test_reviewed_examples_give_rows_for_a_tune(library: Library) -> None:
    Reviews(library).good(asked(library))
    Reviews(library).fix(asked(library, question="What does the ferry of Oldham cost?"), "143 euros")
    Reviews(library).good(asked(library, REFUSAL["en"], question="Who painted the lighthouse of Tarsus?"))
    Reviews(library).bad(asked(library, question="What does the school of Quorn teach?"))
    examples = ExampleStore(library).find("accepted")
    retriever = engine(library, None)._retriever
    mix = RowMix(k=3, missing=0, neighbour=0, near_miss=0, out_of_domain=0, follow_up=0, mode="lexical")
    rows = list(
        build_rows(examples, retriever, library, mix, count_tokens=lambda m: len(str(m)) // 4, limit=4000)  # type: ignore[arg-type]
    )
    assert [row.kind for row in rows] == ["grounded", "grounded", "missing"]
    assert rows[1].completion.content.startswith("143 euros [")
    assert rows[2].completion.content == REFUSAL["en"]


def test_of_one_question_the_last_word_counts(library: Library) -> None:
    turn, reviews, store = asked(library), Reviews(library), ExampleStore(library)
    reviews.good(turn)
    assert reviews.bad(turn).turn.rating == "bad"
    assert store.find("accepted", method="review") == []
    assert len(store.find("dropped", method="review")) == 1
    assert reviews.good(turn).turn.rating == "good"
    assert len(store.find("accepted", method="review")) == 1
    reviews.fix(turn, "the engineer Anna Kerr")
    (kept,) = store.find("accepted", method="review")
    assert (kept.answer, kept.teacher) == ("the engineer Anna Kerr", "user")


def test_a_correction_is_tied_to_the_words_of_a_document(library: Library) -> None:
    turn = asked(library, "Tom Reeve [1].")
    example = Reviews(library).fix(turn, "engineer anna  KERR [2]").example
    assert example is not None
    assert example.quotes[0].text == "engineer Anna Kerr"
    far = Reviews(library).fix(turn, "teaches sailing to 848 pupils").example
    assert far is not None, "found in a passage that was not shown"
    assert far.quotes[0].path == "towns/kerrville.md" or "848" in far.quotes[0].text


def test_a_correction_that_no_document_says_is_refused(library: Library) -> None:
    turn = asked(library)
    with pytest.raises(UsageError, match="No passage"):
        Reviews(library).fix(turn, "Zebedee Quux in the year 3000")
    assert ExampleStore(library).find() == []


@pytest.mark.parametrize("nothing", ["", "  ", REFUSAL["en"], "The documents do not say."])
def test_a_correction_to_nothing_teaches_to_refuse(library: Library, nothing: str) -> None:
    example = Reviews(library).fix(asked(library), nothing).example
    assert example is not None
    assert (example.answer, example.quotes, example.status) == (None, (), "accepted")


def test_a_good_answer_that_no_passage_supports_teaches_nothing(library: Library) -> None:
    turn = asked(library, "Zebedee Quux in the year 3000.")
    reviewed = Reviews(library).good(turn)
    assert (reviewed.turn.rating, reviewed.example) == ("good", None)
    assert ExampleStore(library).find() == []


def test_an_answer_without_documents_teaches_without_them(library: Library) -> None:
    turn = asked(library, "Paris.", "What is the capital of France?", retrieval=False)
    example = Reviews(library).good(turn).example
    assert example is not None
    assert (example.answer, example.quotes) == ("Paris.", ())


def test_nothing_to_review_is_said(library: Library) -> None:
    turn = talk(library).ask(QUESTION, stop=lambda: True)
    for review in (Reviews(library).good, Reviews(library).bad):
        with pytest.raises(UsageError):
            review(turn)


def test_reviewed_examples_outlive_their_document_marked(library: Library) -> None:
    turn = asked(library)
    Reviews(library).good(turn)
    document = library.document("towns/brannock.md")
    assert document is not None
    with library.write() as writer:
        writer.remove_document(document.id)
    (example,) = ExampleStore(library).find("accepted", method="review")
    assert example.stale == "document_removed"
    assert Reviews(library).good(turn).example is None, "its quotes stand nowhere any more"


def test_why_shows_where_the_tokens_went_and_the_nearest_examples(library: Library) -> None:
    taught.add(library, taught.examples(library))
    model = Scripted()
    turn = talk(library, model).ask(QUESTION)
    parts = budget(turn, model)  # type: ignore[arg-type]
    assert [name for name, _ in parts[:2]] == ["instructions", "question"]
    assert turn.answer is not None
    assert len(parts) == 2 + len(turn.answer.passages)
    assert all(tokens > 0 for _, tokens in parts)
    nearest = nearest_examples(QUESTION, library)
    assert 0 < len(nearest) <= 5
    shares = [example["share"] for example in nearest]
    assert shares == sorted(shares, reverse=True)
    assert "Brannock" in nearest[0]["question"] or "lighthouse" in nearest[0]["question"]
