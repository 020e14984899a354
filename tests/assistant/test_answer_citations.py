"""Citations: sentences, the support check on known-bad cases, markers kept, corrected, added and dropped."""

from __future__ import annotations

import pytest

from assistant.answer.citations import CitationChecker, check_sentence, split_answer, without_untied
from corpora.records import Passage
from index.evidence.sentences import sentences
from index.evidence.support import find_evidence, read_claim

HARBOUR = (
    "The harbour of Brannock is guarded by a lighthouse. It was built in 1874 by the engineer Anna Kerr "
    "and is 31 metres high.\nThe lamp was not replaced until 1990."
)
FERRY = "Two ferries cross the bay every hour. A ticket costs four euros, and bicycles travel free."
CHINESE = "布兰诺克港有一座灯塔。它由安娜·克尔于1874年建造，高31米。灯塔没有对公众开放。"


def passage(number: int, text: str, *, start: int = 100, line: int = 10, page: int | None = None) -> Passage:
    return Passage(
        rowid=number,
        id=f"id{number}",
        document_id="d",
        path=f"docs/{number}.md",
        kind="md",
        ordinal=number,
        start=start,
        end=start + len(text),
        line_start=line,
        line_end=line + text.count("\n"),
        page=page,
        heading=None,
        text=text,
    )


PASSAGES = [passage(1, HARBOUR), passage(2, FERRY), passage(3, CHINESE)]


def cut(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? four", ["One.", "Two!", "Three? four"]),
        ("Mr. Smith of the U.S. Army came. He left.", ["Mr. Smith of the U.S. Army came.", "He left."]),
        ("It is 3.5 m. See Fig. 2.", ["It is 3.5 m.", "See Fig. 2."]),
        ("他说：“好。”然后走了。是吗？", ["他说：“好。”", "然后走了。", "是吗？"]),
        ("# Title\nText goes\non here.\n- one\n- two", ["# Title", "Text goes\non here.", "- one", "- two"]),
        ("| a | b |\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize(
    ("claim", "question", "quote"),
    [
        ("It was built in 1874.", "When was the lighthouse built?", "1874"),
        ("in 1874", "When was the lighthouse built?", "1874"),
        ("Anna Kerr", "Who built the lighthouse of Brannock?", "Anna Kerr"),
        ("The lighthouse is 31 metres high.", "How high is it?", "31 metres"),
        ("The lamp was not replaced until 1990.", "When was the lamp replaced?", "not replaced"),
        ("THE  LIGHTHOUSE was built by “Anna Kerr”", "Who built it?", "Anna Kerr"),
    ],
)
def test_supported_claims_are_found(claim: str, question: str, quote: str) -> None:
    found = find_evidence(read_claim(claim, question), HARBOUR, "docs harbour")
    assert found is not None
    assert quote in HARBOUR[found.span.start : found.span.end]


@pytest.mark.parametrize(
    ("claim", "question"),
    [
        ("It was built in 1875.", "When was the lighthouse built?"),  # another number
        ("in 1847", "When was the lighthouse built?"),
        ("It was built in 1874 by the engineer Paul Kerr.", "Who built it?"),  # another name
        ("Thomas Stevenson", "Who built the lighthouse?"),
        ("It was not built in 1874 by the engineer Anna Kerr.", "When was the lighthouse built?"),  # denied
        ("The lamp of the lighthouse was sold.", "What was sold?"),
        ("in 1874", "When was the town hall of Salford opened?"),  # right number, another matter
        ("The harbour has a fish market on Sundays.", "What does the harbour have?"),  # made up
        ("Yes.", "Is it high?"),  # says nothing
        ("the lighthouse of Brannock", "What is the lighthouse of Brannock?"),  # an echo
        ("The answer to your question is:", "When was it built?"),
    ],
)
def test_unsupported_claims_are_refused(claim: str, question: str) -> None:
    assert find_evidence(read_claim(claim, question), HARBOUR, "docs harbour") is None


@pytest.mark.parametrize("claim", ["It was open to visitors in 1990.", "to visitors", "The tower was open."])
def test_a_denial_in_the_passage_is_not_lost(claim: str) -> None:
    text = "The tower, built in 1874, was not open to visitors in 1990."
    assert find_evidence(read_claim(claim, "To whom was the tower open?"), text, "") is None


def test_chinese_claims_are_checked_by_pairs_numbers_and_negation() -> None:
    def found(claim: str) -> bool:
        return find_evidence(read_claim(claim, "灯塔是什么时候建造的？"), CHINESE, "") is not None

    assert found("灯塔由安娜·克尔于１８７４年建造。")
    assert not found("灯塔由安娜·克尔于1875年建造。")
    assert not found("灯塔由保罗·史密斯于1874年建造。")
    assert not found("灯塔对公众开放。")


def test_two_sentences_count_as_one_only_when_the_second_refers_back() -> None:
    text = "Bell invented the telephone. Edison invented the phonograph in 1877."
    assert find_evidence(read_claim("Edison invented the telephone.", "Who invented it?"), text, "") is None
    linked = "Edison was an inventor from Ohio. He invented the phonograph in 1877."
    assert (
        find_evidence(read_claim("Edison invented the phonograph in 1877.", "Who?"), linked, "") is not None
    )


@pytest.mark.parametrize("marker", ["[1]", "【1】", "[1, 1]", "[１]"])
def test_a_supported_marker_stays_and_points_to_an_exact_span(marker: str) -> None:
    checked = check_sentence(
        f"It was built in 1874 {marker}.", "When was the lighthouse built?", PASSAGES, [1, 2, 3]
    )
    assert checked.text == "It was built in 1874 [1]."
    (citation,) = checked.citations
    assert citation.verified
    assert citation.marker == 1
    assert HARBOUR[citation.start - 100 : citation.end - 100] == citation.quote
    assert "1874" in citation.quote
    assert (citation.line_start, citation.line_end) == (10, 10)


def test_lines_of_a_quote_are_those_of_the_document() -> None:
    checked = check_sentence("The lamp was not replaced until 1990 [1].", "When?", PASSAGES, [1, 2, 3])
    assert checked.citations[0].line_start == checked.citations[0].line_end == 11


def test_a_wrong_marker_is_dropped_counted_and_the_right_one_put_in() -> None:
    checked = check_sentence(
        "It was built in 1874 [2].", "When was the lighthouse built?", PASSAGES, [1, 2, 3]
    )
    assert checked.text == "It was built in 1874 [1]."
    assert checked.dropped == 1
    assert [citation.marker for citation in checked.citations] == [1]


def test_a_marker_of_no_passage_is_dropped() -> None:
    checked = check_sentence("Elephants dance [7][0].", "What do they do?", PASSAGES, [1, 2, 3])
    assert (checked.text, checked.dropped, checked.supported) == ("Elephants dance.", 2, False)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("In 1874 [1].", "In 1874."),
        ("1874[1]", "1874[1]"),
        ("一八七四年[1]。", "一八七四年。"),
        ('He said "no" [1] [2]."', 'He said "no"."'),
        ("The first item is x = a[0].", "The first item is x = a[0]."),
        ("Lists such as [1, 2] may be nested.", "Lists such as [1, 2] may be nested."),
    ],
)
def test_markers_at_the_end_of_a_sentence_written_without_passages_go(written: str, kept: str) -> None:
    assert without_untied(written) == kept


def test_a_sentence_without_a_marker_gets_one_before_its_full_stop() -> None:
    checked = check_sentence("A ticket costs four euros.", "What does a ticket cost?", PASSAGES, [1, 2, 3])
    assert checked.text == "A ticket costs four euros [2]."
    assert checked.dropped == 0


def test_each_marker_vouches_for_the_words_before_it() -> None:
    text = "The lighthouse was built in 1874 [1], and a ticket for the ferry costs four euros [2]."
    checked = check_sentence(text, "What is there?", PASSAGES, [1, 2, 3])
    assert checked.text == text
    assert [citation.marker for citation in checked.citations] == [1, 2]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One [1]. Two [2].", ["One [1].", " Two [2]."]),
        ("One. [1] Two. [2][3]", ["One. [1]", " Two. [2][3]"]),
        ("一。[1]二。", ["一。[1]", "二。"]),
        ("[1] One.", ["[1] One."]),
        ("  ", ["  "]),
        ("", []),
    ],
)
def test_split_answer_keeps_every_character(text: str, pieces: list[str]) -> None:
    assert split_answer(text) == pieces


def test_a_checker_adds_up_what_it_saw() -> None:
    checker = CitationChecker("When was the lighthouse built?", PASSAGES, [1, 2, 3])
    shown = "".join(
        checker.check(p) for p in split_answer("It was built in 1874 [1]. It has a red door [1].")
    )
    assert shown == "It was built in 1874 [1]. It has a red door."
    assert (checker.dropped, checker.supported, len(checker.citations)) == (1, False, 1)


def test_a_list_item_goes_on_over_the_end_of_its_line() -> None:
    text = (
        "- It is removed only when the folder is\n  empty, and never before.\n- Nothing else is.\n"
        "| a | b |\nRest"
    )
    assert [text[span.start : span.end] for span in sentences(text)] == [
        "- It is removed only when the folder is\n  empty, and never before.",
        "- Nothing else is.",
        "| a | b |",
        "Rest",
    ]
