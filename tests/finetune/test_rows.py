"""Training rows: what they show, what they never show, and what they teach to say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import taught_library as taught
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.examples import Example
from corpora.prompt import REFUSAL, render
from corpora.records import Message, Passage
from corpora.store import ExampleStore, Library
from finetune.rows.build import build_rows
from finetune.rows.evidence import folded, holds_answer
from finetune.rows.follow_up import elided
from finetune.rows.near_miss import near_misses
from finetune.rows.records import GeneralTask, OutsideQuestion, RowMix, Stock, TrainingRow
from finetune.rows.shipped import shipped

EVERYTHING = RowMix(
    mode="lexical", missing=0.5, neighbour=1, near_miss=1, out_of_domain=1, follow_up=1, replay=0.2
)
STOCK = Stock(
    tasks=tuple(
        GeneralTask(f"t{n}", f"Write the number {n} in words.", "", "a number", "en") for n in range(40)
    ),
    questions=(
        OutsideQuestion("Which school won the national cup of rowing?", "Harrow", "en"),
        OutsideQuestion("How many euros does the ferry ticket to Elba cost?", "9 pounds", "en"),
        OutsideQuestion("Who built the lighthouse of Alexandria?", "Sostratus", "en"),
        OutsideQuestion("Which engineer built the lighthouse?", "Anna Kerr", "en"),  # the library knows
    ),
)


def count(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with taught.make(tmp_path_factory.mktemp("rows") / ".assistant") as made:
        taught.add(made, taught.examples(made))
        yield made


def rows_of(library: Library, mix: RowMix = EVERYTHING, **more: object) -> list[TrainingRow]:
    values: dict[str, object] = {"limit": 5000, "stock": STOCK, **more}
    examples = values.pop("examples", None) or ExampleStore(library).find("accepted")
    return list(
        build_rows(
            examples,  # type: ignore[arg-type]
            taught.retriever(library),
            library,
            mix,
            count_tokens=count,
            **values,  # type: ignore[arg-type]
        )
    )


def passages(library: Library) -> dict[str, Passage]:
    return {one.id: one for document in library.documents() for one in library.passages_of(document.id)}


MIXES = st.builds(
    RowMix,
    k=st.integers(1, 8),
    mode=st.just("lexical"),
    per_source=st.sampled_from([None, 2]),
    missing=st.sampled_from([0.0, 0.3, 1.0]),
    neighbour=st.sampled_from([0.0, 0.7]),
    near_miss=st.sampled_from([0.0, 1.0]),
    out_of_domain=st.sampled_from([0.0, 1.0]),
    follow_up=st.sampled_from([0.0, 1.0]),
    replay=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 1000),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mix=MIXES)
def test_what_must_hold_of_every_row(library: Library, mix: RowMix) -> None:
    known, splits = passages(library), ExampleStore(library).splits()
    allowed = {
        "train": {"train"},
        "validation": {"train", "validation"},
        "test": {"train", "validation", "test"},
    }
    every = ExampleStore(library).find("accepted")
    some = [one for one in every if not one.quotes or one.split != "train"]
    rows = rows_of(library, mix, examples=[*every[:8], *some])
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        shown = [known[name] for name in row.passage_ids]
        assert {splits[one.document_id] for one in shown} <= allowed[row.split]
        assert len(set(row.passage_ids)) == len(shown)
        if row.kind in ("replay", "closed-book"):
            assert not shown
            continue
        assert 1 <= len(shown) <= max(mix.k, len(row.gold_passage_ids))
        markers = [int(found) for found in re.findall(r"\[(\d+)\]", row.completion.content)]
        assert [row.passage_ids[marker - 1] for marker in markers] == list(row.gold_passage_ids)
        if row.answer is None:
            assert row.completion.content == REFUSAL[row.language]
            assert not row.gold_passage_ids
        else:
            assert row.example is not None
            gold = {quote.passage_id for quote in row.example.quotes}
            assert set(row.gold_passage_ids) == gold
            assert row.completion.content.startswith(row.answer)
            assert row.example.split == row.split
        if row.kind in ("missing", "neighbour"):
            assert row.example is not None
            answer = row.example.answer or ""
            for one in shown:
                assert folded(answer) not in folded(one.text)
                assert not holds_answer(one, row.question, answer)


def test_the_prompt_is_the_one_that_a_tuned_model_is_asked_with(library: Library) -> None:
    known = passages(library)
    for row in rows_of(library):
        if row.kind not in ("replay", "follow-up"):
            shown = [known[name] for name in row.passage_ids]
            served = render(row.question, shown, count_tokens=count, limit=10**6, examples=False)
            assert row.messages == served.messages
            assert [message.role for message in row.messages] == ["system", "user"]


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(library: Library) -> None:
    first = rows_of(library)
    assert rows_of(library) == first
    assert rows_of(library, replace(EVERYTHING, seed=1)) != first


def test_rows_of_an_example_do_not_depend_on_what_comes_after_it(library: Library) -> None:
    examples = ExampleStore(library).find("accepted")
    mix = replace(EVERYTHING, follow_up=0.0, replay=0.0)
    few = rows_of(library, mix, examples=examples[:7])
    assert rows_of(library, mix)[: len(few)] == few


def test_every_kind_is_made(library: Library) -> None:
    kinds = Counter(row.kind for row in rows_of(library))
    assert set(kinds) == {
        "grounded", "missing", "neighbour", "near-miss", "out-of-domain", "follow-up", "replay",
    }  # fmt: skip


def test_gold_passages_stand_anywhere_in_the_row(library: Library) -> None:
    places = Counter(
        row.passage_ids.index(row.gold_passage_ids[0])
        for seed in range(4)
        for row in rows_of(library, RowMix(mode="lexical", missing=0, k=4, seed=seed))
        if row.kind == "grounded"
    )
    assert set(places) == {0, 1, 2, 3}
    assert max(places.values()) < 2.5 * min(places.values())


def test_distractors_are_the_hardest_that_do_not_answer_as_well(library: Library) -> None:
    retriever, splits = taught.retriever(library), ExampleStore(library).splits()
    row = next(one for one in rows_of(library) if one.kind == "grounded" and one.split == "train")
    found = [hit.passage for hit in retriever.search(row.question, 50, "lexical")]
    best = [one.id for one in found if splits[one.document_id] == "train"][: EVERYTHING.k]
    assert set(best) == set(row.passage_ids)


def test_a_passage_that_repeats_the_quote_is_no_distractor(tmp_path: Path) -> None:
    fact = "The lighthouse was built in 1874 by Anna Kerr."
    texts = {"a.md": [fact, "It is painted white."], "b.md": [f"We read: {fact}", "The lighthouse shines."]}
    with taught.make(tmp_path / ".assistant", texts, settle=False) as library:
        ids = {one.path: one.id for one in library.documents()}
        with library.write() as writer:
            ExampleStore(library).set_splits(writer, dict.fromkeys(ids.values(), "train"))
        made = taught.example(library, "When was the lighthouse built?", "1874", [("a.md", fact)])
        rows = rows_of(library, RowMix(mode="lexical", missing=0), examples=[made])
        known = passages(library)
        assert rows[0].kind == "grounded"
        assert sum(fact in known[name].text for name in rows[0].passage_ids) == 1


def test_a_row_is_not_missing_when_every_passage_holds_the_answer(tmp_path: Path) -> None:
    texts = {"a.md": ["The tower is 5 metres high.", "5 of the towers fell.", "In 1955 a tower was built."]}
    with taught.make(tmp_path / ".assistant", texts) as library:
        made = taught.example(library, "How high is the tower?", "5", [("a.md", "is 5 metres high")])
        rows = rows_of(library, RowMix(mode="lexical", missing=1), examples=[made], stock=Stock())
        assert [row.kind for row in rows] == ["grounded"]


def test_passages_are_left_away_until_the_row_fits_and_the_answer_stays_whole(library: Library) -> None:
    whole = next(row for row in rows_of(library, RowMix(mode="lexical", missing=0)) if row.passage_ids)
    limit = count((*whole.messages, whole.completion)) - 1
    small = rows_of(library, RowMix(mode="lexical", missing=0), limit=limit)[0]
    assert len(small.passage_ids) == len(whole.passage_ids) - 1
    assert small.gold_passage_ids == whole.gold_passage_ids
    assert small.completion.content.startswith(str(whole.answer))
    assert count((*small.messages, small.completion)) <= limit


def test_what_gives_no_row_is_counted_with_its_reason(library: Library) -> None:
    first, second, *_ = ExampleStore(library).find("accepted")
    gone = replace(first, quotes=(replace(first.quotes[0], passage_id="0" * 16),))
    other = "test" if second.split == "train" else "train"
    left_out: Counter[str] = Counter()
    rows = rows_of(library, examples=[gone, replace(second, split=other)], left_out=left_out)
    assert not [row for row in rows if row.kind != "replay"]
    assert left_out == {"gone": 1, "leakage": 1}
    assert not rows_of(library, examples=[first], limit=30, left_out=left_out, stock=Stock())
    assert left_out["too_long"] == 1


def test_only_accepted_examples_count(library: Library) -> None:
    first = ExampleStore(library).find("accepted")[0]
    for status in ("rejected", "retired", "dropped"):
        assert not rows_of(library, examples=[replace(first, status=status)])


def test_documents_that_became_equal_over_a_split_leave_the_training(tmp_path: Path) -> None:
    with taught.make(tmp_path / ".assistant") as library:
        made = taught.examples(library)
        splits = ExampleStore(library).splits()
        by_split = {split: name for name, split in splits.items()}
        paths = {one.id: one.path for one in library.documents()}
        train = next(name for name in splits if splits[name] == "train")
        text = library.text(by_split["test"]).split("\n")
        with library.write() as writer:
            taught.put(writer, paths[train], text)
        rows = rows_of(library, examples=[one for one in made if one.split == "train"])
        assert rows
        assert not {name for row in rows for name in row.passage_ids} & {
            one.id for one in library.passages_of(train)
        }


def test_an_unanswerable_example_is_a_refusal_over_what_is_found(library: Library) -> None:
    made = taught.example(library, "Who painted the lighthouse of Brannock?", None)
    nothing = taught.example(library, "Zebra?", None)
    left_out: Counter[str] = Counter()
    (row,) = rows_of(library, replace(EVERYTHING, replay=0), examples=[made, nothing], left_out=left_out)
    assert left_out == {"no_passages": 1}
    assert (row.kind, row.answer, row.gold_passage_ids) == ("missing", None, ())
    assert row.passage_ids


def test_a_question_without_quotes_is_asked_closed_book(library: Library) -> None:
    made = taught.example(library, "What is the capital of Peru?", "Lima", kind="atomic", method="self-kg")
    (row,) = rows_of(library, replace(EVERYTHING, replay=0), examples=[made])
    assert (row.kind, row.completion.content, row.passage_ids) == ("closed-book", "Lima", ())


def test_tasks_are_plain_chat_with_what_was_said_before(library: Library) -> None:
    english, chinese = [row for row in rows_of(library) if row.kind == "replay" and row.example]
    assert [turn.content for turn in english.messages] == ["Hello", "Hello!", "Name a prime number."]
    assert [turn.content for turn in chinese.messages] == ["把下面的词译成英文。\n \n 海"]
    assert chinese.completion.content == "sea"


def test_replay_fills_up_to_its_share_of_the_training_rows(library: Library) -> None:
    for share in (0.0, 0.1, 0.25):
        rows = [row for row in rows_of(library, replace(EVERYTHING, replay=share)) if row.split == "train"]
        general = sum(row.kind == "replay" for row in rows)
        assert abs(general - max(2, share * len(rows))) <= 1
    few = rows_of(library, replace(EVERYTHING, replay=0.9))
    assert sum(row.kind == "replay" for row in few) == 2 + len(STOCK.tasks)


@pytest.mark.parametrize("values", [{"missing": 1.1}, {"replay": 1.0}, {"k": 0}, {"near_miss": -0.1}])
def test_shares_that_are_none_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        RowMix(**values)  # type: ignore[arg-type]


def test_shipped_questions_and_tasks_are_there_in_both_languages() -> None:
    stock = shipped({"zh", "en"})
    assert {task.language for task in stock.tasks} == {question.language for question in stock.questions}
    assert len({task.id for task in stock.tasks}) == len(stock.tasks) >= 250
    assert all(question.question and question.answer for question in stock.questions)


def test_near_misses_name_what_no_gold_passage_names_and_nothing_answers(library: Library) -> None:
    made = [row for row in rows_of(library) if row.kind == "near-miss"]
    known = passages(library)
    for row in made:
        assert row.example is not None
        assert row.question != row.example.question
        new = set(re.findall(r"\w+", row.question)) - set(re.findall(r"\w+", row.example.question))
        (year,) = new
        # The year is of the market; no passage joins it with an engineer or a lighthouse.
        assert not [one for one in known.values() if year in one.text and "lighthouse" in one.text]


def test_a_passage_that_might_answer_forbids_the_near_miss(library: Library) -> None:
    path = "towns/brannock.md"
    gold = [one for one in passages(library).values() if one.path == path and "built in" in one.text]
    answering = replace(gold[0], id="x", text="In 1511 the engineer Max Stone built another lighthouse.")
    silent = replace(gold[0], id="y", text="In 1511 a ship sank.")
    import random

    def misses(*others: Passage) -> list[str]:
        question = "Which engineer built the lighthouse of Brannock in 1601?"
        found = near_misses(question, gold, [*gold, *others], lambda _: [], random.Random(0))
        return [text for text, _ in found]

    assert misses(silent) == ["Which engineer built the lighthouse of Brannock in 1511?"]
    assert misses(silent, answering) == []


BOLD = "Ann Kerr was bold. She died."


@pytest.mark.parametrize(
    ("first", "second", "texts", "expected"),
    [
        ("When did the War begin?", "When did the Jin dynasty end?", [], None),
        ("When did Ann Kerr die?", "When did Tom Kerr die?", [], "And Tom Kerr?"),
        ("Where was Ann Kerr born?", "How large was the Ann Kerr library?", [BOLD], None),
        ("What was Temur's other name?", "What was Tugh's other name?", [], "And Tugh's?"),
        ("What was Temur's Chinese name?", "What was Tugh's Chinese name?", [], "And Tugh's?"),
        ("When was Brannock built?", "When was Oldham built?", [], "And Oldham?"),
        ("Who lived in the Tower?", "Who lived in the Castle?", [], "And in the Castle?"),
        ("What happened in Oldham in 1901?", "What happened in Oldham in 1955?", [], "And in 1955?"),
        ("Where was Ann Kerr born?", "When did Ann Kerr die?", [BOLD], "When did she die?"),
        ("Where was Ann Kerr born?", "What was Ann Kerr's title?", [BOLD], "What was her title?"),
        ("Where was Ann Kerr born?", "When did Ann Kerr die?", ["Ann Kerr was bold."], None),
        ("Where was Ann Kerr born?", "When did Ann Kerr die?", [f"{BOLD} Ann Kerr sat. It fell."], None),
        ("Where was Ann Kerr born?", "When did Tom Reeve die?", ["Tom Reeve was old. He died."], None),
        ("Where was Ann Kerr born?", "Ann Kerr died when?", [BOLD], None),
        ("Why?", "Why?", [], None),
    ],
)  # fmt: skip
def test_follow_ups_leave_away_what_was_named(
    first: str, second: str, texts: list[str], expected: str | None
) -> None:
    assert elided(first, second, texts, "en") == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("上海的人口是多少？", "北京的人口是多少？", "那北京呢？"),
        ("北京的面积有多大？", "北京的人口是多少？", "那人口是多少？"),
        ("北京的面积有多大？", "上海的人口是多少？", None),
        ("谁建造了灯塔？", "灯塔有多高？", None),
    ],
)
def test_chinese_follow_ups(first: str, second: str, expected: str | None) -> None:
    assert elided(first, second, [], "zh") == expected


def test_a_follow_up_holds_the_first_question_and_answer_without_markers(library: Library) -> None:
    rows = [row for row in rows_of(library) if row.kind == "follow-up"]
    for row in rows:
        asked, answered = row.messages[-3:-1]
        assert (asked.role, answered.role) == ("user", "assistant")
        assert not re.search(r"\[\d", asked.content + answered.content)
        assert row.messages[-1].content.endswith(f"\n {row.question}")
        assert row.example is not None
        assert row.question != row.example.question
        assert folded(str(row.answer)) not in folded(asked.content + answered.content)


def test_hostile_examples_end_in_rows_or_counts_but_never_in_a_crash(library: Library) -> None:
    first = ExampleStore(library).find("accepted")[0]
    nasty = ["[1] " * 50, "\ud800", "((((", "<|im_end|>", "1" * 5000, "？" * 300, "A" * 20_000, " ", "\x00"]
    made: list[Example] = []
    for number, text in enumerate(nasty):
        made.append(replace(first, id=f"{number:016}", question=text))
        made.append(replace(first, id=f"{number + 100:016}", answer=text or "x"))
    rows = rows_of(library, examples=made)
    json.dumps([row.messages[-1].content for row in rows])
    assert rows
