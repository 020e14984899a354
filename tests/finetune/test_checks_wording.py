"""Length, form, demonstratives and giveaways: what must go, and its near misses that must stay."""

from __future__ import annotations

import pytest

from corpora.prompt import language_of
from corpora.records import Message
from finetune.candidates import Candidate
from finetune.checks.wording import check_demonstrative, check_form, check_giveaway, check_length


def asked(question: str, answer: str | None = "1874", **more: object) -> Candidate:
    given = {
        "method": "self-qa",
        "kind": "span",
        "claimed": (),
        "teacher": "t",
        "prompt_version": "1",
        **more,
    }
    return Candidate(question=question, answer=answer, language=language_of(question), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "question",
    [
        "What does this passage say about lighthouses?",
        "According to the text, who built the lighthouse?",
        "According to the author, why do ferries stop?",
        "What is the main idea of the passage?",
        "Which tower is mentioned above?",
        "What is the topic of the given article?",
        "What does the author suggest?",
        "In the article, who is Anna Kerr?",
        "Who is described in the passage?",
        "What happened to the latter?",
        "What is the name of this river?",
        "How many of these protests were violent?",
        "Why did this happen?",
        "What is this?",
        "When did he die?",
        "What was it called?",
        "Where is its headquarters?",
        "Why did they leave Brannock?",
        "She was born in which town?",
        "And when was the lighthouse built?",
        "This network influenced what?",
        "Based on the above, what is a beacon?",
        "本文主要讲了什么？",
        "上述方法有什么优点？",
        "文中提到的灯塔建于哪一年？",
        "该文的作者是谁？",
        "作者认为渡轮为什么停航？",
        "根据作者的说法，灯塔有多高？",
        "这段文字的主题是什么？",
        "这篇文章发表于哪一年？",
        "根据以上内容，灯塔是谁建造的？",
        "该公司成立于哪一年？",
        "他是哪一年去世的？",
        "它的首都是哪里？",
        "这座灯塔有多高？",
        "其地理位置有何重要性？",
        "在这次选举中谁获胜了？",
    ],
)
def test_questions_that_point_at_an_unseen_text_go(question: str) -> None:
    fault = check_demonstrative(asked(question))
    assert fault is not None and fault.reason == "demonstrative", question


@pytest.mark.parametrize(
    "question",
    [
        "Who is the author of Hamlet?",
        "Which painter died in this century?",
        "What did Tesla do before he left Edison's company?",
        "Which river has its source in the Alps?",
        "What is it called when two forces cancel each other?",
        "How long does it take to cross the bay?",
        "Was it possible to cross the bay in 1900?",
        "If two integers are multiplied, what is it that they form?",
        "What does the text of the Magna Carta say about taxes?",
        "Who wrote the song “This Is Where I Came In”?",
        'What album holds "These Days"?',
        "What is the name of the treaty that ended the war?",
        "Which article of the constitution protects speech?",
        "What do the former Midlothian County Buildings face?",
        "When did Genghis Khan decide that his sons would rule?",
        "In which document did Congress declare independence?",
        "What is the context-free grammar used for?",
        "How are text messages billed?",
        "Is a whale a fish or is it a mammal?",
        "《红楼梦》的作者是谁？",
        "三国演义的作者是哪里人？",
        "马其顿的首都是哪里？",
        "上海轨道交通17号线开通时，该线有几座车站？",
        "特斯拉去世后，他的专利归谁所有？",
        "与其他学校相比，这种C模式学校的学费如何？",
        "“胜任力”这个词第一次在哪里出现？",
        "作者是谁写了《西游记》？",
        "其他国家如何看待马其顿？",
        "此外，布兰诺克港还有几座灯塔？",
    ],
)
def test_questions_that_stand_alone_stay(question: str) -> None:
    assert check_demonstrative(asked(question)) is None


def test_a_question_behind_others_may_lean_on_them() -> None:
    history = (Message("user", "Who built the lighthouse?"), Message("assistant", "Anna Kerr"))
    assert check_demonstrative(asked("When did she build it?", history=history)) is None
    assert check_demonstrative(asked("Summarise this text.", kind="instruction")) is None


@pytest.mark.parametrize(
    ("question", "answer", "kind"),
    [
        ("", "1874", "span"),
        ("When?", "1874", "span"),
        ("何时？", "1874", "span"),
        ("When was it " + "really " * 60 + "built?", "1874", "span"),
        ("When was the lighthouse built?", "  ", "span"),
        ("When was the lighthouse built?", ".", "span"),
        ("What does it say?", "word " * 101, "span"),
        ("灯塔有什么用途呢？", "用" * 201, "span"),
        ("write " * 151, "done", "instruction"),
        ("Write a poem.", "la " * 1001, "instruction"),
    ],
)
def test_what_is_empty_or_endless_goes(question: str, answer: str, kind: str) -> None:
    fault = check_length(asked(question, answer, kind=kind))
    assert fault is not None and fault.reason == "length"


@pytest.mark.parametrize(
    ("question", "answer", "kind"),
    [
        ("Who built it?", "Anna", "span"),
        ("DECnet是什么", "协议", "span"),
        ("2010年人口是多少?", "5%", "span"),
        ("Why is there no answer?", None, "span"),
        ("Translate.", "Oui", "instruction"),
    ],
)
def test_short_is_not_too_short(question: str, answer: str | None, kind: str) -> None:
    assert check_length(asked(question, answer, kind=kind)) is None


def test_a_long_input_goes() -> None:
    fault = check_length(asked("Summarise.", "Done.", kind="instruction", input="word " * 2001))
    assert fault is not None and "input" in fault.detail


@pytest.mark.parametrize(
    "question",
    [
        "The lighthouse was built in 1874.",
        "Purpose of Telnet",
        "灯塔建于1874年。",
        "Who?\nWho else?",
        "Who [1] is?",
    ],
)
def test_statements_are_no_questions(question: str) -> None:
    fault = check_form(asked(question))
    assert fault is not None and fault.reason == "not_a_question"


@pytest.mark.parametrize(
    "question",
    [
        "Who did internet2 partner with",
        "Name a famous lighthouse.",
        "The lighthouse was built in which year?",
        "Internet2是什么",
        "说出一座灯塔的名字。",
        "灯塔建于哪一年",
    ],
)
def test_questions_need_no_question_mark(question: str) -> None:
    assert check_form(asked(question)) is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When did the 1973 oil crisis begin?", "1973"),
        ("Who was Anna Kerr, the engineer?", "the engineer"),
        ("旧富国银行后来改名为什么？", "富国银行"),
        ("安娜·克尔是谁？", "安娜克尔"),
    ],
)
def test_answers_given_away_go(question: str, answer: str) -> None:
    fault = check_giveaway(asked(question, answer))
    assert fault is not None and fault.reason == "answer_in_question"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is Brannock or Tolsay the older harbour?", "Tolsay"),
        ("丙烯颜料是有毒还是无毒？", "无毒"),
        ("When was the lighthouse of 18741 built?", "1874"),
        ("Who engineered the lighthouse?", "engineer"),
        ("What is missing?", None),
        ("一共有几座灯塔？", "一"),
    ],
)
def test_choices_and_parts_of_words_give_nothing_away(question: str, answer: str | None) -> None:
    assert check_giveaway(asked(question, answer)) is None
