"""Excel workbooks and PowerPoint presentations."""

from __future__ import annotations

import io
import zipfile

import pytest

from corpora.readers import pptx, xlsx
from corpora.records import Extracted

SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"


def packed(members: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def links(**targets: str) -> str:
    """Relations by their ids, each "type target"."""
    rows = ""
    for name, link in targets.items():
        kind, _, target = link.partition(" ")
        rows += f'<Relationship Id="{name}" Type="{OFFICE}/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{PACKAGE}">{rows}</Relationships>'


def workbook(rows: str, *, strings: str = "", formats: str = "", state: str = "visible") -> Extracted:
    """One filled sheet "Data" and an empty one before it."""
    return xlsx.read(
        packed(
            {
                "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets>'
                '<sheet name="None" sheetId="2" r:id="r2"/>'
                f'<sheet name="Data" sheetId="1" state="{state}" r:id="r1"/></sheets></workbook>',
                "xl/_rels/workbook.xml.rels": links(
                    r1="worksheet worksheets/one.xml",
                    r2="worksheet worksheets/two.xml",
                    s="sharedStrings sharedStrings.xml",
                    f="styles styles.xml",
                ),
                "xl/worksheets/one.xml": f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData>'
                "</worksheet>",
                "xl/worksheets/two.xml": f'<worksheet xmlns="{SHEET}"><sheetData/></worksheet>',
                "xl/sharedStrings.xml": f'<sst xmlns="{SHEET}">{strings}</sst>',
                "xl/styles.xml": f'<styleSheet xmlns="{SHEET}">{formats}</styleSheet>',
            }
        ),
        "file.xlsx",
    )


def test_a_row_is_a_line_and_a_run_of_rows_a_block() -> None:
    read = workbook(
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        '<row r="2"><c r="A2"><v>1</v></c><c r="C2" t="inlineStr"><is><t>in</t></is></c></row>'
        '<row r="5"><c r="B5" t="b"><v>1</v></c><c r="C5" t="str"><f>A2</f><v>cached</v></c></row>',
        strings="<si><r><t>Na</t></r><r><t>me</t></r></si><si><t>東京</t><rPh><t>トウキョウ</t></rPh></si>",
    )
    assert read.text == "Data\n\nName | 東京\n1 |  | in\n\nTRUE | cached"
    assert [mark.heading for mark in read.marks] == ["Data"]
    blocks = [read.text[span.start : span.end] for span in read.blocks]
    assert blocks == ["Name | 東京\n1 |  | in", "TRUE | cached"]


@pytest.mark.parametrize(
    ("code", "stored", "shown"),
    [
        ("yyyy\\-mm\\-dd", "45352", "2024-03-01"),
        ("[$-409]d/m/yy h:mm AM/PM;@", "45352.5", "2024-03-01 12:00"),
        ("h:mm:ss", "0.75", "18:00"),
        ("[h]:mm", "1.5", "36:00:00"),
        ("0.0%", "0.125", "12.5%"),
        ("#,##0.00", "1234.5", "1234.5"),
        ("General", "0.30000000000000004", "0.3"),
        ('"days" 0', "3", "3"),
        ("General", "12345678901234567890", "12345678901234567890"),
    ],
)
def test_numbers_come_as_they_are_shown(code: str, stored: str, shown: str) -> None:
    formats = (
        f'<numFmts><numFmt numFmtId="164" formatCode="{code.replace(chr(34), "&quot;")}"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs>'
    )
    read = workbook(f'<row r="1"><c r="A1" s="1"><v>{stored}</v></c></row>', formats=formats)
    assert read.text == f"Data\n\n{shown}"


def test_hidden_sheets_are_read_and_named() -> None:
    read = workbook('<row r="1"><c r="A1"><v>1</v></c></row>', state="veryHidden")
    assert read.notes == ("hidden, but read: sheet Data",)


def test_far_apart_cells_do_not_blow_up_a_row() -> None:
    read = workbook('<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>')
    assert len(read.text) < 100


def shape(text: str, place: str = "") -> str:
    placeholder = f'<p:nvPr><p:ph type="{place}"/></p:nvPr>' if place else "<p:nvPr/>"
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr>{placeholder}</p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def slide(shapes: str, kind: str = "sld", more: str = "") -> str:
    spaces = f'xmlns:p="{SLIDE}" xmlns:a="{DRAWING}" xmlns:r="{OFFICE}"'
    return f"<p:{kind} {spaces} {more}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{kind}>"


def test_slides_are_pages_in_the_order_of_the_show() -> None:
    cell = "<a:tc><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:tc>"
    rows = "".join(f"<a:tr>{cell.format(a)}{cell.format(b)}</a:tr>" for a, b in (("k", "v"), ("1", "2")))
    first = shape("7", "sldNum") + shape("body\nlines") + shape("Title", "title")
    frame = f"<p:grpSp><p:graphicFrame><a:tbl>{rows}</a:tbl></p:graphicFrame></p:grpSp>"
    read = pptx.read(
        packed(
            {
                "ppt/presentation.xml": f'<p:presentation xmlns:p="{SLIDE}" xmlns:r="{OFFICE}"><p:sldIdLst>'
                '<p:sldId id="256" r:id="b"/><p:sldId id="257" r:id="a"/></p:sldIdLst></p:presentation>',
                "ppt/_rels/presentation.xml.rels": links(
                    a="slide slides/slide1.xml", b="slide slides/slide2.xml"
                ),
                "ppt/slides/slide1.xml": slide(frame, more='show="0"'),
                "ppt/slides/slide2.xml": slide(first),
                "ppt/slides/_rels/slide2.xml.rels": links(n="notesSlide ../notes/note1.xml"),
                "ppt/notes/note1.xml": slide(shape("say this", "body") + shape("9", "sldNum"), "notes"),
            }
        ),
        "file.pptx",
    )
    assert read.text == "Title\n\nbody\nlines\n\nNotes: say this\n\nk | v\n1 | 2"
    assert [(mark.start, mark.page, mark.heading) for mark in read.marks] == [(0, 1, "Title"), (36, 2, None)]
    assert [read.text[span.start : span.end] for span in read.blocks] == ["k | v\n1 | 2"]
    assert read.notes == ("hidden in the show, but read: slide 2",)
