"""Facts from passages: by rule in English and Chinese, and from a teacher that may say anything."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from corpora.records import Passage
from finetune.self_kg import patterns_en, patterns_zh
from finetune.self_kg.extract import by_rule, read_reply
from finetune.self_kg.names import NameIndex
from finetune.self_kg.writer import SelfKG
from finetune.teacher import Ask, Reply


def passage(text: str, heading: str | None = None) -> Passage:
    return Passage(1, "p", "d", "a.md", "md", 0, 0, len(text), 1, 1, None, heading, text)


def facts(text: str, heading: str | None = None) -> list[tuple[str, str, str]]:
    return [(edge.subject, edge.relation, edge.object) for edge in by_rule(passage(text, heading))]


@pytest.mark.parametrize(
    ("sentence", "fact"),
    [
        (
            "Harvard University was founded by John Harvard in 1636.",
            ("Harvard University", "founded by", "John Harvard"),
        ),
        (
            "DATAPAC was developed by Bell Northern Research, which grew.",
            ("DATAPAC", "developed by", "Bell Northern Research"),
        ),
        (
            "Shadowshaper is a 2015 urban novel written by Daniel José Older.",
            ("Shadowshaper", "written by", "Daniel José Older"),
        ),
        ("Ada Lovelace was born in London, and died young.", ("Ada Lovelace", "born in", "London")),
        (
            "Ada Lovelace (10 December 1815 – 27 November 1852) was a writer.",
            ("Ada Lovelace", "died on", "27 November 1852"),
        ),
        ("Lima, the capital of Peru, is large.", ("Peru", "capital", "Lima")),
        (
            "Richmond Hall is located in Richmond, Virginia.",
            ("Richmond Hall", "located in", "Richmond, Virginia"),
        ),
        (
            "The Multi-Protocol Label Switching (MPLS) is old.",
            ("MPLS", "stands for", "Multi-Protocol Label Switching"),
        ),
        ("Lima is the largest city in Peru.", ("Peru", "largest city", "Lima")),
    ],
)
def test_english_sentences_say_facts(sentence: str, fact: tuple[str, str, str]) -> None:
    assert fact in facts(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "He was born in London.",
        "The Committee was founded by Ann Lee.",
        "However, Lima was never founded by anyone.",
        "Version 12 was released in October 2013.",
        "James Conant (president, 1933–1953) wrote a book.",
        "The dynasty was established by Kublai Khan.",
        "Starfaring is a game created by Ken St. Andre.",
        "This was written by Ann Lee.",
    ],
)
def test_pronouns_and_half_names_are_no_facts(sentence: str) -> None:
    assert facts(sentence) == []


def test_a_surname_is_said_in_full_where_the_passage_is_about_one_person() -> None:
    assert facts("Craft died in Los Angeles.", "Charles Craft") == [
        ("Charles Craft", "died in", "Los Angeles")
    ]


@pytest.mark.parametrize(
    ("sentence", "title", "fact"),
    [
        ("梁邦彦（，，）是一位作曲家，出生于东京，血型O型。", "梁邦彦", ("梁邦彦", "出生于", "东京")),
        ("布雷西亚足球俱乐部成立于1911年。", "", ("布雷西亚足球俱乐部", "成立于", "1911年")),
        ("拉萨河（）位于西藏自治区，很长。", "", ("拉萨河", "位于", "西藏自治区")),
        ("昌昌为奇穆王国的首都，建于850年。", "昌昌", ("奇穆王国", "首都", "昌昌")),
        ("《铁拳男人》是一部由朗·霍华德执导的影片。", "", ("《铁拳男人》", "执导者", "朗·霍华德")),
        (
            "利东邨道（英语：Lei Tung Estate Road）很长。",
            "",
            ("利东邨道", "英文名称", "Lei Tung Estate Road"),
        ),
        ("五月艾（学名：）是菊科蒿属的植物。", "", ("五月艾", "所属科", "菊科")),
    ],
)
def test_chinese_sentences_say_facts(sentence: str, title: str, fact: tuple[str, str, str]) -> None:
    assert fact in facts(sentence, title)


@pytest.mark.parametrize(
    "sentence",
    ["他出生于东京。", "该公司成立于1911年。", "其位于北京。", "这是中国的首都。", "本文由张三编写。"],
)
def test_chinese_pronouns_are_no_subjects(sentence: str) -> None:
    assert facts(sentence) == []


def test_a_quote_is_the_sentence_at_its_place() -> None:
    text = "An opening line. Lima was founded by Francisco Pizarro. The end."
    (edge,) = by_rule(passage(text))
    (quote,) = edge.quotes
    assert quote.start is not None
    assert text[quote.start :].startswith("Lima was founded by Francisco Pizarro.")


@pytest.mark.parametrize(
    "text",
    [
        "A " * 250,
        "Aa and " * 70,
        "Aa was founded by " + "Cc, " * 110,
        "Aa (" * 120,
        "Ab (c, " + "Dd " * 120,
        "ABC " * 120,
    ],
)
def test_patterns_stay_quick_on_text_made_against_them(text: str) -> None:
    begun = time.perf_counter()
    for _ in range(5):
        list(patterns_en.facts(text[:500], ""))
        list(patterns_zh.facts("甲是" + "乙科" * 200, ""))
    assert time.perf_counter() - begun < 1


def test_names_are_found_by_their_words_longest_first() -> None:
    names = NameIndex(["New York", "New York Times", "York", "长沙", "长沙市"])
    assert names.found("The new york times of York wrote on 长沙市.") == ["new york times", "york", "长沙市"]
    assert names.found("Newer Yorks") == []


# -- with a teacher ----------------------------------------------------------------------------------


class Scripted:
    """A teacher that gives prepared replies in turn."""

    name = "scripted"
    fingerprint = "0" * 16

    def __init__(self, *replies: str | None) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        self.asked += [ask.messages[-1].content for ask in asks]
        return [Reply(self.replies.pop(0), error="down") for _ in asks]


TEXT = "The old mill of Brannock grinds barley for Anna Kerr. It is red."


def test_a_teachers_edges_count_where_a_sentence_holds_both_ends_word_for_word() -> None:
    reply = (
        'Sure! ```json\n[{"subject": "mill of Brannock", "relation": "owned by", "object": "Anna Kerr"},\n'
        '{"subject": "It", "relation": "colour", "object": "red"},\n'
        '{"subject": "mill of Brannock", "relation": "colour", "object": "red"},\n'
        '{"subject": "Bran", "relation": "owned by", "object": "Anna Kerr"},\n'
        '{"subject": "barley", "relation": "ground by", "object": "Bob"}, {"subject": 3}, {bad json}]'
    )
    teacher = Scripted(reply)
    (found,) = SelfKG(teacher).write([passage(TEXT)])
    assert [(one.question, one.answer, one.teacher) for one in found] == [
        ("Who owned mill of Brannock?", "Anna Kerr", "scripted+rules")
    ]
    assert TEXT in teacher.asked[0]


def test_a_call_that_fails_costs_its_passage_alone() -> None:
    teacher = Scripted(None, '[{"subject": "Anna Kerr", "relation": "employer", "object": "old mill"}]')
    first, second = SelfKG(teacher).write([passage(TEXT), passage(TEXT)])
    assert first == []
    assert len(second) == 1


@pytest.mark.parametrize(
    "reply", ["", "no facts", "[]", "{" * 5000, '{"subject": "a"}', "[[[[", '{"s": null}', "\0"]
)
def test_replies_without_facts_give_none(reply: str) -> None:
    assert read_reply(reply) == []


def test_facts_of_a_text_are_asked_forward_only() -> None:
    (found,) = SelfKG().write(
        [passage("Ada Lovelace died in London. DATAPAC was developed by Bell Research.")]
    )
    assert {one.question for one in found} == {"Where did Ada Lovelace die?", "Who developed DATAPAC?"}


def test_chinese_articles_yield_facts_that_their_text_holds(shared_data: Path) -> None:
    files = sorted((shared_data / "articles-zh").glob("*.md"))[:200]
    passages = [passage(file.read_text(encoding="utf-8")[:1500], file.stem) for file in files]
    found = [one for some in SelfKG().write(passages) for one in some]
    assert len(found) >= 20
    for one in found:
        (claimed,) = {claimed.text for claimed in one.claimed} if one.kind == "atomic" else ("",)
        assert one.kind != "atomic" or (one.answer is not None and one.answer in claimed)
