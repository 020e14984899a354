"""The checks together, over a real library and its live retriever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ingest_driver import HashingEncoder, run

from corpora.examples import Split
from corpora.prompt import language_of
from corpora.records import Passage
from corpora.store import ExampleStore, Library
from finetune.candidates import Candidate, Claimed
from finetune.checks import MEANING, REASONS, Checked, Checks, Gate, Pair, open_gate
from finetune.checks.reading import calibration_rows, measure
from finetune.checks.records import Reason
from index.retriever import Retriever

HARBOUR = (
    "The harbour of Brannock is guarded by a lighthouse. It was built in 1874 by the engineer Anna Kerr and "
    "is 31 metres high. Questions go to anna.kerr@brannock-harbour.org."
)
FERRIES = (
    "Two ferries cross the bay every hour in summer. A ticket costs four euros, and bicycles travel free."
)
CHINESE = "布兰诺克港有一座灯塔，由工程师安娜·克尔于1874年建造，高31米。"


@pytest.fixture()
def library(tmp_path: Path) -> Iterator[Library]:
    texts = {"harbour.md": HARBOUR, "ferries.md": FERRIES, "灯塔.md": CHINESE}
    for at in range(8):
        texts[f"other{at}.md"] = f"Sheep number {at} grazes on a hill far from the sea and eats thistles."
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    with Library.create(tmp_path / ".assistant") as opened:
        run(opened, folder)
        yield opened


def passage(library: Library, name: str) -> Passage:
    document = next(one for one in library.documents() if one.path.endswith(name))
    return library.passages_of(document.id)[0]


def checks(library: Library, splits: dict[str, Split] | None = None, k: int = 3, **more: Any) -> Checks:
    encoder = HashingEncoder()
    return Checks(
        Retriever(library, encoder),  # type: ignore[arg-type]
        encoder,
        hashes=lambda: {document.id: document.sha256 for document in library.documents()},
        splits=lambda: splits or {},
        k=k,
        **more,
    )


def candidate(
    library: Library, name: str, question: str, answer: str | None, quote: str, **more: Any
) -> Candidate:
    claimed = (Claimed(passage(library, name), quote),)
    made = Candidate("self-qa", "span", language_of(question), question, answer, claimed, "t", "1")
    return replace(made, **more)


def one(library: Library, made: Candidate, **more: Any) -> Checked:
    return checks(library, **more).examine([made])[0]


BUILT = ("harbour.md", "When was the lighthouse of Brannock built?", "1874", "It was built in 1874")


def test_a_good_candidate_passes_with_its_quote_and_rank(library: Library) -> None:
    good = one(library, candidate(library, *BUILT))
    assert good.accepted and good.scores == {"retrieval": 1.0}
    (quote,) = good.quotes
    assert quote.text == library.text(quote.document_id)[quote.start : quote.end] == "It was built in 1874"
    assert quote.sha256 == library.document(quote.path).sha256  # type: ignore[union-attr]
    chinese = candidate(
        library, "灯塔.md", "灯塔是谁建造的？", "安娜·克尔", "由工程师安娜·克尔于１８７４年建造"
    )
    assert one(library, chinese).accepted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rejected": "parse", "question": "I cannot do that."}, "parse"),
        ({"rejected": "cut"}, "cut"),
        ({"question": "When?"}, "length"),
        ({"question": "The lighthouse of Brannock was built."}, "not_a_question"),
        ({"question": "When was this lighthouse of Brannock built?"}, "demonstrative"),
        ({"question": "Was the lighthouse of Brannock of 1874 built by Anna Kerr?"}, "answer_in_question"),
        ({"answer": "1875"}, "unsupported"),
        ({"claimed": ()}, "quote_not_found"),
        ({"question": "Which sheep grazes on a hill far from the sea?"}, "not_retrieved"),
    ],
)
def test_each_reason(library: Library, change: dict[str, Any], reason: str) -> None:
    made = replace(candidate(library, *BUILT), **change)
    assert one(library, made).reason == reason


def test_a_quote_that_does_not_stand_there(library: Library) -> None:
    made = candidate(library, "harbour.md", BUILT[1], "1874", "It was built in the year 1874")
    assert one(library, made).reason == "quote_not_found"


def test_secrets_and_personal_data_in_questions_and_instructions(library: Library) -> None:
    address = "anna.kerr@brannock-harbour.org"
    made = candidate(
        library, "harbour.md", "Where do questions about Brannock go?", address, f"Questions go to {address}"
    )
    assert one(library, made).reason == "personal_data"
    task = Candidate(
        "self-instruct", "instruction", "en", "Invent a login.", "password: hunter2!", (), "t", "1"
    )
    assert one(library, task).reason == "secret"
    assert one(library, replace(task, answer="A login of your own.")).accepted


def test_quotes_of_different_splits_leak(library: Library) -> None:
    harbour, ferries = passage(library, "harbour.md"), passage(library, "ferries.md")
    claimed = (Claimed(harbour, "The harbour of Brannock"), Claimed(ferries, "four euros"))
    question = "What does a ticket for the ferries that cross to the harbour of Brannock cost?"
    made = Candidate("self-qa", "multi-hop", "en", question, "four euros", claimed, "t", "1")
    assert one(library, made, k=11).accepted
    splits: dict[str, Split] = {harbour.document_id: "train", ferries.document_id: "test"}
    assert one(library, made, splits=splits).reason == "leakage"


def test_all_passages_of_a_question_must_come_back(library: Library) -> None:
    claimed = (
        Claimed(passage(library, "harbour.md"), "built in 1874"),
        Claimed(passage(library, "ferries.md"), "four euros"),
    )
    made = Candidate(
        "self-qa", "multi-hop", "en", "When was the lighthouse of Brannock built?", "1874", claimed, "t", "1"
    )
    assert one(library, made, k=1).reason == "not_retrieved"


def test_tables_may_name_their_answer_and_graphs_need_no_quote(library: Library) -> None:
    question = "What is the harbour of the Brannock lighthouse?"
    table = candidate(library, "harbour.md", question, "Brannock", "The harbour of Brannock", kind="table")
    assert one(library, table).accepted
    assert one(library, replace(table, kind="span")).reason == "answer_in_question"
    graph = Candidate("self-kg", "atomic", "en", "Who is the mother of Anna Kerr?", "Mary Kerr", (), "t", "1")
    assert one(library, graph).accepted
    assert one(library, replace(graph, kind="span")).reason == "quote_not_found"


def test_a_refusal_needs_no_evidence(library: Library) -> None:
    made = candidate(
        library, "harbour.md", "How old is the mayor of Brannock?", None, "The harbour of Brannock"
    )
    assert one(library, made).accepted and one(library, made).scores == {}
    assert one(library, replace(made, claimed=())).accepted


def test_rejects_keep_their_scores_and_quotes(library: Library) -> None:
    made = one(library, replace(candidate(library, *BUILT), answer="1875"))
    assert made.reason == "unsupported" and made.scores["retrieval"] == 1.0 and made.quotes


def test_hostile_words_crash_nothing(library: Library) -> None:
    for text in (
        "\ud800",
        "\x00" * 20,
        "[1] " * 50,
        "(" * 200,
        "“" * 40,
        "a" * 5000,
        "?" * 10,
        "\u202e\u200b" * 9,
    ):
        for field in ("question", "answer", "input"):
            checked = checks(library)
            seen = checked.seen([])
            seen.admit(checked.examine([replace(candidate(library, *BUILT), **{field: text})])[0], "train")  # type: ignore[arg-type]
        assert checks(library).examine([candidate(library, "harbour.md", BUILT[1], "1874", text)])


class Scripted:
    """A scorer that knows the right answers of calibration, as often as it is told to."""

    check: Reason = "not_answered"
    score = "round_trip"
    threshold = 0.5

    def __init__(self, share: float, fails: bool = False) -> None:
        self.fingerprint = f"scripted-{share}"
        self.asked: list[Pair] = []
        self._share, self._fails = share, fails
        rows = [row for language in ("en", "zh") for row in calibration_rows(language)]  # type: ignore[arg-type]
        self._right = {(row.question, row.answer) for row in rows[:: 1 if share == 1 else 3]}

    def scores(self, pairs: Sequence[Pair]) -> list[float | None]:
        self.asked += pairs
        if self._fails:
            return [None] * len(pairs)
        known = {*self._right, (BUILT[1], "1874")}
        return [float((pair.question, pair.answer) in known) for pair in pairs]


def test_a_good_reader_may_reject_and_a_poor_one_only_advises(library: Library) -> None:
    right = candidate(library, *BUILT)
    wrong = candidate(
        library, "harbour.md", "How high is the lighthouse of Brannock?", "1874", "It was built in 1874"
    )
    store, said = ExampleStore(library), []
    trusted = open_gate(library, store, Scripted(1), ["en", "zh"], said.append)
    poor = open_gate(library, store, Scripted(0.3), ["en"], said.append)
    assert trusted.trusted == {"en", "zh"} and not poor.trusted
    assert [one.reason for one in checks(library, gates=[trusted]).examine([right, wrong])] == [
        None,
        "not_answered",
    ]
    advised = checks(library, gates=[poor]).examine([right, wrong])
    assert [(one.reason, one.scores["round_trip"]) for one in advised] == [(None, 1.0), (None, 0.0)]
    assert len(said) == 6 and "measuring" in said[0] and "advice" in said[-1]


def test_a_reader_is_measured_once(library: Library) -> None:
    store = ExampleStore(library)
    open_gate(library, store, Scripted(1), ["en"], lambda line: None)
    again = Scripted(1)
    assert open_gate(library, store, again, ["en"], lambda line: None).trusted == {"en"}
    assert not again.asked
    record = store.judge(again.fingerprint, "not_answered-round_trip-en")
    assert record is not None and (record.auc, record.n) == (1.0, len(calibration_rows("en")))


class Strict(Scripted):
    """A scorer that ranks well and passes hardly any."""

    def __init__(self) -> None:
        super().__init__(1)
        self.threshold = 0.9

    def scores(self, pairs: Sequence[Pair]) -> list[float | None]:
        known = [(pair.question, pair.answer) in self._right for pair in pairs]
        return [0.8 if right and at % 5 else 1.0 if right else 0.1 for at, right in enumerate(known)]


def test_it_is_the_verdicts_that_must_tell_good_from_bad() -> None:
    strict = Strict()
    assert measure(strict, "en").auc == pytest.approx(0.6, abs=0.01)
    strict.threshold = 0.5
    assert measure(strict, "en").auc == 1.0


def test_a_reader_that_does_not_answer_is_not_measured_and_rejects_nothing(library: Library) -> None:
    said: list[str] = []
    silent = Scripted(1, fails=True)
    assert measure(silent, "en") is None
    gate = open_gate(library, ExampleStore(library), silent, ["en"], said.append)
    assert gate.trusted == frozenset()
    assert "too few readable replies" in said[-1]
    assert ExampleStore(library).judge(silent.fingerprint, "not_answered-round_trip-en") is None


def test_the_model_is_asked_only_about_what_is_left(library: Library) -> None:
    scorer = Scripted(1)
    checked = checks(library, gates=[Gate(scorer, frozenset({"en"}), frozenset({"en"}))])
    seen = checked.seen([])
    good = candidate(library, *BUILT)
    assert seen.admit(checked.examine([good])[0], "train").accepted
    repeat = replace(good, question="when was the lighthouse of Brannock built")
    task = Candidate("self-instruct", "instruction", "en", "Write a poem.", "La la.", (), "t", "1")
    first = checked.examine([replace(good, answer="1875"), repeat, task])
    assert [seen.admit(one, "train").reason for one in first] == ["unsupported", "duplicate", None]
    assert len(scorer.asked) == 1


def test_a_model_is_not_asked_in_a_language_in_which_it_was_not_measured(library: Library) -> None:
    scorer = Scripted(1)
    chinese = candidate(library, "灯塔.md", "灯塔是谁建造的？", "安娜·克尔", "由工程师安娜·克尔于1874年建造")
    english_only = checks(library, gates=[Gate(scorer, frozenset({"en"}), frozenset({"en"}))])
    assert english_only.examine([chinese])[0].accepted and not scorer.asked


def test_where_it_may_reject_silence_is_no_consent(library: Library) -> None:
    scorer = Scripted(1, fails=True)
    strict = checks(library, gates=[Gate(scorer, frozenset({"en"}), frozenset({"en"}))])
    assert strict.examine([candidate(library, *BUILT)])[0].reason == "not_answered"
    assert (
        checks(library, gates=[Gate(scorer, frozenset({"en"}), frozenset())])
        .examine([candidate(library, *BUILT)])[0]
        .accepted
    )


def test_every_reason_has_a_meaning() -> None:
    assert tuple(MEANING) == REASONS


def test_the_same_candidates_get_the_same_verdicts(library: Library) -> None:
    made = [candidate(library, *BUILT), replace(candidate(library, *BUILT), answer="1875")]
    assert checks(library).examine(made) == checks(library).examine(made)
