"""Follow-ups become questions of their own by rules; what stands alone stays as it is."""

from __future__ import annotations

import random
import time

import pytest

from assistant.chat.rewriting import chinese, english
from assistant.chat.rewriting.history import Said, without_markers

ENGLISH = [
    # pronouns
    (
        "When was the lighthouse of Brannock built?",
        "1874",
        "Who built it?",
        "Who built the lighthouse of Brannock?",
    ),
    ("Who built the lighthouse of Brannock?", "Anna Kerr", "When was she born?", "When was Anna Kerr born?"),
    (
        "Who built the lighthouse of Brannock?",
        "It was built in 1874 by the engineer Anna Kerr and is 31 metres high.",
        "When was she born?",
        "When was Anna Kerr born?",
    ),
    (
        "Who built the lighthouse of Brannock?",
        "",
        "When was he born?",
        "When was the person who built the lighthouse of Brannock born?",
    ),
    (
        "Who was the first Presiding Officer of the Scottish Parliament?",
        "",
        "When was he elected?",
        "When was the first Presiding Officer of the Scottish Parliament elected?",
    ),
    ("What do T cells do?", "", "Where do they mature?", "Where do T cells mature?"),
    (
        "Which countries were targeted by OPEC?",
        "Canada and Japan",
        "How were they affected?",
        "How were Canada and Japan affected?",
    ),
    (
        "Where does the Parliament meet?",
        "",
        "Who designed its building?",
        "Who designed the Parliament’s building?",
    ),
    ("How many people live in Bavaria?", "", "What do people eat there?", "What do people eat in Bavaria?"),
    ("What is packet switching?", "", "Who invented it?", "Who invented packet switching?"),
    # a name for what was asked for
    (
        "Which calendar did Guo Shoujing make?",
        "the Shoushi Li",
        "When was it disseminated?",
        "When was the calendar (the Shoushi Li) disseminated?",
    ),
    # another one of the same, with what stands behind it
    (
        "What does the ferry to Brannock cost?",
        "four euros",
        "And the ferry to Ostby?",
        "What does the ferry to Ostby cost?",
    ),
    ("What does the ferry to Brannock cost?", "", "And Ostby?", "What does the ferry to Ostby cost?"),
    (
        "When did the siege of Paris by the Prussians end?",
        "",
        "And the siege of Metz?",
        "When did the siege of Metz by the Prussians end?",
    ),
    # the same thing by its last word, and what belongs to it
    ("What caused the 1973 oil crisis?", "", "When did the crisis end?", "When did the 1973 oil crisis end?"),
    ("Who founded the Yuan dynasty?", "", "What is the capital?", "What is the capital of the Yuan dynasty?"),
    (
        "Who won the Battle of Hastings?",
        "",
        "How many people died?",
        "How many people died (the Battle of Hastings)?",
    ),
    # the same question again
    ("How many people live in Bavaria?", "", "And in Hesse?", "How many people live in Hesse?"),
    ("What happened in Bavaria in 1918?", "", "What about 1945?", "What happened in Bavaria in 1945?"),
    ("Who funded CSNET?", "", "What about NSFNET?", "Who funded NSFNET?"),
    ("Who founded Harvard?", "", "Why?", "Why? (Who founded Harvard?)"),
]
ENGLISH_ALONE = [
    "How does photosynthesis work?",
    "What is the capital of France?",
    "When did Marie Curie win her first Nobel prize?",
    "What did the Normans call their territory?",
    "How long does it take to reach Paris?",
    "Is it possible to solve the halting problem?",
    "Are there lions in Africa?",
    "Who wrote the book that Orwell hated?",
    "What is the speed of light?",
    "When Tesla moved to Prague, what did he study?",
    "Isn't it safer to lock the door?",
    "What is crowd lending? It sounds risky.",
    "That means a lot to me.",
    "I like the Mercedes stadium in Atlanta, tell me more about this stadium.",
]
CHINESE = [
    ("布兰诺克的灯塔是哪一年建造的？", "1874年", "它有多高？", "布兰诺克的灯塔有多高？"),
    ("谁建造了布兰诺克的灯塔？", "安娜·克尔", "她是什么时候出生的？", "安娜·克尔是什么时候出生的？"),
    ("晋穆帝的皇后是谁？", "", "她的哥哥叫什么？", "晋穆帝的皇后的哥哥叫什么？"),
    ("巴伐利亚的人口是多少？", "", "那黑森呢？", "黑森的人口是多少？"),
    ("巴伐利亚的人口是多少？", "", "面积呢？", "巴伐利亚的面积是多少？"),
    ("巴伐利亚的人口是多少？", "", "首府是哪里？", "巴伐利亚的首府是哪里？"),
    ("赛里木湖位于哪里？", "新疆", "有多深？", "赛里木湖有多深？"),
    ("穆德洛斯停战协定是什么时候签订的？", "", "在哪里签订的？", "穆德洛斯停战协定在哪里签订的？"),
    (
        "《越南亡国史》的作者是谁？",
        "潘佩珠",
        "这本书什么时候出版的？",
        "《越南亡国史》这本书什么时候出版的？",
    ),
    ("首钢集团的总部在哪里？", "北京", "该公司何时成立？", "首钢集团何时成立？"),
    ("2008年NBA总决赛谁赢了？", "凯尔特人", "2009年呢？", "2009年NBA总决赛谁赢了？"),
    ("牛车水在哪个国家？", "新加坡", "谁到过那里？", "谁到过牛车水？"),
]
CHINESE_ALONE = [
    "光合作用是什么？",
    "爱因斯坦在哪里获得他的博士学位？",
    "《千年女王》是谁的作品？",
    "其他国家的货币有哪些？",
    "应该如何使用该死的打印机？",
]


@pytest.mark.parametrize(("first", "answer", "second", "expected"), ENGLISH)
def test_english_follow_ups(first: str, answer: str, second: str, expected: str) -> None:
    assert english.resolved(second, [Said(first, answer)]) == expected


@pytest.mark.parametrize("question", ENGLISH_ALONE)
@pytest.mark.parametrize(
    "first", ["Who built the lighthouse of Brannock?", "How many people live in Bavaria?"]
)
def test_english_questions_that_stand_alone(first: str, question: str) -> None:
    assert english.resolved(question, [Said(first, "Anna Kerr")]) == question


@pytest.mark.parametrize(("first", "answer", "second", "expected"), CHINESE)
def test_chinese_follow_ups(first: str, answer: str, second: str, expected: str) -> None:
    assert chinese.resolved(second, [Said(first, answer)]) == expected


@pytest.mark.parametrize("question", CHINESE_ALONE)
def test_chinese_questions_that_stand_alone(question: str) -> None:
    assert chinese.resolved(question, [Said("巴伐利亚的人口是多少？", "")]) == question


def test_a_pronoun_reaches_back_over_a_turn_without_a_name() -> None:
    said = [Said("When was the lighthouse of Brannock built?", "1874"), Said("Why?", "")]
    assert english.resolved("Who built it?", said) == "Who built the lighthouse of Brannock?"


def test_what_has_nothing_before_it_to_mean_is_left_alone() -> None:
    for question in ("Who built it?", "And there?", "When was he born?", "How many people died?"):
        assert english.resolved(question, [Said("Hello!", "")]) == question
    assert chinese.resolved("他是谁？", [Said("你好", "")]) in ("他是谁？", "你好是谁？")


def test_markers_are_no_words() -> None:
    assert without_markers("It is old [1][2]. Very old [3].") == "It is old. Very old."
    assert without_markers("它很高【1】。") == "它很高。"


def test_any_text_is_survived_quickly() -> None:
    rng = random.Random(5)
    odd = ["\x1b[31m", "[", "](", "]]", "\ud800", "\n", "(", "\\", "*", "’s", "a" * 300]
    words = ["it", "he", "the", "of", "他", "它的", "呢？", "?", "And ", "What about", "1973", "Kerr"]
    pieces = odd + words
    began = time.perf_counter()
    for _ in range(2000):
        first, second = (" ".join(rng.choices(pieces, k=rng.randint(0, 12))) for _ in range(2))
        for rules in (english, chinese):
            assert isinstance(rules.resolved(second, [Said(first, first)]), str)
            rules.surely_alone(second)
    assert time.perf_counter() - began < 30


def test_long_runs_take_no_long_time() -> None:
    for piece in ("it ", "的", "那", "the cat of ", "and ", "什么", "((", "In which "):
        text = piece * 200
        began = time.perf_counter()
        english.resolved(text[:400], [Said(text, text)])
        chinese.resolved(text[:400], [Said(text, text)])
        assert time.perf_counter() - began < 5
