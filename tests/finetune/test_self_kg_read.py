"""A user's graph: every format, every encoding, and files that mean harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpora.errors import NothingToDo, UsageError
from finetune.self_kg import graph_file
from finetune.self_kg.read_graph import read_graph, tally
from finetune.self_kg.records import GraphRead


def read(tmp_path: Path, name: str, content: str | bytes) -> GraphRead:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_graph(file)


def triples(graph: GraphRead) -> list[tuple[str, str, str]]:
    return [(edge.subject, edge.relation, edge.object) for edge in graph.edges]


PARIS = ("Paris", "capital_of", "France")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("g.csv", "subject,relation,object\nParis,capital_of,France\n"),
        ("g.csv", "head,tail,rel\nParis,France,capital_of\n"),
        ("g.csv", "source,target,type\nParis,France,capital_of\n"),
        ("g.csv", '"s";"p";"o"\r\n"Paris";"capital_of";"France"\r\n'),
        ("g.tsv", "Paris\tcapital_of\tFrance\n"),
        ("g.txt", "Paris\tcapital_of\tFrance\n"),
        ("g.txt", "Paris|capital_of|France\n"),
        ("g.json", '[{"subject": "Paris", "relation": "capital_of", "object": "France"}]'),
        ("g.json", '{"triples": [["Paris", "capital_of", "France"]]}'),
        ("g.json", '{"name": "Paris", "capital_of": "France"}'),
        ("g.jsonl", '{"h": "Paris", "r": "capital_of", "t": "France"}\n'),
        ("g.jsonl", '["Paris", "capital_of", "France"]\n'),
    ],
)
def test_each_format_gives_the_same_edge(tmp_path: Path, name: str, content: str) -> None:
    assert triples(read(tmp_path, name, content)) == [PARIS]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_chinese_files_are_told_apart(tmp_path: Path, encoding: str) -> None:
    text = "主体,关系,客体\n" + "".join(
        f"{city},省会,{province}\n"
        for city, province in (("广东省", "广州市"), ("湖南省", "长沙市"), ("四川省", "成都市"))
    )
    graph = read(tmp_path, "图谱.csv", text.encode(encoding))
    assert triples(graph)[1] == ("湖南省", "省会", "长沙市")


def test_plain_triples_with_the_relation_last_are_seen_by_its_few_names(tmp_path: Path) -> None:
    lines = "".join(f"thing{n},part{n},contains\n" for n in range(20))
    assert triples(read(tmp_path, "g.csv", lines))[0] == ("thing0", "contains", "part0")


def test_entity_records_give_an_edge_for_each_value(tmp_path: Path) -> None:
    graph = read(
        tmp_path,
        "病.json",
        '[{"中心词": "感冒", "症状": ["发热", "咳嗽"], "病因": "病毒", "并发症": {"a": 1}, "备注": null}]',
    )
    assert triples(graph) == [("感冒", "症状", "发热"), ("感冒", "症状", "咳嗽"), ("感冒", "病因", "病毒")]
    assert tally(graph.dropped) == {"nested_value": 1}
    assert graph.edges[0].rows[0].text.startswith('{"中心词"')


def test_neo4j_import_files_are_joined_by_their_ids(tmp_path: Path) -> None:
    (tmp_path / "person.csv").write_text(
        "id:ID(Person),name,age:int,:LABEL\np1,Ann,41,Person\np2,Bob,-1,Person\np3,Bob,30,Person\n"
    )
    (tmp_path / "company.csv").write_text("id:ID(Company),name,code,:LABEL\n600,Acme,600,Company\n")
    (tmp_path / "job.csv").write_text(
        ":START_ID(Person),jobs,:END_ID(Company),:TYPE\np1,chairman/director,600,employ_of\np9,clerk,600,employ_of\n"
    )
    graph = read_graph(tmp_path)
    assert triples(graph) == [("Ann", "age", "41"), ("Bob", "age", "30"), ("Ann", "employ_of", "Acme")]
    employed = graph.edges[-1]
    assert (employed.subject_type, employed.object_type, employed.role) == (
        "Person",
        "Company",
        "chairman/director",
    )
    assert [row.line for row in employed.rows] == [2, 2, 2]
    assert graph.ambiguous == {"bob"}
    assert tally(graph.dropped) == {"unknown_node": 1, "no_value": 1}


def test_bad_lines_are_reported_by_number_and_good_ones_kept(tmp_path: Path) -> None:
    long = "x" * (graph_file.LONGEST_LINE + 1)
    graph = read(
        tmp_path,
        "g.csv",
        "subject,relation,object\nA,likes,B\nonly,two\nC,likes,C\nD,,E\n"
        f'F,likes,nul\0\n{long},likes,G\nH,likes,{"y" * 600}\n"I,likes,J\nA,likes,b\nK,likes,"L, M"\n',
    )
    assert triples(graph) == [("A", "likes", "B"), ("F", "likes", "nul"), ("K", "likes", "L, M")]
    assert {(one.line, one.reason) for one in graph.dropped} >= {
        (3, "too_few_cells"),
        (4, "self_loop"),
        (5, "empty_cell"),
        (7, "line_too_long"),
        (8, "cell_too_long"),
    }
    assert tally(graph.dropped)["repeated"] == 1


def test_a_line_that_is_not_utf8_costs_itself_alone(tmp_path: Path) -> None:
    lines = "".join(f"北京{n},位于,华北{n}\n" for n in range(30)).encode()
    graph = read(tmp_path, "g.csv", lines + b"\xff\xfe\xfa,likes,B\n" + "上海,位于,华东\n".encode())
    assert len(graph.edges) == 31
    assert [(one.line, one.reason) for one in graph.dropped] == [(31, "undecodable")]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n\n",
        "[" * 100_000,
        '{"a": ' * 50_000,
        "\0\0\0\0",
        '"' * 9999,
        "[1, 2",
        "{}",
        "9" * 10_000,
        "a,b\nc,d\n",
    ],
)
@pytest.mark.parametrize("name", ["g.csv", "g.json", "g.jsonl"])
def test_hostile_files_end_in_one_clear_error(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(NothingToDo):
        read(tmp_path, name, content)


def test_a_file_over_the_limit_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_file, "LARGEST_FILE", 1000)
    with pytest.raises(UsageError, match="is over"):
        read(tmp_path, "g.csv", "a,b,c\n" * 1000)


def test_a_missing_graph_and_an_empty_folder_are_no_input(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(NothingToDo):
            read_graph(path)


def test_the_shared_graphs_are_read_whole(shared_data: Path) -> None:
    umls = read_graph(shared_data / "kg" / "umls" / "train.txt")
    assert len(umls.edges) == 5216
    assert not umls.dropped
    stocks = read_graph(shared_data / "kg" / "stock-zh")
    assert ("杜玉岱", "gender", "男") in triples(stocks)
    assert sum(edge.relation == "industry_of" for edge in stocks.edges) == 2907  # one is a loop
    assert "unknown_node" not in tally(stocks.dropped)
