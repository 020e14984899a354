"""Answer-first questions in Chinese."""

from __future__ import annotations

import pytest

from corpora.records import Passage
from finetune.answer_first.chinese import chinese_questions, chinese_sources
from finetune.answer_first.writer import AnswerFirst


def passage(text: str, title: str) -> Passage:
    return Passage(1, "p1", "d1", f"{title}.md", "md", 0, 0, len(text), 1, 1, None, title, text)


def made(text: str, title: str) -> dict[str, str]:
    given = passage(text, title)
    return {
        one.question: text[one.start : one.end]
        for source in chinese_sources(given)
        for one in chinese_questions(source)
    }


@pytest.mark.parametrize(
    ("title", "sentence", "question", "answer"),
    [
        (
            "刘德一",
            "刘德一于1957年考入重庆市川剧院训练班学艺。",
            "刘德一于哪一年考入重庆市川剧院训练班学艺？",
            "1957年",
        ),
        (
            "四通控股",
            "但由于交投疲弱，四通控股在2009年11月6日正式脱离香港股市。",
            "四通控股在什么时候正式脱离香港股市？",
            "2009年11月6日",
        ),
        ("昌昌", "昌昌的首都占地超过15平方千米。", "昌昌的首都占地超过多少平方千米？", "15平方千米"),
        ("硬枝黄蝉", "硬枝黄蝉是一种直立灌木，高约1-2米。", "硬枝黄蝉是什么？", "一种直立灌木"),
        (
            "西施故里",
            "西施故里位于诸暨市城南苎萝山下，浣纱江畔。",
            "西施故里位于哪里？",
            "诸暨市城南苎萝山下",
        ),
        ("鳄鱼泪", "同名主题曲由袁丽嫦原唱，由黄霑作曲及填词。", "鳄鱼泪由谁作曲及填词？", "黄霑"),
        (
            "美特斯邦威",
            "公司将总部搬至上海，2008年在深圳证交所上市。",
            "美特斯邦威哪一年在深圳证交所上市？",
            "2008年",
        ),
    ],
)
def test_the_answer_gives_way_to_a_question_word(
    title: str, sentence: str, question: str, answer: str
) -> None:
    assert made(sentence, title).get(question) == answer


@pytest.mark.parametrize(
    "sentence",
    [
        "他于1957年考入重庆市川剧院训练班学艺。",
        "该公司于2008年在深圳证交所上市。",
        "此后其于2008年转投乌克兰球会。",
        "同年6月，他们在加拿大秘密结婚。",
        "昭和11年(1936年)任教授。",
        "刘德一于哪一年考入川剧院？",
    ],
)
def test_pronouns_and_era_years_are_left_alone(sentence: str) -> None:
    assert made(sentence, "刘德一") == {}


def test_chinese_candidates_hold_their_quote() -> None:
    text = "刘德一于1957年考入重庆市川剧院训练班学艺，拜李文杰为师。刘德一曾获得3次大奖。"
    found = AnswerFirst().write([passage(text, "刘德一")])[0]
    assert found
    for one in found:
        [claimed] = one.claimed
        assert one.language == "zh"
        assert claimed.start is not None
        assert text[claimed.start :].startswith(claimed.text)
        assert one.answer in claimed.text
