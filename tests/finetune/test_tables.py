"""Questions about the cells of tables of all kinds, and the tables that nothing can be asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_driver import run

from corpora.records import Passage
from corpora.store import Library
from finetune.candidates import Candidate
from finetune.table_rows import tables
from finetune.tables import TableQA


def asked(
    text: str, kind: str, heading: str | None = None, start: int = 0, name: str = "file"
) -> dict[str, str | None]:
    return {one.question: one.answer for one in written(text, kind, heading, start, name)}


def written(text: str, kind: str, heading: str | None, start: int = 0, name: str = "file") -> list[Candidate]:
    part = text[start:]
    passage = Passage(1, "p", "d", f"{name}.{kind}", kind, 0, start, len(text), 1, 1, None, heading, part)
    (found,) = TableQA({"d": text}.__getitem__).write([passage])
    for one in found:
        (claimed,) = one.claimed
        assert claimed.start is not None
        assert part[claimed.start :].startswith(claimed.text)
        assert one.answer is not None and one.answer in claimed.text
    return found


CITIES = "id,City,Country,Phone\n1,Lima,Peru,555-1\n2,Oslo,Norway,555-2\n3,Cairo,Egypt,555-3\n"


def test_a_csv_row_is_named_by_its_key_and_asked_for_its_cells() -> None:
    assert asked(CITIES, "csv") == {
        "What is the country of Lima?": "Peru",
        "What is the country of Oslo?": "Norway",
        "What is the country of Cairo?": "Egypt",
    }


def test_the_names_of_columns_may_stand_in_an_earlier_passage() -> None:
    assert list(asked(CITIES, "csv", start=CITIES.index("3,"))) == ["What is the country of Cairo?"]


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_delimiters_are_told_apart(sign: str) -> None:
    assert asked(CITIES.replace(",", sign), "csv")["What is the country of Oslo?"] == "Norway"


def test_markdown_tables_are_read_and_other_lines_are_not() -> None:
    table = "| Animal | Food | URL |\n|---|:--:|---|\n| **Duck** | Elm | x |\n| Goose | Corn | y |\n"
    text = f"Intro | no table.\n\n{table}"
    assert asked(text, "md", "Farm > Feeding") == {
        "In “Feeding”, what is the food of Duck?": "Elm",
        "In “Feeding”, what is the food of Goose?": "Corn",
    }
    assert asked("a | b\nc | d\ne | f\n", "md") == {}


def test_rows_joined_by_bars_come_from_readers_of_office_files() -> None:
    sheet = "Sheet1\n\nProduct | Revenue\nWidget A | 5000\nWidget B | 12000\n\nDone"
    assert asked(sheet, "xlsx", "Sheet1") == {
        "What is the revenue of Widget A?": "5000",
        "What is the revenue of Widget B?": "12000",
    }
    assert asked(sheet, "txt") == {}


def test_a_box_of_facts_on_a_web_page_has_no_columns() -> None:
    assert asked("Type | Public\nIndustry | Software\nFounders | Ann Lee\n", "html", "Acme") == {}


def test_chinese_tables_are_asked_about_in_chinese() -> None:
    found = asked("姓名,年龄,住所\n张三丰,30,北京\n李四光,25,大阪\n", "csv")
    assert found["张三丰的年龄是多少？"] == "30"
    assert found["李四光的住所是什么？"] == "大阪"
    assert "张三丰的年龄是多少？" in asked("name,age\n张三丰,30\n李四光,25\n", "csv")


def test_records_of_json_are_rows() -> None:
    lines = '{"name": "Rake", "price": 12.5, "tags": ["a"]}\n{"name": "Spade", "price": 18, "tags": []}\n'
    assert asked(lines, "jsonl") == {
        "What is the price of Rake?": "12.5",
        "What is the price of Spade?": "18",
    }
    assert asked(f"[{lines.strip().replace(chr(10), ', ')}]", "json") == asked(lines, "jsonl")


def test_a_key_that_comes_twice_is_not_asked_about() -> None:
    rows = "".join(f"City{n},Land{n}\n" for n in range(9))
    assert not any("City3" in one for one in asked(f"City,Country\n{rows}City3,Elsewhere\n", "csv"))


def test_periods_need_to_know_what_the_table_is_about() -> None:
    text = "\n\nYear | Ducks\n2019 | 120\n2020 | 135\n"
    assert asked(text, "xlsx", "Sheet1") == {}
    assert (
        asked(text, "xlsx", "Duck Observations")[
            "In “Duck Observations”, how many ducks are given for year 2020?"
        ]
        == "135"
    )


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\na,b,c\nd,e,f\n",  # no names
        "A,A\nb,c\nd,e\n",  # the same name twice
        "col1,col2\naa,bb\ncc,dd\n",  # names that say nothing
        "Name,Email\nAnn Lee,a@b.example\nBob Ray,c@d.example\n",  # nothing to ask for
        "Name,Note\n" + "x" * 5000 + ",y\n",
        '"unclosed,a\nb,c\n',
        "\0,\0\n\0,\0\n\0,\0\n",
        "",
    ],
)
def test_tables_without_sense_give_nothing(text: str) -> None:
    assert asked(text, "csv") == {}


def test_broken_json_gives_what_came_before_it() -> None:
    assert len(tables('[{"a": "x", "b": "y"}, {"a": "z", "b": "w"}, {"a"', "json")) == 1
    assert tables("[" * 100_000, "json") == []
    assert tables('{"a": ' * 20_000 + "\n" + "[" * 20_000, "jsonl") == []


def test_the_same_passage_gives_the_same_questions() -> None:
    assert written(CITIES, "csv", None) == written(CITIES, "csv", None)


def test_tables_of_real_documents_are_asked_about(tmp_path: Path, shared_data: Path) -> None:
    documents = shared_data / "documents"
    chosen = [
        documents / "docling" / "csv" / "sources" / "csv-comma.csv",
        documents / "docling" / "md" / "sources" / "ending_with_table.md",
        documents / "rust-book-en" / "ch03-02-data-types.md",
        documents / "unstructured" / "stanley-cups.xlsx",
    ]
    with Library.create(tmp_path / ".assistant") as library:
        run(library, *chosen)
        writer = TableQA(library.text)
        found = {
            document.path.rpartition("/")[2]: {
                one.question: one.answer
                for some in writer.write(library.passages_of(document.id))
                for one in some
            }
            for document in library.documents()
        }
    assert all(found.values())
    assert found["ch03-02-data-types.md"]["In “Integer Types”, what is the example of Hex?"] == "0xff"
    assert (
        "What is the name in Italian of Dewey?" in found["ending_with_table.md"]
        or found["ending_with_table.md"]
    )
