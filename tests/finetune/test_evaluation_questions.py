"""Files of questions: what a row may be, and lines that are none."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.evaluation.questions import EvalQuestion, QuestionFile, read_questions
from finetune.formats.lines import read_lines


def read(*lines: str | bytes) -> QuestionFile:
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return read_questions(read_lines(io.BytesIO(data)))


def test_rows_are_read_with_their_answers() -> None:
    file = read(
        '{"id": "a", "question": " When? ", "answers": ["1874", "in 1874", "1874"], "path": "./docs/h.md"}',
        "",
        '{"id": 7, "question": "Who?", "answers": []}',
        '{"question": "Why?", "answers": null, "answerable": false}',
        '{"id": "z", "question": "灯塔是谁建的？"}',
    )
    assert file.bad == ()
    assert file.questions == (
        EvalQuestion("a", "When?", ("1874", "in 1874"), "docs/h.md"),
        EvalQuestion(7, "Who?", ()),
        EvalQuestion("4", "Why?", ()),
        EvalQuestion("z", "灯塔是谁建的？", ()),
    )
    assert [question.must_refuse for question in file.questions] == [False, True, True, True]


def test_rows_of_data_export_serve_as_they_are() -> None:
    file = read(
        '{"question": "When?", "answer": "1874", "kind": "grounded", "path": "h.md"}',
        '{"question": "Who?", "answer": null, "kind": "missing", "path": "h.md"}',
    )
    assert [(one.id, one.answers) for one in file.questions] == [("1", ("1874",)), ("2", ())]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (b"\xff\xfe", "not UTF-8"),
        ('{"answers": []}', 'no "question" in it, or an empty one'),
        ('{"question": "  ", "answers": []}', 'no "question" in it, or an empty one'),
        ('{"question": "Who?", "answers": "Anna"}', '"answers" is no list of texts'),
        ('{"question": "Who?", "answers": ["Anna", 3]}', '"answers" is no text'),
        ('{"question": "Who?", "answers": [""]}', '"answers" is no text'),
        ('{"question": "Who?", "answer": 3}', '"answer" is no text'),
        ('{"id": 1.5, "question": "Who?"}', '"id" is neither text nor a whole number'),
        ('{"id": true, "question": "Who?"}', '"id" is neither text nor a whole number'),
        ('{"question": "Who \\ud800?", "answers": []}', '"question" is not valid Unicode'),
        ('{"question": "Who?", "path": 3}', '"path" is no text'),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str | bytes, problem: str) -> None:
    file = read('{"question": "One?"}', line, '{"question": "Three?"}')
    assert [one.question for one in file.questions] == ["One?", "Three?"]
    assert [(bad.place, bad.problem) for bad in file.bad] == [("2", problem)]


def test_an_id_comes_once() -> None:
    file = read('{"id": "a", "question": "One?"}', '{"id": "a", "question": "Two?"}')
    assert [one.question for one in file.questions] == ["One?"]
    assert [(bad.place, bad.problem) for bad in file.bad] == [("2", "the same id as line 1")]


texts = st.text(max_size=8)
keys = st.sampled_from(["id", "question", "answers", "answer", "path"])
fields = st.none() | st.integers() | texts | st.lists(texts | st.integers(), max_size=3)
rows = st.lists(fields | st.booleans() | st.dictionaries(keys, fields), max_size=8)


@given(rows)
def test_every_line_is_a_question_or_bad(rows: list[object]) -> None:
    file = read(*[json.dumps(row) for row in rows])
    assert len(file.questions) + len(file.bad) == len(rows)
    assert len({one.id for one in file.questions}) == len(file.questions)
    assert all(one.question.strip() and all(one.answers) for one in file.questions)
