"""What Word, PowerPoint and Excel files share: relations between parts, DrawingML text, charts, maths."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from lxml import etree

from corpora.readers import ReadProblem
from corpora.readers.containers import Container, attribute, local


@dataclass(frozen=True, slots=True)
class Relation:
    """A link from one part to another: `kind` is the last word of its type, `part` the target's name."""

    kind: str
    part: str


def relations(container: Container, part: str) -> dict[str, Relation]:
    """The internal relations of `part` by their ids, in file order; none where it has no list."""
    folder, name = posixpath.split(part)
    listing = f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels"
    found: dict[str, Relation] = {}
    if listing not in container:
        return found
    for element in container.xml(listing):
        target = unquote(attribute(element, "Target"))
        if attribute(element, "TargetMode") == "External" or not target:
            continue
        whole = posixpath.normpath(target if target.startswith("/") else posixpath.join(folder, target))
        kind = attribute(element, "Type").rpartition("/")[2]
        found[attribute(element, "Id")] = Relation(kind, whole.lstrip("/"))
    return found


def main_part(container: Container, usual: str, what: str) -> str:
    """The name of the part that holds the document itself; ReadProblem `damaged` where none is."""
    named = [link.part for link in relations(container, "").values() if link.kind == "officeDocument"]
    for part in (*named, usual):
        if part in container:
            return part
    raise ReadProblem("damaged", f"not a whole {what}: its main part is missing")


def parts_of(links: dict[str, Relation], kind: str) -> list[str]:
    """The targets of one kind, each once, in order."""
    return list(dict.fromkeys(link.part for link in links.values() if link.kind == kind))


def relation_id(element: etree._Element) -> str:
    """The value of r:id, told from an `id` of the element's own by its namespace."""
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith("}id")), "")


def chosen(element: etree._Element) -> list[etree._Element]:
    """The branch of an mc:AlternateContent to read: its first choice with text, else the fallback."""
    branches = sorted(element, key=lambda branch: local(branch) == "Fallback")
    for branch in branches:
        if any(local(node) in {"t", "drawing", "pic"} for node in branch.iter()):
            return [branch]
    return branches[:1]


def drawing_paragraphs(element: etree._Element) -> Iterator[str]:
    """The text of each DrawingML paragraph (a:p) below `element`, in order, empty ones left out."""
    for paragraph in element.iter("{*}p"):
        text = drawing_text(paragraph).strip()
        if text:
            yield text


def drawing_text(paragraph: etree._Element) -> str:
    """The text of one DrawingML paragraph; line breaks as newlines."""
    pieces: list[str] = []
    for node in paragraph.iter():
        name = local(node)
        if name == "t":
            pieces.append(node.text or "")
        elif name == "br":
            pieces.append("\n")
        elif name == "tab":
            pieces.append("\t")
    return "".join(pieces)


def rows_text(rows: list[list[str]]) -> str:
    """A table as text: a line per row, cells joined by " | ", empty cells at the end left out."""
    lines = (" | ".join(cells).rstrip(" |") for cells in rows)
    return "\n".join(line for line in lines if line.strip(" |"))


def one_line(text: str) -> str:
    """`text` with every run of white space made one blank, for a cell or a title."""
    return " ".join(text.split())


def chart_text(chart: etree._Element) -> str:
    """A chart as its title and a table: a column of categories, one more for each series."""
    title = " ".join(
        one_line(text)
        for node in chart.iter("{*}title")
        if local(_parent(node)) == "chart"
        for text in drawing_paragraphs(node)
    )
    series = list(chart.iter("{*}ser"))
    names = [_cached(one.find("{*}tx")) for one in series]
    categories = next((points for one in series if (points := _points(one, "cat", "xVal"))), {})
    values = [_points(one, "val", "yVal") for one in series]
    rows = [["", *(" ".join(name.values()) for name in names)]]
    for index in sorted({*categories, *(index for column in values for index in column)})[:10_000]:
        rows.append([categories.get(index, ""), *(column.get(index, "") for column in values)])
    return "\n".join(part for part in (title, rows_text(rows) if len(rows) > 1 else "") if part)


def _parent(element: etree._Element) -> etree._Element:
    parent = element.getparent()
    return element if parent is None else parent


def _points(series: etree._Element, *names: str) -> dict[str, str] | dict[int, str]:
    for name in names:
        found = _cached(series.find(f"{{*}}{name}"))
        if found:
            return found
    return {}


def _cached(holder: etree._Element | None) -> dict[int, str]:
    if holder is None:
        return {}
    points: dict[int, str] = {}
    for point in holder.iter("{*}pt"):
        value = point.find("{*}v")
        index = attribute(point, "idx", "0")
        if value is not None and value.text and index.isdigit():
            points[int(index[:6])] = one_line(value.text)
    return points


def math_text(element: etree._Element) -> str:
    """A formula (OMML) on one line: a/b, a^b, a_b, √(a), ∑_(n=1)^∞."""
    name = local(element)
    if name == "t":
        return element.text or ""
    inner = [(local(child), math_text(child)) for child in element]
    if name == "d":
        opened, closed = _math_sign(element, "dPr", "begChr", "("), _math_sign(element, "dPr", "endChr", ")")
        return opened + ", ".join(text for part, text in inner if part == "e") + closed
    if name in {"f", "sSup", "sSub", "sSubSup", "rad", "nary"}:
        sign = _math_sign(element, "naryPr", "chr", "∫") if name == "nary" else ""
        return _structure(name, dict(inner), sign)
    return "".join(text for _, text in inner)


def _math_sign(element: etree._Element, properties: str, name: str, usual: str) -> str:
    sign = element.find(f"{{*}}{properties}/{{*}}{name}")
    return usual if sign is None else attribute(sign, "val")


def _structure(name: str, parts: dict[str, str], sign: str) -> str:
    base = parts.get("e", "")
    if name == "f":
        return f"{_grouped(parts.get('num', ''))}/{_grouped(parts.get('den', ''))}"
    if name == "rad":
        return f"{parts.get('deg', '')}√({base})"
    low, high = parts.get("sub", ""), parts.get("sup", "")
    limits = (f"_{_grouped(low)}" if low else "") + (f"^{_grouped(high)}" if high else "")
    return f"{sign}{limits} {base}" if sign else base + limits


def _grouped(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"
