"""PowerPoint presentations (OOXML): slides in their order, each a page, its title the heading."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from corpora.readers import ReadProblem
from corpora.readers.builder import TextBuilder
from corpora.readers.containers import Container, attribute, damage_reported, local
from corpora.readers.ooxml import (
    Relation,
    chart_text,
    chosen,
    drawing_paragraphs,
    drawing_text,
    main_part,
    one_line,
    relation_id,
    relations,
    rows_text,
)
from corpora.records import Extracted, Mark

_TITLES = {"title", "ctrTitle"}
_FURNITURE = {"sldNum", "dt", "ftr", "hdr", "sldImg"}


@damage_reported("PowerPoint presentation")
def read(data: bytes, name: str) -> Extracted:
    """The text of a .pptx: shapes, tables, charts and diagrams of each slide, then its notes.

    Raises ReadProblem: `damaged`, `encrypted`, `bomb`, `empty`.
    """
    container = Container(data)
    main = main_part(container, "ppt/presentation.xml", "PowerPoint presentation")
    links = relations(container, main)
    builder, hidden = TextBuilder(), []
    for number, slide_id in enumerate(container.xml(main).iterfind("{*}sldIdLst/{*}sldId"), start=1):
        link = links.get(relation_id(slide_id))
        if link is not None and link.part in container:
            root = container.xml(link.part)
            if attribute(root, "show", "1").lower() in {"0", "false"}:
                hidden.append(number)
            _Slide(container, link.part, builder).write(root, number)
    if not builder.length:
        raise ReadProblem("empty", "no text on any slide")
    return builder.build("pptx", (_hidden_note(hidden),) if hidden else ())


def _hidden_note(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:20])) + (", ..." if len(numbers) > 20 else "")
    return f"hidden in the show, but read: slide {listed}"


class _Slide:
    """Writes one slide into the builder."""

    def __init__(self, container: Container, part: str, builder: TextBuilder) -> None:
        self._container, self._builder = container, builder
        self._links = relations(container, part)

    def write(self, root: etree._Element, number: int) -> None:
        """All text of the slide `number`; a slide without any leaves no mark."""
        shapes = list(_shapes(root))
        title = next((shape for shape in shapes if _placeholder(shape) in _TITLES), None)
        heading = "" if title is None else one_line(" ".join(drawing_paragraphs(title)))
        texts = [(heading, False)] if heading else []
        for shape in shapes:
            if shape is not title and _placeholder(shape) not in _FURNITURE:
                texts += [piece for piece in self._shape(shape) if piece[0].strip()]
        texts += [(f"Notes: {text}", False) for text in self._notes()]
        for at, (text, whole) in enumerate(texts):
            if whole:
                self._builder.block(text)
            else:
                self._builder.paragraph(text)
            if at == 0:
                start = self._builder.length - len(text.strip("\n"))
                self._builder.marks.append(Mark(start, number, heading or None))

    def _shape(self, shape: etree._Element) -> Iterator[tuple[str, bool]]:
        """Pieces of text, each with whether it should stay whole (tables and charts)."""
        if local(shape) == "graphicFrame":
            for table in shape.iter("{*}tbl"):
                yield rows_text([_row(row) for row in table.iterfind("{*}tr")]), True
            for name in ("{*}chart", "{*}relIds"):
                for element in shape.iter(name):
                    yield self._linked(element), name == "{*}chart"
        else:
            body = shape.find("{*}txBody")
            if body is not None:
                yield "\n".join(_body_lines(body)), False

    def _linked(self, element: etree._Element) -> str:
        link: Relation | None = self._links.get(relation_id(element) or attribute(element, "dm"))
        if link is None or link.part not in self._container:
            return ""
        root = self._container.xml(link.part)
        return chart_text(root) if link.kind == "chart" else "\n".join(drawing_paragraphs(root))

    def _notes(self) -> Iterator[str]:
        for link in self._links.values():
            if link.kind == "notesSlide" and link.part in self._container:
                for shape in _shapes(self._container.xml(link.part)):
                    if _placeholder(shape) not in _FURNITURE:
                        text = "\n".join(drawing_paragraphs(shape))
                        if text:
                            yield text


def _shapes(root: etree._Element) -> Iterator[etree._Element]:
    """Shapes, connectors and frames in drawing order, those of groups included."""
    for element in root.iter("{*}spTree"):
        yield from _members(element)


def _members(group: etree._Element) -> Iterator[etree._Element]:
    for element in group:
        name = local(element)
        if name == "grpSp":
            yield from _members(element)
        elif name == "AlternateContent":
            for branch in chosen(element):
                yield from _members(branch)
        elif name in {"sp", "cxnSp", "graphicFrame"} and not _hidden(element):
            yield element


def _hidden(shape: etree._Element) -> bool:
    properties = next(iter(shape.iter("{*}cNvPr")), None)
    return properties is not None and attribute(properties, "hidden") in {"1", "true"}


def _placeholder(shape: etree._Element) -> str:
    place = next(iter(shape.iterfind("{*}nvSpPr/{*}nvPr/{*}ph")), None)
    return "" if place is None else attribute(place, "type", "body")


def _body_lines(body: etree._Element) -> Iterator[str]:
    """A line per paragraph; paragraphs below the first level as list items."""
    for paragraph in body.iterfind("{*}p"):
        text = drawing_text(paragraph).strip()
        if text:
            properties = paragraph.find("{*}pPr")
            level = 0 if properties is None else min(8, int(attribute(properties, "lvl", "0") or 0))
            yield "  " * (level - 1) + "- " * (level > 0) + text


def _row(row: etree._Element) -> list[str]:
    cells = [cell for cell in row.iterfind("{*}tc") if attribute(cell, "hMerge") not in {"1", "true"}]
    return [one_line(" ".join(drawing_paragraphs(cell))) for cell in cells]
