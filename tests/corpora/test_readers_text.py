"""Text formats: verbatim, with headings and blocks where they lie."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.readers import ReadProblem, mail, notebook, plain
from corpora.readers.outline import asciidoc_outline, markdown_outline, org_outline, rst_outline
from corpora.records import Extracted

MARKDOWN = """---
title: Front
---
# Guide
intro `x`

Install
-------
```sh
# not a heading
pip install x
```
| a | b |
|---|---|
| 1 | 2 |

## Use [it](http://x) #
- item
---
### Deep
# Other
"""

RST = """=====
Title
=====

Part
----
Text::

    literal code

.. code-block:: python

   x = 1

Sub
~~~
+---+---+
| a | b |
+---+---+

=== ===
 x   y
=== ===
 1   2
=== ===

部分
----
end
"""


def headings(extracted: Extracted) -> list[tuple[str, str | None]]:
    """(the line that a mark points at, its path)."""
    return [(extracted.text[mark.start :].split("\n")[0], mark.heading) for mark in extracted.marks]


def blocks(extracted: Extracted) -> list[str]:
    return [extracted.text[span.start : span.end] for span in extracted.blocks]


def test_markdown_headings_and_blocks() -> None:
    extracted = plain.read_md(MARKDOWN.encode(), "a.md")
    assert extracted.text == MARKDOWN
    assert headings(extracted) == [
        ("# Guide", "Guide"),
        ("Install", "Guide > Install"),
        ("## Use [it](http://x) #", "Guide > Use it"),
        ("### Deep", "Guide > Use it > Deep"),
        ("# Other", "Other"),
    ]
    assert blocks(extracted) == [
        "---\ntitle: Front\n---",
        "```sh\n# not a heading\npip install x\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
    ]


def test_markdown_fence_that_never_closes_ends_with_the_file() -> None:
    extracted = plain.read_md(b"# A\n```\n# b\nlast", "a.md")
    assert blocks(extracted) == ["```\n# b\nlast"]
    assert len(extracted.marks) == 1


def test_rst_headings_by_order_of_adornment() -> None:
    extracted = plain.read_rst(RST.encode(), "a.rst")
    assert extracted.text == RST
    assert headings(extracted) == [
        ("=====", "Title"),
        ("Part", "Title > Part"),
        ("Sub", "Title > Part > Sub"),
        ("部分", "Title > 部分"),
    ]
    assert blocks(extracted) == [
        "    literal code",
        ".. code-block:: python\n\n   x = 1",
        "+---+---+\n| a | b |\n+---+---+",
        "=== ===\n x   y\n=== ===\n 1   2\n=== ===",
    ]


def test_asciidoc_and_org_headings_in_text_files() -> None:
    asciidoc = plain.read_txt("= 书\n\n== 章\n----\n== code\n----\n".encode(), "a.asc")
    assert headings(asciidoc) == [("= 书", "书"), ("== 章", "书 > 章")]
    assert blocks(asciidoc) == ["----\n== code\n----"]
    org = plain.read_txt(b"* One :tag:\n#+begin_src\n* no\n#+end_src\n** Two\n", "a.org")
    assert headings(org) == [("* One :tag:", "One"), ("** Two", "One > Two")]
    assert plain.read_txt(b"= no heading\n", "a.txt").marks == ()


@given(st.text(st.sampled_from("#=-~`|:.+*> \tab\n0中")))
def test_outlines_keep_order_and_bounds_on_any_text(text: str) -> None:
    for outline in (markdown_outline(text), rst_outline(text), asciidoc_outline(text), org_outline(text)):
        starts = [mark.start for mark in outline.marks]
        assert starts == sorted(starts)
        end = 0
        for span in outline.blocks:
            assert end <= span.start < span.end <= len(text)
            end = span.end


def test_csv_rows_lie_under_the_column_names() -> None:
    text = "name,age\nAnn,30\nBob,25\n"
    extracted = plain.read_csv(text.encode("utf-16"), "a.csv")
    assert extracted.text == text
    assert headings(extracted) == [("Ann,30", "name, age")]


@pytest.mark.parametrize("text", ["1,2\n3,4\n", "only\none\n", "a,,c\n1,2,3\n", "a,b\n"])
def test_csv_without_column_names(text: str) -> None:
    assert plain.read_csv(text.encode(), "a.csv").marks == ()


def test_json_is_verbatim_and_a_broken_one_noted() -> None:
    whole = plain.read_json(b'{"a": [1, 2]}', "a.json")
    assert (whole.text, whole.notes) == ('{"a": [1, 2]}', ())
    assert "not valid JSON" in plain.read_json(b'{"a": ', "a.json").notes[0]
    assert "nested" in plain.read_json(b"[" * 100_000 + b"]" * 100_000, "a.json").notes[0]


def test_jsonl_counts_lines_that_do_not_parse() -> None:
    extracted = plain.read_jsonl(b'{"a": 1}\n\nnope\n{"b"\n', "a.jsonl")
    assert extracted.notes == ("2 lines are not JSON, the first is line 3",)


def test_code_is_verbatim_with_definitions_at_the_margin() -> None:
    source = "import os\n\nclass Pool:\n    def inner(self): ...\n\nasync def main(): ...\n"
    extracted = plain.read_code(source.encode(), "a.py")
    assert extracted.text == source
    assert headings(extracted) == [("class Pool:", "class Pool"), ("async def main(): ...", "def main")]
    go = plain.read_code(b"func (s *Server) Run() {}\n", "a.go")
    assert go.marks[0].heading == "func Run"


MESSAGE = b"""From: =?utf-8?q?J=C3=B6rg?= <j@example.org>
To: a@example.org
Subject: =?utf-8?b?5rWL6K+V?=
Date: Mon, 1 Jan 2024 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="m"

--m
Content-Type: multipart/alternative; boundary="n"

--n
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

caf=E9 at noon
--n
Content-Type: text/html

<p>html twin</p>
--n--
--m
Content-Type: application/pdf; name="plan.pdf"
Content-Disposition: attachment; filename="plan.pdf"

JVBERi0=
--m--
"""


def test_mail_headers_plain_body_and_names_of_attachments() -> None:
    extracted = mail.read(MESSAGE, "a.eml")
    assert extracted.text == (
        "From: Jörg <j@example.org>\nTo: a@example.org\nDate: Mon, 01 Jan 2024 10:00:00 +0000\n"
        "Subject: 测试\n\n"
        "café at noon\n\nAttachment: plan.pdf (application/pdf)"
    )
    assert extracted.marks[0].heading == "测试"


def test_mail_with_html_alone() -> None:
    headers = b"From: a\nSubject: s\nContent-Type: text/html; charset=utf-8\n\n"
    extracted = mail.read(headers + b"<h1>Top</h1><p style='display:none'>no</p>yes", "a.eml")
    assert extracted.text == "From: a\nSubject: s\n\nTop\n\nyes"
    assert extracted.marks[-1].heading == "s > Top"
    assert extracted.hidden_removed == 2


def test_mail_nested_without_end() -> None:
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(300))
    data = b"From: a\n" + parts + b"Content-Type: text/plain\n\ndeep"
    with contextlib.suppress(ReadProblem, RecursionError):  # the worker turns either into a reason
        assert mail.read(data, "a.eml").text.startswith("From: a")


@pytest.mark.parametrize("data", [b"no headers here\n", b"  \n"])
def test_mail_that_is_none(data: bytes) -> None:
    with pytest.raises(ReadProblem):
        mail.read(data, "a.eml")


def test_notebook_cells_outputs_and_headings() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Top\n", "text"]},
        {"cell_type": "markdown", "source": "## Load\n"},
        {
            "cell_type": "code",
            "source": "print(1)\n\nx",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "execute_result", "data": {"text/plain": "'x'", "image/png": "AAAA"}},
                {"output_type": "error", "ename": "ValueError", "evalue": "bad"},
            ],
        },
    ]
    extracted = notebook.read(json.dumps({"cells": cells}).encode(), "a.ipynb")
    assert extracted.text == "# Top\ntext\n\n## Load\n\nprint(1)\n\nx\n\n1\n\n'x'\n\nValueError: bad"
    assert headings(extracted) == [("# Top", "Top"), ("## Load", "Top > Load")]
    assert blocks(extracted) == ["print(1)\n\nx"]


def test_notebook_of_format_3() -> None:
    cells = [{"cell_type": "heading", "level": 2, "source": "H"}, {"cell_type": "code", "input": "y"}]
    extracted = notebook.read(json.dumps({"worksheets": [{"cells": cells}]}).encode(), "a.ipynb")
    assert (extracted.text, extracted.marks[0].heading) == ("H\n\ny", "H")


@pytest.mark.parametrize("data", [b"[]", b"{", b'"x"'])
def test_notebook_that_is_none(data: bytes) -> None:
    with pytest.raises(ReadProblem) as problem:
        notebook.read(data, "a.ipynb")
    assert problem.value.code == "damaged"
