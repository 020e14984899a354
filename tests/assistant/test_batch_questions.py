"""Questions from files that anybody may have written: a wrong row is an error of its own, never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.batch.questions import Question, read_questions
from assistant.batch.table import parse_line, split_records, table_line
from corpora.errors import UsageError

BOM = b"\xef\xbb\xbf"


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def only(data: bytes, name: str = "q.jsonl") -> Question:
    (question,) = read_questions(data, name)
    return question


def problem(row: object) -> str:
    return only(lines(row)).problem or ""


def test_a_row_has_a_question_and_options() -> None:
    row = {"id": "a", "question": " When? ", "k": 3, "in": "docs/**", "adapter": "mine", "expected": "1874"}
    assert only(lines(row)) == Question(1, "1", "a", "When?", 3, "docs/**", "mine", ("1874",))
    assert only(lines({"question": "When?"})) == Question(1, "1", 1, "When?")
    assert only(lines({"question": "When?", "answers": []})).expected == ()
    assert only(lines({"question": "When?", "expected": ["a", "a", "b"]})).expected == ("a", "b")
    assert only(lines({"question": "When?", "expected": None, "k": None})).expected is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": 1}, 'no "question"'),
        ({"question": " "}, 'no "question"'),
        ({"question": 7}, 'no "question"'),
        ({"question": "w", "k": 0}, '"k" is no whole number'),
        ({"question": "w", "k": True}, '"k" is no whole number'),
        ({"question": "w", "k": "3"}, '"k" is no whole number'),
        ({"question": "w", "k": 10**9}, '"k" is no whole number'),
        ({"question": "w", "in": ""}, '"in" is no text'),
        ({"question": "w", "in": "[z-a]"}, '"in" is no pattern'),
        ({"question": "w", "adapter": "../../elsewhere"}, '"adapter" is no name'),
        ({"question": "w", "adapter": ["x"]}, '"adapter" is no name'),
        ({"question": "w", "expected": [1]}, '"expected" is no text'),
        ({"question": "w", "expected": {"a": 1}}, '"expected" is no text'),
        ({"question": "w", "expected": "a", "answers": []}, "the same"),
        ({"question": "w", "id": 1.5}, '"id" is neither'),
        ({"question": "w", "id": False}, '"id" is neither'),
        ({"question": "w", "id": "x" * 2000}, '"id" is longer'),
        ({"question": "w\0"}, "NUL"),
        ({"question": "\ud800"}, "not valid Unicode"),
        ({"question": "w " * 500_000}, "longer than 100000"),
        ([1, 2], "not a JSON object"),
        ("text", "not a JSON object"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_of_it(row: object, said: str) -> None:
    assert said in problem(row)


def test_bad_lines_keep_their_places_and_the_others_are_read() -> None:
    data = BOM + b'{"id":1,"question":"a"}\r\n\r\n{oops\r\n\x00\xff\x00\r\n' + b'{"id":1,"question":"b"}\r\n'
    found = read_questions(data + b'{"question":"c\x00"}\n{"id":"\xc3","question":"d"}', "-")
    assert [(q.number, q.place, q.id, q.problem) for q in found] == [
        (1, "1", 1, None),
        (2, "3", 2, "not JSON"),
        (3, "4", 3, "not UTF-8"),
        (4, "5", 1, "the same id as line 1"),
        (5, "6", 5, "not JSON"),
        (6, "7", 6, "not UTF-8"),
    ]


def test_a_row_without_an_id_takes_nobodys() -> None:
    found = read_questions(lines({"id": 2, "question": "a"}, {"question": "b"}, {"question": "c"}), "-")
    assert [(q.id, q.problem) for q in found] == [(2, None), ("row 2", None), (3, None)]
    found = read_questions(lines({"id": 2, "question": "a"}, {"id": "2", "question": "b"}), "-")
    assert [q.problem for q in found] == [None, "the same id as line 1"]


def test_a_wrong_row_keeps_what_can_be_read_of_it() -> None:
    bad = {"question": "When?", "expected": "1874", "k": 0}
    found = read_questions(
        lines(bad, {"question": "\0", "expected": "x"}, {"question": "Who?", "answers": 3}), "-"
    )
    kept = [(q.question, q.expected) for q in found]
    assert kept == [("When?", ("1874",)), (None, ("x",)), ("Who?", None)]
    assert all(q.problem for q in found)


def test_nesting_and_long_lines_are_no_crash() -> None:
    data = b'{"question":' + b"[" * 200_000 + b"\n" + b'{"question":"' + b"x" * (5 << 20) + b'"}\n'
    found = read_questions(data + lines({"question": "good"}), "q.jsonl")
    assert [q.problem for q in found] == ["not JSON", "longer than 4 MiB", None]


def test_a_table_is_read_by_its_first_line() -> None:
    text = 'id,question,k,expected\r\n1,"When, was\nit?",4,"[""1874"", ""in 1874""]"\r\n,Who?,,Anna\r\n\r\n'
    found = read_questions(BOM + text.encode(), "q.csv")
    assert found == [
        Question(1, "2", "1", "When, was\nit?", 4, expected=("1874", "in 1874")),
        Question(2, "4", 2, "Who?", expected=("Anna",)),
    ]
    for delimiter in (";", "\t"):
        other = f"question{delimiter}id\nWhen?{delimiter}x\n".encode()
        assert only(other, "q.csv") == only(other, "-") == Question(1, "2", "x", "When?")


def test_wrong_rows_of_a_table_spoil_no_other() -> None:
    rows = [
        b"a,b,c,d",
        b'"unclosed " quote,x',
        b"\xff\xfe,x",
        b"When?,bad",
        b"When?,2",
        b'"' + b"y" * 140_000 + b'",1',
    ]
    found = read_questions(b"question,k\n" + b"\n".join(rows) + b"\n", "q.csv")
    said = [q.problem and q.problem.partition(":")[0] for q in found]
    assert said[0] == "more cells than columns"
    assert said[1:3] == ["not CSV", "not UTF-8"]
    assert said[3] == '"k" is no whole number from 1 to 1000'
    assert (found[4].question, found[4].k) == ("When?", 2)
    assert said[5] == "not CSV"


@pytest.mark.parametrize("first", ["text,id", "question,question", "", "\x00\x01"])
def test_a_table_without_a_question_or_with_two_is_refused(first: str) -> None:
    with pytest.raises(UsageError) as error:
        read_questions(f"{first}\nx,y\n".encode(), "q.csv")
    assert error.value.hint


def test_other_keys_and_columns_are_ignored_and_known() -> None:
    found = only(lines({"question": "When?", "answerable": True, "doc_ids": [1], "k": 2}))
    assert (found.question, found.k, found.ignored) == ("When?", 2, ("answerable", "doc_ids"))
    assert found.problem is None
    assert found.digest == only(lines({"question": "When?", "k": 2})).digest
    (row,) = read_questions(b"topic,question,,topic,\nharbour,When?,,x,\n", "q.csv")
    assert (row.question, row.ignored) == ("When?", ("topic",))


def test_a_mark_within_a_cell_swallows_no_rows() -> None:
    data = b'id,question\n1,What is a 6" pipe?\n2,"Who,\nand ""why""?"\n3,When?\n'
    found = read_questions(data, "q.csv")
    assert [one.question for one in found] == ['What is a 6" pipe?', 'Who,\nand "why"?', "When?"]


def test_an_open_quotation_mark_swallows_a_bounded_part_of_a_file() -> None:
    data = b'question\n"open\n' + b"When was it?\n" * 400_000
    found = read_questions(data, "q.csv")
    assert "is a quotation mark not closed? This is 3" in (found[0].problem or "")
    assert found[-1].question == "When was it?"
    assert len(found) > 10_000


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.sampled_from(["q.jsonl", "q.csv", "-"]))
def test_any_bytes_are_rows_or_a_wrong_call(noise: bytes, name: str) -> None:
    for data in (noise, b"question,id\n" + noise, lines({"question": "a"}) + noise):
        try:
            found = read_questions(data, name)
        except UsageError:
            continue
        assert [q.number for q in found] == list(range(1, len(found) + 1))
        assert all((q.problem is None) == (q.question is not None) for q in found)


_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(["id", "question", "k", "in", "adapter", "expected", "answers", "x"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(_KEYS, _VALUES), max_size=5))
def test_any_values_are_rows(rows: list[dict[str, Any]]) -> None:
    found = read_questions(lines(*rows), "q.jsonl")
    assert len(found) == len(rows)
    assert all(len(q.digest) == 64 for q in found)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.text(), min_size=2, max_size=4), min_size=1, max_size=4))
def test_cells_come_back_as_they_were_but_for_formulas(rows: list[list[str]]) -> None:
    data = b"".join(table_line(row) for row in rows)
    for (_, raw), row in zip(split_records(data), rows, strict=True):
        for cell, written in zip(parse_line(raw), row, strict=True):
            assert cell.removeprefix("'") == written.encode("utf-8", "replace").decode().removeprefix("'")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-5", "-5"),
        ("+cmd|x", "'+cmd|x"),
        ("@sum", "'@sum"),
        ("=5", "'=5"),
        ("-2.5", "-2.5"),
        ("a=b", "a=b"),
    ],
)
def test_a_cell_is_no_formula(text: str, cell: str) -> None:
    assert parse_line(table_line([text, 1])) == [cell, "1"]


def test_rows_differ_by_all_but_their_place() -> None:
    one, same, other = (
        only(lines({"id": "a", "question": "w", "k": 2})),
        read_questions(b"{}\n" + lines({"id": "a", "question": "w", "k": 2}), "q.jsonl")[1],
        only(lines({"id": "a", "question": "w", "k": 3})),
    )
    assert one.digest == same.digest != other.digest
