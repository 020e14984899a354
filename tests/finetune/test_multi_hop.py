"""Pairs of passages that belong together, and the few questions that rules can ask across them."""

from __future__ import annotations

from pathlib import Path

from corpora.records import Passage
from finetune.multi_hop import bridges, linked_pairs


def passage(
    number: int, text: str, *, document: str = "", ordinal: int = 0, heading: str | None = None
) -> Passage:
    name = document or f"d{number}"
    return Passage(
        number, f"p{number}", name, f"{name}.md", "md", ordinal, 0, len(text), 1, 1, None, heading, text
    )


def links(passages: list[Passage], **more: int) -> list[tuple[str, str, str]]:
    return [(one.id, two.id, name) for one, two, name in linked_pairs(passages, **more)]


def test_a_rare_name_links_and_a_common_one_does_not() -> None:
    passages = [passage(n, f"All of it happened in Brannock town, and number {n} is sure.") for n in range(8)]
    passages += [passage(8, "We met Anna Kerr there."), passage(9, "The boat of Anna Kerr sank.")]
    assert links(passages) == [("p8", "p9", "Anna Kerr")]


def test_neighbours_of_one_document_are_left_out() -> None:
    text = "Here lived Anna Kerr."
    passages = [passage(n, text, document="d", ordinal=n) for n in range(3)]
    assert links(passages) == [("p0", "p2", "Anna Kerr")]


def test_words_that_open_a_sentence_are_no_names() -> None:
    passages = [
        passage(0, "Yesterday it rained. Wednesday was dry."),
        passage(1, "Yesterday was fine. On Wednesday it rained."),
    ]
    assert links(passages) == []


def test_a_title_links_its_document_to_those_that_mention_it() -> None:
    passages = [
        passage(0, "It is a river.", heading="Rimac (river)"),
        passage(1, "The town lies on the Rimac, far south."),
        passage(2, "大莱龙铁路全长一百公里。", heading="大莱龙铁路"),
        passage(3, "它与大莱龙铁路在此相接。", heading="德龙烟铁路"),
    ]
    assert sorted(links(passages)) == [("p0", "p1", "Rimac"), ("p2", "p3", "大莱龙铁路")]


def test_a_passage_is_in_few_pairs_and_the_order_is_fixed() -> None:
    passages = [passage(n, f"They met Anna Kerr and Bob{n // 2} Ray in the dark.") for n in range(6)]
    found = links(passages, per_passage=2)
    assert found == links(passages, per_passage=2)
    for one in passages:
        assert sum(one.id in pair[:2] for pair in found) <= 2


def test_a_bridge_leads_from_one_passages_fact_to_the_others() -> None:
    passages = [
        passage(0, "Ada Moreno was born in Peru."),
        passage(1, "The old town of Lima, the capital of Peru, is on the coast."),
        passage(2, "Nobody else was there."),
    ]
    (found,) = bridges(passages)
    assert found.question == "What is the capital of the place where Ada Moreno was born?"
    assert (found.answer, found.kind, found.method) == ("Lima", "multi-hop", "self-qa")
    assert [claimed.passage.id for claimed in found.claimed] == ["p0", "p1"]
    for claimed in found.claimed:
        assert claimed.start is not None
        assert claimed.passage.text.startswith(claimed.text, claimed.start)


def test_no_bridge_goes_through_one_passage_or_a_doubtful_fact() -> None:
    both = "Ada Moreno was born in Peru. Lima, the capital of Peru, is old."
    assert bridges([passage(0, both)]) == []
    doubtful = [
        passage(0, "Ada Moreno was born in Peru."),
        passage(1, "Ada Moreno was born in Chile."),
        passage(2, "Lima, the capital of Peru, is old."),
    ]
    assert bridges(doubtful) == []


def test_articles_are_linked_quickly_and_by_names(shared_data: Path) -> None:
    passages = []
    for file in sorted((shared_data / "articles-en").glob("*.md")):
        paragraphs = [part for part in file.read_text(encoding="utf-8").split("\n\n") if len(part) > 200]
        title = file.stem.replace("_", " ")
        passages += [
            passage(len(passages) + n, text, document=title, ordinal=n, heading=title)
            for n, text in enumerate(paragraphs)
        ]
    pairs = linked_pairs(passages)
    assert len(pairs) >= 50
    for one, two, name in pairs:
        assert name in one.text or name == one.heading
        assert name in two.text or name == two.heading
