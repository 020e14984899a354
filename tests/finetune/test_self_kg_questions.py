"""Questions about graphs: words for relations, what may be asked, and where the evidence stands."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from ingest_driver import run

from corpora.records import Passage
from corpora.store import Library
from finetune.candidates import Candidate, Claimed
from finetune.self_kg.asking import Ending
from finetune.self_kg.chinese import chinese
from finetune.self_kg.english import english
from finetune.self_kg.facts import as_document
from finetune.self_kg.graph import Graph
from finetune.self_kg.locate import locate
from finetune.self_kg.questions import questions
from finetune.self_kg.read_graph import read_graph, tally
from finetune.self_kg.records import Edge
from finetune.self_kg.writer import facts_document, graph_questions


def passage(text: str, number: int = 1, kind: str = "md") -> Passage:
    return Passage(
        number, f"p{number}", f"d{number}", f"{number}.{kind}", kind, 0, 0, len(text), 1, 1, None, None, text
    )


def edge(subject: str, relation: str, object_: str, *, quoted: bool = True, **more: str) -> Edge:
    text = f"{subject} {relation} {object_}"
    quotes = (Claimed(passage(text), text, 0),) if quoted else ()
    return Edge(subject, relation, object_, quotes, **more)  # type: ignore[arg-type]


def asked(edges: list[Edge], **more: object) -> dict[str, tuple[str, str | None]]:
    found = questions(Graph(edges, **more), "rules")  # type: ignore[arg-type]
    return {one.question: (one.kind, one.answer) for one in found}


@pytest.mark.parametrize(
    ("relation", "forward", "backward"),
    [
        ("affects", "What does X affect?", "What affects X?"),
        ("interacts_with", "What does X interact with?", "What interacts with X?"),
        ("co-occurs_with", "What does X co-occur with?", "What co-occurs with X?"),
        ("assesses_effect_of", "What does X assess the effect of?", "What assesses the effect of X?"),
        ("carries_out", "What does X carry out?", "What carries out X?"),
        ("isa", "What is X a kind of?", "What is a kind of X?"),
        ("location_of", "What is X a location of?", "What is the location of X?"),
        ("issue_in", "What is X an issue in?", "What is an issue in X?"),
        ("adjacent_to", "What is X adjacent to?", "What is adjacent to X?"),
        ("foundedBy", "Who founded X?", "What did X found?"),
        ("written_by", "Who wrote X?", "What did X write?"),
        ("birthPlace", "Where was X born?", None),
        ("author", "Who is the author of X?", "What is X the author of?"),
        ("hasSymptom", "What is the symptom of X?", None),
        ("http://example.org/film#director", "Who is the director of X?", "What is X the director of?"),
    ],
)
def test_names_of_relations_become_grammatical_questions(
    relation: str, forward: str, backward: str | None
) -> None:
    found = english(relation, "name")
    assert found is not None and found.forward is not None
    assert found.forward.one.format("X") == forward
    assert (found.backward.one.format("X") if found.backward else None) == backward


@pytest.mark.parametrize("relation", ["cause", "r17", "x!", "", "treat", "和"])
def test_a_relation_that_reads_either_way_or_not_at_all_asks_nothing(relation: str) -> None:
    assert english(relation, "name") is None


@pytest.mark.parametrize(
    ("relation", "ending", "question"),
    [
        ("症状", "name", "X的症状是什么？"),
        ("位于", "name", "X位于哪里？"),
        ("成立于", "date", "X成立于什么时候？"),
        ("成立于", "name", "X成立于哪里？"),
        ("创建者", "name", "X是由谁创建的？"),
        ("作者", "name", "X的作者是谁？"),
        ("人口", "value", "X的人口是多少？"),
        ("age", "value", "X的年龄是多少？"),
    ],
)
def test_relations_are_asked_about_in_chinese(relation: str, ending: Ending, question: str) -> None:
    found = chinese(relation, ending)
    assert found is not None and found.forward is not None
    assert found.forward.one.format("X") == question


def test_an_n_of_relation_is_turned_by_the_type_of_its_object() -> None:
    typed = {"subject_type": "Company", "object_type": "Industry"}
    assert "What is the industry of Acme?" in asked([edge("Acme", "industry_of", "Mining", **typed)])
    assert asked([edge("Lima", "capital_of", "Peru")])["What is the capital of Peru?"] == ("atomic", "Lima")


def test_one_target_is_asked_for_alone_and_several_together() -> None:
    found = asked(
        [
            edge("Virus", "affects", "Cell"),
            edge("Virus", "causes", "Fever"),
            edge("virus", "affects", "Tissue"),
        ]
    )
    assert found["What does Virus affect?"] == ("aggregate", "Cell and Tissue")
    assert found["What does Virus cause?"] == ("atomic", "Fever")


def test_nothing_is_asked_where_part_of_the_answer_has_no_quote() -> None:
    edges = [edge("Virus", "affects", "Cell"), edge("Virus", "affects", "Tissue", quoted=False)]
    assert set(asked(edges)) == {"What affects Cell?"}


def test_two_hops_do_not_name_the_node_between() -> None:
    edges = [
        edge("Ann", "birthPlace", "Lima"),
        edge("Peru", "capital", "Lima"),
        edge("Lima", "river", "Rimac"),
    ]
    found = asked(edges)
    assert found["What is the river of the place where Ann was born?"] == ("two-hop", "Rimac")
    assert found["What is the river of the capital of Peru?"] == ("two-hop", "Rimac")
    assert not any("Lima" in question for question, (kind, _) in found.items() if kind == "two-hop")


def test_two_hops_go_through_a_single_unambiguous_node_only() -> None:
    edges = [edge("Ann", "employer", "Acme"), edge("Acme", "founded_by", "Bob")]
    hop = "Who founded the employer of Ann?"
    assert hop in asked(edges)
    assert hop not in asked(edges, ambiguous=frozenset({"acme"}))
    assert hop not in asked([*edges, edge("Ann", "employer", "Globex")])


def test_a_cycle_leads_nowhere() -> None:
    edges = [edge("A1x", "author", "B1x"), edge("B1x", "author", "A1x")]
    assert all(kind == "atomic" for kind, _ in asked(edges).values())


def test_roles_are_asked_from_both_ends_and_a_wider_role_not_at_all() -> None:
    def employed(name: str, role: str) -> Edge:
        return edge(name, "employ_of", "金枫酒业", subject_type="Person", object_type="Company", role=role)

    found = asked(
        [employed("王一民", "董事长/董事"), employed("李二平", "独立董事"), employed("赵三元", "副董事长")]
    )
    assert found["金枫酒业的董事长是谁？"] == ("atomic", "王一民")
    assert found["李二平在金枫酒业担任什么职务？"] == ("atomic", "独立董事")
    assert found["李二平任职的公司的董事长是谁？"] == ("two-hop", "王一民")
    assert not any(question.startswith("金枫酒业的董事是") for question in found)


def test_same_graph_same_questions_in_the_same_order() -> None:
    edges = [edge(f"A{n} thing", "affects", f"B{n % 7} thing") for n in range(60)]
    assert questions(Graph(edges), "rules") == questions(Graph(edges), "rules")


# -- where the edges stand ---------------------------------------------------------------------------


def made(tmp_path: Path, files: dict[str, str]) -> Library:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    library = Library.create(tmp_path / ".assistant")
    run(library, folder)
    return library


def check_quotes(candidates: tuple[Candidate, ...]) -> None:
    for candidate in candidates:
        assert candidate.claimed
        for claimed in candidate.claimed:
            assert claimed.start is not None
            assert claimed.passage.text.startswith(claimed.text, claimed.start)


def test_the_rows_of_an_ingested_graph_file_are_its_quotes(tmp_path: Path) -> None:
    with made(
        tmp_path, {"graph.csv": "subject,relation,object\nLima,capital_of,Peru\nRimac,part_of,Lima\n"}
    ) as library:
        found = graph_questions(tmp_path / "documents" / "graph.csv", library)
        check_quotes(found.candidates)
        assert found.grounded == found.edges == 2
        assert {claimed.text for one in found.candidates for claimed in one.claimed} == {
            "Lima,capital_of,Peru",
            "Rimac,part_of,Lima",
        }


def test_an_edge_is_grounded_by_a_sentence_that_says_it_and_dropped_without_one(tmp_path: Path) -> None:
    graph = tmp_path / "graph.csv"
    graph.write_text(
        "subject,relation,object\nLima,capital_of,Peru\nLima,twinned_with,Peru\nOslo,capital_of,Norway\n"
    )
    text = "# Cities\n\nLima is a city. The capital of Peru is Lima. Oslo is a town. Norway is cold.\n"
    with made(tmp_path, {"cities.md": text}) as library:
        located = locate(read_graph(graph).edges, library)
    assert [bool(one.quotes) for one in located.edges] == [True, False, False]
    assert located.edges[0].quotes[0].text == "The capital of Peru is Lima."
    assert [(one.reason, one.line) for one in located.dropped] == [
        ("span_not_found", 3),
        ("span_not_found", 4),
    ]


def test_an_edge_that_names_its_document_and_words_is_looked_for_there_only(tmp_path: Path) -> None:
    graph = tmp_path / "graph.csv"
    graph.write_text(
        "subject,relation,object,document,span\n"
        "Lima,capital_of,Peru,a.md,Lima rules Peru\nLima,rules,Peru,b.md,\n"
    )
    files = {"a.md": "It is so: Lima rules Peru.\n", "b.md": "Peru has a city called Lima.\n"}
    with made(tmp_path, files) as library:
        located = locate(read_graph(graph).edges, library)
    assert [one.quotes[0].passage.path[-4:] if one.quotes else None for one in located.edges] == [
        "a.md",
        None,
    ]


def test_chinese_names_are_found_without_spaces(tmp_path: Path) -> None:
    graph = tmp_path / "图.csv"
    graph.write_text("主体,关系,客体\n湖南省,省会,长沙市\n", encoding="utf-8")
    with made(tmp_path, {"文.md": "众所周知，湖南省的省会是长沙市。\n"}) as library:
        found = graph_questions(graph, library)
    assert [
        (one.question, one.answer) for one in found.candidates if one.question.startswith("湖南省的")
    ] == [("湖南省的省会是哪里？", "长沙市")]


def test_a_graph_as_a_document_says_each_edge_in_a_sentence() -> None:
    graph = [
        edge("acquired_abnormality", "affects", "alga"),
        edge("acquired_abnormality", "location_of", "body_system"),
        edge("感冒", "症状", "发热"),
    ]
    text, stated = as_document(graph)
    assert "Acquired abnormality affects alga.\nAcquired abnormality is a location of body system.\n" in text
    assert "感冒的症状是发热。" in text
    for one in stated:
        assert text.startswith(one.rows[0].text, one.rows[0].start)
        assert text.split("\n")[one.rows[0].line - 1] == one.rows[0].text


def sliced(source: Path, target: Path, stocks: int) -> None:
    """The first stocks of the shared graph with all that hangs on them."""
    target.mkdir()

    def rows(name: str) -> list[list[str]]:
        with (source / name).open(encoding="utf-8", newline="") as handle:
            return list(csv.reader(handle))

    def write(name: str, kept: list[list[str]]) -> None:
        with (target / name).open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle, lineterminator="\n").writerows(kept)

    companies = rows("stock.csv")[: stocks + 1]
    ids = {row[0] for row in companies}
    write("stock.csv", companies)
    jobs = rows("executive_stock.csv")
    jobs = [jobs[0], *(row for row in jobs if row[2] in ids)]
    write("executive_stock.csv", jobs)
    people = {row[0] for row in jobs}
    executives = rows("executive.csv")
    write("executive.csv", [executives[0], *(row for row in executives if row[0] in people)])
    for name in ("stock_concept.csv", "stock_industry.csv"):
        links = rows(name)
        write(name, [links[0], *(row for row in links if row[0] in ids)])
    for name in ("concept.csv", "industry.csv"):
        write(name, rows(name))


def test_a_slice_of_the_shared_chinese_graph_gives_grounded_questions_of_each_kind(
    tmp_path: Path, shared_data: Path
) -> None:
    graph = tmp_path / "graph"
    sliced(shared_data / "kg" / "stock-zh", graph, 12)
    with made(tmp_path, {"facts.md": facts_document(graph)}) as library:
        found = graph_questions(graph, library)
        again = graph_questions(graph, library)
    assert found == again
    assert found.grounded == found.edges > 300
    check_quotes(found.candidates)
    kinds = tally_kinds(found.candidates)
    assert min(kinds[kind] for kind in ("atomic", "aggregate", "two-hop")) >= 15
    assert {one.kind for one in found.candidates[:6]} == {"atomic", "aggregate", "two-hop"}
    assert all(one.language == "zh" and one.question.endswith("？") for one in found.candidates)
    assert not any("概念概念" in one.question for one in found.candidates)


def test_a_slice_of_the_shared_english_graph_is_grounded_by_its_own_rows(
    tmp_path: Path, shared_data: Path
) -> None:
    lines = (shared_data / "kg" / "umls" / "train.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    with made(tmp_path, {"umls.txt": "".join(lines[:400])}) as library:
        found = graph_questions(tmp_path / "documents" / "umls.txt", library)
    assert found.edges == 400
    assert found.grounded >= 360  # a row may be cut where a passage of 64 tokens ends
    check_quotes(found.candidates)
    kinds = tally_kinds(found.candidates)
    assert min(kinds[kind] for kind in ("atomic", "aggregate", "two-hop")) >= 15
    assert all("_" not in one.question and one.question.endswith("?") for one in found.candidates)


def tally_kinds(candidates: tuple[Candidate, ...]) -> dict[str, int]:
    kinds = [one.kind for one in candidates]
    return {kind: kinds.count(kind) for kind in kinds}


def test_relations_without_words_are_counted(tmp_path: Path) -> None:
    graph = tmp_path / "documents" / "graph.csv"
    with made(tmp_path, {"graph.csv": "s,p,o\nLima,r17,Peru\nLima,capital_of,Peru\n"}) as library:
        assert tally(graph_questions(graph, library).dropped) == {"relation_not_readable": 1}
