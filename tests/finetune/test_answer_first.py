"""Answer-first questions in English: each rule by what it makes of a sentence, and what it leaves alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.records import Passage
from finetune.answer_first.english import questions
from finetune.answer_first.sources import sources
from finetune.answer_first.spans import answer_spans
from finetune.answer_first.writer import AnswerFirst


def passage(text: str, heading: str | None = None, path: str = "notes.md") -> Passage:
    return Passage(1, "p1", "d1", path, "md", 0, 0, len(text), 1, 1, None, heading, text)


def made(text: str, heading: str | None = None) -> dict[str, str]:
    """Every question of a text with its answer."""
    given = passage(text, heading)
    return {one.question: text[one.start : one.end] for source in sources(given) for one in questions(source)}


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        (
            "Queen Elizabeth II opened the Holyrood building on 9 October 2004.",
            "When did Queen Elizabeth II open the Holyrood building?",
            "9 October 2004",
        ),
        (
            "Telenet was incorporated in 1973 and started operations in 1975.",
            "In what year was Telenet incorporated?",
            "1973",
        ),
        (
            "In 1271, Kublai Khan imposed the name Great Yuan.",
            "In what year did Kublai Khan impose the name Great Yuan?",
            "1271",
        ),
        (
            "Since 2008, undergraduate students have been required to complete eight courses in history.",
            "Since when have undergraduate students been required to complete eight courses in history?",
            "2008",
        ),
        ("The SNP took 16 seats from Labour.", "How many seats did the SNP take from Labour?", "16"),
        (
            "There are 131 seats in the debating chamber.",
            "How many seats are there in the debating chamber?",
            "131",
        ),
        (
            "14 leaders of the Sakya sect had held the post of Imperial Preceptor.",
            "How many leaders of the Sakya sect had held the post of Imperial Preceptor?",
            "14",
        ),
        (
            "In the last week of February 1974, 20% of American gasoline stations had no fuel.",
            "In the last week of February 1974, what percentage of American gasoline stations had no fuel?",
            "20%",
        ),
        (
            "OPEC raised the posted price of crude oil by 70% in October 1973.",
            "By what percentage did OPEC raise the posted price of crude oil in October 1973?",
            "70%",
        ),
        (
            "AUSTPAC was an Australian public X.25 network operated by Telstra.",
            "What was AUSTPAC?",
            "an Australian public X.25 network operated by Telstra",
        ),
        (
            "Guo Shoujing was one of the first mathematicians in China to work on spherical trigonometry.",
            "Who was one of the first mathematicians in China to work on spherical trigonometry?",
            "Guo Shoujing",
        ),
        (
            "Algorithms that use random bits are called randomized algorithms.",
            "What are algorithms that use random bits called?",
            "randomized algorithms",
        ),
        (
            "Dynamic equilibrium was first described by Galileo.",
            "Who first described dynamic equilibrium?",
            "Galileo",
        ),
        (
            "The American Automobile Association reported a shortage of gasoline in February 1974.",
            "Which association reported a shortage of gasoline in February 1974?",
            "The American Automobile Association",
        ),
        (
            "The UK, Germany and Norway banned flying on Sundays.",
            "Who banned flying on Sundays?",
            "The UK, Germany and Norway",
        ),
        (
            "Kublai secured the northern border in 1259 by installing Wonjong as the ruler of Korea.",
            "How did Kublai secure the northern border in 1259?",
            "by installing Wonjong as the ruler of Korea",
        ),
        (
            "Kublai's second invasion of Japan in 1281 failed because of an inauspicious typhoon.",
            "Why did Kublai's second invasion of Japan in 1281 fail?",
            "because of an inauspicious typhoon",
        ),
        (
            "Newton's First Law states that objects continue to move in a state of constant velocity.",
            "What does Newton's First Law state?",
            "that objects continue to move in a state of constant velocity",
        ),
        (
            "Disorders of the immune system can result in autoimmune diseases and cancer.",
            "What can disorders of the immune system result in?",
            "autoimmune diseases and cancer",
        ),
        (
            "Li Tan, the son-in-law of a powerful official, instigated a revolt against Mongol rule.",
            "Who instigated a revolt against Mongol rule?",
            "Li Tan",
        ),
        (
            "Physicians received official support from the Yuan government.",
            "What did physicians receive from the Yuan government?",
            "official support",
        ),
    ],
)
def test_a_rule_turns_a_statement_into_a_question(sentence: str, question: str, answer: str) -> None:
    assert made(sentence).get(question) == answer


@pytest.mark.parametrize(
    "sentence",
    [
        "It was founded in 1636 by the Massachusetts legislature.",
        "He described the importance of a healthy diet in a medical treatise.",
        "This insight united the nascent fields of electromagnetic theory with optics.",
        "These reactions are mediated by T cells, monocytes and macrophages.",
        "Such forces act perpendicular to the velocity vector of an object.",
        "Other complexity measures are used in communication complexity.",
        "The party won 65 seats in the following election.",
        "The former was replaced by the latter in 1990.",
        "A platted town was established there in 1822.",
        "The age distribution of the patients is shown in Fig 3.",
        "Was the Scottish Parliament founded by the Scotland Act in 1998?",
        "Acts of the Scottish Parliament do not begin with a conventional enacting formula.",
        "See the section on the history of the Yuan dynasty",
        "- Parliament buildings, Edinburgh, 1999 (photograph)",
    ],
)
def test_what_cannot_be_understood_alone_is_not_asked(sentence: str) -> None:
    assert made(sentence) == {}


def test_a_pronoun_takes_the_subject_of_the_sentence_before_and_its_quote_too() -> None:
    text = (
        "Guo Shoujing applied mathematics to the construction of calendars. He was buried in Beijing in 1316."
    )
    [found] = [one for one in AnswerFirst().write([passage(text)])[0] if one.answer == "1316"]
    assert found.question.startswith("In what year was Guo Shoujing buried")
    assert found.claimed[0].text == text


def test_the_topic_of_the_document_names_its_noun_in_full() -> None:
    sentence = (
        "In May 2000, the Parliament was relocated to the former Strathclyde debating chamber in Glasgow."
    )
    wanted = (
        "When was the Scottish Parliament relocated to the former Strathclyde debating chamber in Glasgow?"
    )
    assert made(sentence, heading="Scottish Parliament > History").get(wanted) == "May 2000"
    assert not any("the Parliament" in question for question in made(sentence))


def test_an_incomplete_list_is_no_answer() -> None:
    found = made(
        "Common autoimmune diseases include rheumatoid arthritis, diabetes mellitus type 1, and lupus."
    )
    assert "rheumatoid arthritis" not in found.values()


def test_reference_marks_neither_join_sentences_nor_enter_the_quote() -> None:
    text = (
        "The National Energy Act was passed in 1978.[citation needed] Bill Clinton signed the repeal in 1995."
    )
    quotes = {one.claimed[0].text for one in AnswerFirst().write([passage(text)])[0]}
    assert quotes <= {
        "The National Energy Act was passed in 1978.",
        "Bill Clinton signed the repeal in 1995.",
    }
    assert quotes


def test_spans_are_dates_numbers_names_and_phrases() -> None:
    text = "In October 1973, OPEC raised the price to nearly $12 and cut production by five percent."
    [source] = sources(passage(text))
    found = {(span.kind, text[span.start : span.end]) for span in answer_spans(source)}
    assert ("date", "October 1973") in found
    assert ("name", "OPEC") in found
    assert any(kind == "number" and "$12" in words for kind, words in found)


def test_candidates_prefer_other_sentences_and_other_answers() -> None:
    text = (
        "Telenet was incorporated in 1973. Tymnet was an international data network that used X.25. "
        "AUSTPAC was an Australian public network operated by Telstra."
    )
    found = AnswerFirst().write([passage(text)])[0]
    assert len({one.claimed[0].start for one in found[:3]}) == 3
    assert len({(one.answer or "").casefold() for one in found}) == len(found)
    assert [one.order for one in found] == sorted((one.order for one in found), reverse=True)


WORDS = st.sampled_from(
    "The the Harvard Kublai Khan was were is founded in 1636 of and , . \" ( ) 's Parliament which that 20 % "
    "by 1973 , October students had has to a an algorithms called it He [1] \n - $ 5 not ’ ` 张 é".split(" ")
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=60).map(" ".join), st.text(max_size=300)))
def test_quotes_and_answers_stand_where_they_are_said_to(text: str) -> None:
    given = passage(text)
    found = AnswerFirst().write([given])[0]
    for one in found:
        [claimed] = one.claimed
        assert claimed.start is not None
        assert text[claimed.start : claimed.start + len(claimed.text)] == claimed.text
        assert one.answer and one.answer in claimed.text
        assert one.answer == one.answer.strip()
        assert one.question.endswith(("?", "？"))
        assert "\n" not in one.question
    assert AnswerFirst().write([given, given]) == [found, found]


@pytest.mark.parametrize(
    "text",
    [
        "Kublai " + "and Khan " * 20_000 + "ruled China in 1271.",
        "The " + "very " * 30_000 + "old university was founded in 1636.",
        "In 1271, " * 20_000 + "Kublai ruled China.",
        "(" * 50_000 + "Kublai ruled China in 1271." + ")" * 50_000,
        "a\x00b\x1b[31m" * 5_000 + " was founded in 1636.",
        '"' * 60_000,
        "1 " * 60_000,
        "张" * 60_000,
        "2007年" * 20_000 + "。",
    ],
)
def test_hostile_text_costs_little_time(text: str) -> None:
    began = time.process_time()
    AnswerFirst().write([passage(text)])
    assert time.process_time() - began < 5.0
