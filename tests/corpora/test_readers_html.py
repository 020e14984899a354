"""HTML: what is seen, where it stands, and nothing that is hidden."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.readers.html import extract, read


def text(markup: str) -> str:
    return extract(markup).text


def test_paragraphs_lists_and_inline_text() -> None:
    lists = "<ul><li>a<ul><li>b</ul><li><p>c</p></ul><ol start=3><li>x<li>y</ol>"
    assert (
        text(f"<p>One <b>bold</b>\n  word.</p>{lists}end<br>line")
        == "One bold word.\n\n- a\n  - b\n- c\n\n3. x\n4. y\n\nend\nline"
    )


def test_headings_below_the_title() -> None:
    page = extract("<title>Guide – Site</title><h1>Guide</h1>a<h2>Install¶</h2>b<h2></h2><h3>Linux</h3>c")
    assert page.text == "Guide\n\na\n\nInstall\n\nb\n\nLinux\n\nc"
    assert [(page.text[mark.start :].split("\n")[0], mark.heading) for mark in page.marks] == [
        ("Guide", "Guide"),
        ("Install", "Guide > Install"),
        ("Linux", "Guide > Install > Linux"),
    ]


def test_title_alone_heads_the_page() -> None:
    assert extract("<title>On\n ideas</title><p>x").marks[0].heading == "On ideas"


def test_tables_are_blocks_of_rows() -> None:
    page = extract(
        "<p>before<table><caption>Cap</caption><tr><th>a<th>b"
        "<tr><td rowspan=2>1<td>2 <br> 3<tr><td>4</table>after"
    )
    assert page.text == "before\n\nCap\n\na | b\n1 | 2 3\n1 | 4\n\nafter"
    assert [page.text[span.start : span.end] for span in page.blocks] == ["a | b\n1 | 2 3\n1 | 4"]


def test_layout_tables_are_no_tables() -> None:
    page = extract("<table><tr><td>menu<td><h1>Head</h1>body<table><tr><td>x<td>y</table></table>")
    assert page.text == "menu\n\nHead\n\nbody\n\nx | y"
    assert [mark.heading for mark in page.marks] == ["Head"]
    assert [page.text[span.start : span.end] for span in page.blocks] == ["x | y"]


def test_pre_keeps_its_lines() -> None:
    page = extract("<p>run<pre>\n  a\n\n    b  \n</pre>done")
    assert page.text == "run\n\na\n\n  b\n\ndone"
    assert [page.text[span.start : span.end] for span in page.blocks] == ["a\n\n  b"]


@pytest.mark.parametrize(
    "hiding",
    [
        "<p hidden>SECRET</p>",
        "<p style='display:none'>SECRET</p>",
        "<p style='DISPLAY : none !important'>SECRET</p>",
        "<p style='visibility:hidden'>SECRET</p>",
        "<p style='font-size:0px'>SECRET</p>",
        "<p style='opacity:0'>SECRET</p>",
        "<p style='position:absolute;left:-9999px'>SECRET</p>",
        "<p style='text-indent:-999em'>SECRET</p>",
        "<p style='height:0;overflow:hidden'>SECRET</p>",
        "<p style='color:#fff'>SECRET</p>",
        "<p style='color: rgb(255, 255, 255)'>SECRET</p>",
        "<font color=white>SECRET</font>",
        "<div style='background:#123456'><i style='color:#123456'>SECRET</i></div>",
        "<div style='display:none'><div><p>SECRET</p></div></div>",
        "<template><p>SECRET</p></template>",
        "<noscript>SECRET</noscript>",
    ],
)
def test_hidden_text_is_left_out_and_counted(hiding: str) -> None:
    page = extract(f"<p>seen</p>{hiding}<p>too")
    assert page.text == "seen\n\ntoo"
    assert page.hidden_removed == len("SECRET")


@pytest.mark.parametrize(
    "showing",
    [
        "<div style='background:#000'><p style='color:white'>SEEN</p></div>",
        "<p class=badge style='color:#fff'>SEEN</p>",
        "<p style='opacity:0.5;font-size:10px;left:-2px'>SEEN</p>",
        "<button>SEEN</button>",
        "<details><summary>SEEN</summary></details>",
    ],
)
def test_text_that_shows_stays(showing: str) -> None:
    assert extract(showing).text == "SEEN"


def test_scripts_styles_and_comments_are_no_text() -> None:
    svg = "<svg><title>t</title><text>s</text></svg>"
    page = extract(f"<style>p{{}}</style><script>if (a<b) {{}}</script><!-- c --><p>x{svg}")
    assert (page.text, page.hidden_removed) == ("x", 0)


def test_xhtml_with_its_own_declaration() -> None:
    declaration = '<?xml version="1.0" encoding="iso-8859-1"?>'
    markup = declaration + '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>é</p></body></html>'
    assert read(markup.encode("iso-8859-1"), "a.xhtml").text == "é"


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 100_000 + "x",
        "<table><tr><td>" * 20_000 + "x",
        "<!--" * 20_000,
        "<![" * 5_000 + "x",
        "<ul><li>" * 20_000 + "x",
        "<b><i>" * 50_000 + "x",
        "<h1>" * 50_000 + "x",
        "<p style='" + "a:b;" * 100_000 + "'>x",
        "<a " + "x=y " * 100_000 + ">x",
        "&lt;" * 200_000,
    ],
)
def test_hostile_markup_is_quick(markup: str) -> None:
    begun = time.process_time()
    extract(markup)
    assert time.process_time() - begun < 4


TAGS = (
    "<p> </p> <table> </table> <tr> <td> </td> <h1> </h1> <pre> </pre> <ul> <li> </ul> <br> <title> </title> "
    "<div/hidden> </div> <svg> </svg> <td/rowspan=3> a b"
)


@given(st.lists(st.sampled_from([*TAGS.split(), " ", "\n"])))
def test_any_order_of_tags_gives_sorted_marks_and_blocks_in_bounds(tags: list[str]) -> None:
    page = extract("".join(tags))
    starts = [mark.start for mark in page.marks]
    assert starts == sorted(set(starts))
    end = 0
    for span in page.blocks:
        assert end <= span.start < span.end <= len(page.text)
        end = span.end
