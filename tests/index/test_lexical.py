"""Words of many scripts, and BM25 over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.lexical import LexicalIndex
from index.words import index_words, query_words, unseen_scripts


def indexed(*texts: str) -> LexicalIndex:
    index = LexicalIndex(None, create=True)
    index.change(enumerate(texts, 1))
    return index


def found(index: LexicalIndex, query: str, k: int = 10) -> list[int]:
    return [int(rowid) for rowid in index.search(query, k).rowids]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Quick fox", "the quick fox"),
        ("getFooBar", "getfoobar get foo bar"),
        ("HTTPServer2", "httpserver2 http server2"),
        ("snake_case_name __init__", "snake_case_name snake case name init"),
        ("3.14 and 12,600", "3.14 and 12600"),
        ("1.15.1", "1.15.1"),
        ("高铁站", "高 铁 站 高铁 铁站"),
        ("IFITM5蛋白", "ifitm5 蛋 白 蛋白"),
        ("ﾃｽﾄ", "テ ス ト テス スト"),
        ("ＡＢＣ１２", "abc12"),
        ("हिन्दी भाषा है।", "हिन्दी भाषा है"),
        ("don't", "don t"),
        ("", ""),
        ("--- !!! ...", ""),
    ],
)
def test_words_of_a_text(text: str, words: str) -> None:
    assert index_words(text) == words


def test_question_words_are_left_out_of_queries() -> None:
    assert query_words("what is the boiling point of water") == ["boiling", "point", "water"]
    assert query_words("高铁站可以充电吗") == ["高", "铁", "站", "高铁", "铁站", "充", "电", "充电"]


def test_a_query_of_nothing_else_keeps_its_words() -> None:
    assert query_words("the who") == ["the", "who"]
    assert query_words("什么") == ["什", "么", "什么"]


def test_english_endings_accents_and_case_do_not_matter() -> None:
    index = indexed("The cafés were renovated.", "Nothing of the kind.")
    assert found(index, "CAFE renovation") == [1]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("特斯拉于1943年去世", "特斯拉哪一年去世"),
        ("東京は日本の首都です", "日本の首都"),
        ("서울은 대한민국의 수도이다", "대한민국 수도"),
        ("กรุงเทพมหานครเป็นเมืองหลวง", "เมืองหลวง"),
        ("Москва столица России", "столица"),
        ("القاهرة عاصمة مصر", "عاصمة مصر"),
        ("كِتَابٌ جديد", "كتاب"),
    ],
)
def test_every_script_is_found(text: str, query: str) -> None:
    assert found(indexed("unrelated words only", text), query) == [2]


def test_identifiers_are_found_whole_and_by_part() -> None:
    index = indexed("call library.cache_segments(name)", "parseHTTPHeader(line)")
    assert found(index, "cache_segments") == [1]
    assert found(index, "segments") == [1]
    assert found(index, "http header") == [2]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_no_text_is_query_syntax(text: str) -> None:
    hits = indexed("some passage", "another one").search(text, 5)
    assert len(hits.rowids) <= 2


@pytest.mark.parametrize(
    "query", ['"', "a AND (b", "body:x^", "rowid:[0 TO 9]", '+-!(){}[]^"~*?:\\/', "\x00", "\ud800"]
)
def test_hostile_queries_are_only_words(query: str) -> None:
    indexed("a passage with b and x").search(query, 5)


def test_a_pasted_page_is_searched_by_its_rarest_words() -> None:
    index = indexed("needle in this passage", "plain words of every page")
    page = " ".join(f"word{number}" for number in range(3000)) + " needle"
    assert found(index, page) == [1]


def test_scores_never_exceed_the_ceiling() -> None:
    index = indexed(*(["alpha"] * 3), "alpha beta " * 50, "beta")
    hits = index.search("alpha beta beta gamma", 10)
    assert hits.ceiling > hits.scores.max() > 0


def test_equal_scores_are_ordered_by_rowid_wherever_the_cut_falls() -> None:
    index = indexed(*(["same words here"] * 50))
    for k in (1, 7, 49, 50):
        assert found(index, "same words", k) == list(range(1, k + 1))


def test_a_filter_loses_no_result() -> None:
    index = indexed(*[f"common word number{n}" for n in range(400)])
    allowed = np.array([3, 250, 399, 5000], np.int64)
    assert [int(r) for r in index.search("common", 10, allowed).rowids] == [3, 250, 399]


def test_changes_are_kept_on_disk(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path, create=True)
    index.change([(1, "first passage"), (2, "second passage")])
    index.change([(3, "third passage")], removed=[2])
    again = LexicalIndex(tmp_path, create=False)
    assert len(again) == 2
    assert found(again, "passage") == [1, 3]


def test_an_unknown_word_finds_nothing() -> None:
    assert found(indexed("something"), "zzz") == []
    assert found(indexed(), "anything") == []


def test_scripts_that_run_words_together_unknown_to_us_are_told() -> None:
    sundanese = "ᮘᮞᮞᮥᮔ᮪ᮓ" * 8
    assert unseen_scripts(f"latin and 中文 {sundanese}") == {"SUNDANESE": 40}
    assert (
        unseen_scripts("高铁站可以充电吗" * 20 + " Donaudampfschifffahrtselektrizitätenhauptbetriebswerk")
        == {}
    )
