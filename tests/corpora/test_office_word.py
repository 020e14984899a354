"""Word and OpenDocument texts: what of them becomes text, where the headings and tables lie."""

from __future__ import annotations

import io
import zipfile

import pytest

from corpora.readers import ReadProblem, docx, odt
from corpora.records import Extracted

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
SPACES = (
    f'xmlns:w="{WORD}" xmlns:r="{OFFICE}"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)
STYLES = """
<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Mine"><w:name w:val="Mein Stil"/><w:basedOn w:val="berschrift2"/></w:style>
<w:style w:styleId="berschrift2"><w:name w:val="Abschnitt"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:styleId="Code"><w:name w:val="Source Code"/></w:style>
<w:style w:styleId="Loop"><w:name w:val="Loop"/><w:basedOn w:val="Loop"/></w:style>
<w:style w:styleId="Gone"><w:name w:val="Gone"/><w:rPr><w:vanish/></w:rPr></w:style>
"""
NUMBERING = """
<w:abstractNum w:abstractNumId="0">
<w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl>
</w:abstractNum><w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="6"><w:abstractNumId w:val="1"/></w:num>
"""


def packed(members: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def word(body: str, **parts: str) -> Extracted:
    """`body` read as a document with styles, numbering and further parts (name: content)."""
    parts = {"styles": STYLES, "numbering": NUMBERING, **parts}
    links, members = "", {}
    for name, content in parts.items():
        kind = name.rstrip("0123456789")
        links += f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{name}.xml"/>'
        members[f"word/{name}.xml"] = f"<w:{name} {SPACES}>{content}</w:{name}>"
    members["word/_rels/document.xml.rels"] = f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>'
    members["word/document.xml"] = f"<w:document {SPACES}><w:body>{body}</w:body></w:document>"
    return docx.read(packed(members), "file.docx")


def p(text: str, style: str = "", more: str = "") -> str:
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{more}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def item(text: str, number: int, level: int = 0) -> str:
    return p(text, more=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def run(text: str, looks: str = "") -> str:
    return f"<w:r><w:rPr>{looks}</w:rPr><w:t>{text}</w:t></w:r>"


def row(*cells: str) -> str:
    return "<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in cells) + "</w:tr>"


def test_headings_are_told_by_style_name_and_outline_level_in_any_language() -> None:
    read = word(p("Anfang", "berschrift1") + p("text") + p("Teil", "Mine") + p("more", "Loop"))
    assert read.text == "Anfang\n\ntext\n\nTeil\n\nmore"
    assert [(mark.start, mark.heading) for mark in read.marks] == [(0, "Anfang"), (14, "Anfang > Teil")]
    first, last = (f'<w:outlineLvl w:val="{level}"/>' for level in (0, 9))
    direct = word(p("Own", more=first) + p("none", "berschrift1", last))
    assert [mark.heading for mark in direct.marks] == ["Own"]


def test_lists_carry_their_numbers() -> None:
    body = item("one", 5) + item("sub", 5, 1) + item("sub", 5, 1) + item("two", 5) + item("dot", 6)
    assert word(body).text == "1. one\n1.a) sub\n1.b) sub\n2. two\n- dot"


def test_tables_are_rows_of_joined_cells_and_blocks() -> None:
    merged = "<w:tcPr><w:vMerge/></w:tcPr>" + p("again")
    table = "<w:tbl>" + row(p("a") + p("b"), p("c")) + row(merged, p("d")) + "</w:tbl>"
    read = word(p("before") + table + p("after"))
    assert read.text == "before\n\na b | c\n | d\n\nafter"
    assert [read.text[span.start : span.end] for span in read.blocks] == ["a b | c\n | d"]


def test_a_table_in_a_table_is_a_frame_around_text() -> None:
    inner = "<w:tbl>" + row(p("x"), p("y")) + "</w:tbl>"
    assert word("<w:tbl>" + row(p("Title", "berschrift1") + inner) + "</w:tbl>").text == "Title\n\nx | y"


def test_code_lines_stay_together() -> None:
    read = word(p("def f():", "Code") + p("    return 1", "Code") + p("text"))
    assert read.text == "def f():\n    return 1\n\ntext"
    assert len(read.blocks) == 1


def test_deletions_are_left_out_and_insertions_kept() -> None:
    body = (
        f"<w:p>{run('kept ')}<w:ins>{run('new')}</w:ins>"
        "<w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>"
        f"<w:p><w:moveFrom>{run('away')}</w:moveFrom><w:moveTo>{run('here')}</w:moveTo></w:p>"
    )
    read = word(body)
    assert read.text == "kept new\n\nhere"
    assert read.notes == ("tracked deletions left out",)


@pytest.mark.parametrize(
    ("looks", "seen"),
    [
        ("<w:vanish/>", False),
        ('<w:vanish w:val="0"/>', True),
        ('<w:rStyle w:val="Gone"/>', False),
        ('<w:color w:val="FFFFFF"/>', False),
        ('<w:color w:val="FFFFFF"/><w:shd w:fill="000000"/>', True),
        ('<w:sz w:val="2"/>', False),
    ],
)
def test_hidden_text_is_dropped_and_counted(looks: str, seen: bool) -> None:
    read = word(f"<w:p>{run('shown ')}{run('secret', looks)}</w:p>")
    assert read.text.strip() == ("shown secret" if seen else "shown")
    assert read.hidden_removed == (0 if seen else 6)


def test_text_boxes_come_once() -> None:
    box = f"<w:txbxContent>{p('boxed')}</w:txbxContent>"
    choice = f"<mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
    both = f"<mc:AlternateContent>{choice}</mc:AlternateContent>"
    assert word(f"<w:p>{run('anchor')}<w:r>{both}</w:r></w:p>").text == "anchor\n\nboxed"


def test_notes_follow_their_paragraph_and_headers_come_once_at_the_end() -> None:
    note = f'<w:footnote w:id="2">{p("small print")}</w:footnote><w:footnote w:type="separator" w:id="0"/>'
    body = f'<w:p>{run("claim")}<w:r><w:footnoteReference w:id="2"/></w:r></w:p>' + p("next", "berschrift1")
    read = word(body, footnotes=note, header1=p("ACME"), header2=p("ACME"), footer1=p("7"))
    assert read.text == "claim\n\nNote 1: small print\n\nnext\n\nACME"
    assert read.marks[-1].heading is None


def test_fields_symbols_and_formulas() -> None:
    body = (
        "<w:p><w:r><w:instrText>PAGE</w:instrText></w:r>"
        f"{run('a')}<w:r><w:tab/><w:noBreakHyphen/><w:sym w:font='Wingdings' w:char='F0E0'/><w:br/></w:r>"
        "<m:oMath><m:f><m:num><m:r><m:t>x+1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
        "</m:oMath></w:p>"
    )
    assert word(body).text == "a\t-→\n(x+1)/2"


def test_a_document_without_visible_text_is_empty() -> None:
    with pytest.raises(ReadProblem) as raised:
        word("<w:p/>")
    assert raised.value.code == "empty"


def opendocument(body: str, manifest: str = "") -> Extracted:
    names = ("office", "text", "table", "style", "drawing")
    spaces = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in names)
    styles = '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
    content = (
        f"<office:document-content {spaces}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    members = {"content.xml": content} | ({"META-INF/manifest.xml": manifest} if manifest else {})
    return odt.read(packed(members), "file.odt")


def test_opendocument_headings_lists_and_spaces() -> None:
    read = opendocument(
        '<text:h text:outline-level="1">Top</text:h><text:h text:outline-level="2">Sub</text:h>'
        "<text:p>two\n  words<text:s text:c='2'/>here<text:line-break/>line</text:p>"
        "<text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p>"
        "</text:list-item></text:list></text:list-item></text:list>"
    )
    assert read.text == "Top\n\nSub\n\ntwo words  here\nline\n\n- a\n  - b"
    assert read.marks[1].heading == "Top > Sub"


def test_opendocument_tables_notes_and_boxes() -> None:
    read = opendocument(
        "<text:p>claim<text:note><text:note-citation>1</text:note-citation><text:note-body>"
        "<text:p>proof</text:p></text:note-body></text:note></text:p>"
        "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>k</text:p>"
        "</table:table-cell><table:table-cell><text:p>v</text:p></table:table-cell></table:table-row>"
        "</table:table-header-rows><table:table-row><table:table-cell table:number-columns-repeated='2'>"
        "<text:p>1</text:p></table:table-cell></table:table-row></table:table>"
    )
    assert read.text == "claim\n\nNote 1: proof\n\nk | v\n1 | 1"
    assert read.text[read.blocks[0].start : read.blocks[0].end] == "k | v\n1 | 1"


def test_opendocument_deletions_comments_and_hidden_text_are_left_out() -> None:
    read = opendocument(
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>old</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        "<text:p>new<office:annotation><text:p>remark</text:p></office:annotation>"
        "<text:span text:style-name='H'>secret</text:span></text:p><text:p text:style-name='H'>gone</text:p>"
    )
    assert read.text == "new"
    assert read.hidden_removed == 10


def test_an_encrypted_opendocument_is_encrypted() -> None:
    with pytest.raises(ReadProblem) as raised:
        opendocument("", "<manifest><file-entry><encryption-data/></file-entry></manifest>")
    assert raised.value.code == "encrypted"
