"""What stands in one paragraph of a Word document: runs, signs, fields, formulas, notes and boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

from corpora.readers.containers import Container, attribute, lead, local, named
from corpora.readers.docx_styles import Place, Styles, place_of, switched_on
from corpora.readers.ooxml import Relation, chart_text, chosen, drawing_paragraphs, math_text

DELETED = frozenset({"del", "moveFrom"})
"""Tracked deletions, and the place that a move left."""

LEFT_OUT = frozenset(
    {"pPr", "rPr", "sdtPr", "sdtEndPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr"}
    | {"delText", "instrText", "delInstrText", "rt", "annotation"}
)
"""Elements that hold settings or text that is not shown."""

_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}
_PICTURES = frozenset({"drawing", "pict", "object"})


def _table(codes: bytes, signs: str) -> dict[int, str]:
    return dict(zip(codes, signs, strict=True))


# The characters of Symbol and Wingdings in everyday use, by their low byte.
_SYMBOL_FONTS = {
    "symbol": _table(b"\xb7\xae\xa3\xb3\xb1\xb4\xa5\xb9\xbbabgdmpsDSW\xd0\xb0", "•→≤≥±×∞≠≈αβγδμπσΔΣΩ∠°"),
    "wingdings": _table(b"\xa7\xfc\xfb\xe0\xdf\xa8\xfelnv\xd8JL", "▪✓✗→←☐☑●■❖➢☺☹"),
}


@dataclass(slots=True)
class Line:
    """One paragraph: its properties, its text, and what hangs on it and follows it."""

    place: Place
    pieces: list[str] = field(default_factory=list)
    boxes: list[etree._Element] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class InlineReader:
    """Reads the paragraphs of one document; counts hidden characters and notes in passing."""

    def __init__(
        self,
        container: Container,
        links: Mapping[str, Relation],
        styles: Styles,
        notes: dict[str, etree._Element],
    ) -> None:
        self.hidden = 0
        self.deleted = False
        self.in_table = 0
        self._container, self._links, self._styles = container, links, styles
        self._notes, self._note_count = notes, 0

    def line(self, paragraph: etree._Element) -> Line:
        """The text of a w:p with all that hangs on it."""
        line = Line(place_of(paragraph))
        self._inline(paragraph, line, self._styles[line.place.style].hidden, line.place.shaded)
        return line

    def aside(self, element: etree._Element) -> str:
        """The paragraphs below `element`, a line each: for notes, headers, and boxes within cells."""
        lines: list[str] = []
        for node in element.iter("{*}p"):
            if next(node.iterancestors("{*}p"), None) is None or local(element) == "txbxContent":
                line = self.line(node)
                lines += [line.text.strip(), *line.extras]
        return "\n".join(line for line in lines if line)

    def _inline(self, element: etree._Element, line: Line, hidden: bool, backed: bool) -> None:
        for child in element:
            name = local(child)
            if name == "r":
                self._run(child, line, hidden, backed)
            elif name in DELETED:
                self.deleted = True
            elif name == "AlternateContent":
                for branch in chosen(child):
                    self._inline(branch, line, hidden, backed or self._has_picture(branch))
            elif name == "oMath":
                before = child.getprevious()
                line.pieces.append(" " if before is not None and local(before) == "oMath" else "")
                line.pieces.append(math_text(child))
            elif name == "txbxContent":
                line.boxes.append(child)
            elif name not in LEFT_OUT:
                self._sign(child, name, line, hidden, backed)

    def _sign(self, element: etree._Element, name: str, line: Line, hidden: bool, backed: bool) -> None:
        if name == "t":
            line.pieces.append(element.text or "")
        elif name in _SIGNS:
            line.pieces.append(_SIGNS[name])
        elif name == "sym":
            line.pieces.append(_symbol(element))
        elif name in {"footnoteReference", "endnoteReference"}:
            self._note(name.removesuffix("Reference") + attribute(element, "id"), line)
        elif name in {"chart", "relIds"}:
            line.extras += self._linked(element)
        else:
            self._inline(element, line, hidden, backed or name in _PICTURES)

    def _run(self, run: etree._Element, line: Line, hidden: bool, backed: bool) -> None:
        said = named(lead(run, "rPr"))
        vanish = switched_on(said.get("vanish"))
        if vanish is None:
            vanish = hidden or ("rStyle" in said and self._styles[attribute(said["rStyle"], "val")].hidden)
        if vanish or self._unseen(said, backed):
            self.hidden += sum(len(node.text or "") for node in run.iter("{*}t"))
        else:
            self._inline(run, line, hidden, backed)

    def _unseen(self, said: dict[str, etree._Element], backed: bool) -> bool:
        """Whether a run is white on nothing, or at most one point high."""
        if "sz" in said and attribute(said["sz"], "val") in {"0", "1", "2"}:
            return True
        if "color" not in said or backed or self.in_table:
            return False
        white = attribute(said["color"], "val").upper() == "FFFFFF"
        return white and not said.keys() & {"shd", "highlight", "rStyle"}

    def _has_picture(self, element: etree._Element) -> bool:
        return next(element.iter("{*}drawing", "{*}pict"), None) is not None

    def _note(self, key: str, line: Line) -> None:
        note = self._notes.pop(key, None)
        text = "" if note is None else " ".join(self.aside(note).split())
        if text:
            self._note_count += 1
            line.notes.append(f"Note {self._note_count}: {text}")

    def _linked(self, element: etree._Element) -> list[str]:
        """A chart, or the text of a SmartArt diagram, which stand in parts of their own."""
        link = self._links.get(attribute(element, "id") or attribute(element, "dm"))
        if link is None or link.part not in self._container:
            return []
        root = self._container.xml(link.part)
        text = chart_text(root) if link.kind == "chart" else "\n".join(drawing_paragraphs(root))
        return [text] if text else []


def _symbol(element: etree._Element) -> str:
    try:
        code = int(attribute(element, "char"), 16)
    except ValueError:
        return ""
    font = attribute(element, "font").lower()
    table = next((table for start, table in _SYMBOL_FONTS.items() if font.startswith(start)), None)
    if table is not None:
        return table.get(code & 0xFF, "")
    return chr(code) if 0x20 <= code < 0xD800 else ""
