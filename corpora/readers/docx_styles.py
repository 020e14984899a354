"""Word's styles and numbering: which paragraphs are headings, hidden or numbered, and with what label."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from corpora.readers.containers import attribute, integer, lead, local, named

_HEADING_NAME = re.compile(
    r"(?:heading|überschrift|titre|título|titolo|kop|заголовок|标题|標題|見出し|제목)\s*([1-9])$", re.I
)
_PUBLISHERS_HEADING = re.compile(r"(?:(?:chapter|document)[ _-]?)?title$|head[ _-]?([A-E])(?:number)?$", re.I)
_CODE_NAME = re.compile(
    r"(?:html )?preformatted|source ?code|code(?!.*(?:label|caption|char))|verbatim|listing$", re.I
)
_CHAIN = 20  # styles based on styles; a loop ends here
_LEVELS = 9


def switched_on(toggle: etree._Element | None) -> bool | None:
    """A toggle such as w:vanish: on, off, or None where it is not there."""
    return None if toggle is None else attribute(toggle, "val", "true").lower() not in {"0", "false", "off"}


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    based_on: str
    outline: int | None
    hidden: bool | None
    numbering: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a style with all it is based on says: level 1 to 9 of a heading, hidden, code, list and level."""

    heading: int | None = None
    hidden: bool = False
    code: bool = False
    numbering: tuple[str, int] | None = None


class Styles:
    """The styles of `styles.xml`, asked by style id."""

    def __init__(self, root: etree._Element | None = None) -> None:
        self._styles: dict[str, _Style] = {}
        for element in root if root is not None else ():
            if local(element) == "style":
                self._styles[attribute(element, "styleId")] = _style(element)
        self._looks = {"": Look()}

    def __getitem__(self, style_id: str) -> Look:
        """The look of a style; that of plain text for one that is not defined."""
        if style_id not in self._looks:
            chain = self._chain(style_id)
            hidden = (style.hidden for style in chain if style.hidden is not None)
            lists = (style.numbering for style in chain if style.numbering is not None)
            self._looks[style_id] = Look(
                heading=_heading_level(chain),
                hidden=next(hidden, False),
                code=any(_CODE_NAME.match(style.name) for style in chain),
                numbering=next(lists, None),
            )
        return self._looks[style_id]

    def _chain(self, style_id: str) -> list[_Style]:
        chain: list[_Style] = []
        while len(chain) < _CHAIN and (style := self._styles.get(style_id)):
            chain.append(style)
            style_id = style.based_on
        return chain


def _heading_level(chain: list[_Style]) -> int | None:
    """By outline level, then by name; a title is 1, the HeadA, HeadB, ... of publishers follow it."""
    for style in chain:
        if style.outline is not None:
            return style.outline + 1 if style.outline < _LEVELS else None
        usual, custom = _HEADING_NAME.match(style.name), _PUBLISHERS_HEADING.match(style.name)
        if usual:
            return int(usual[1])
        if custom:
            return ord(custom[1].upper()) - ord("A") + 2 if custom[1] else 1
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """What w:pPr says of its paragraph: style id, outline level (9: body text), list and level, shading."""

    style: str = ""
    outline: int | None = None
    item: tuple[str, int] | None = None
    shaded: bool = False


_PLAIN = Place()


def place_of(paragraph: etree._Element) -> Place:
    """The properties of a w:p."""
    properties = lead(paragraph, "pPr")
    return _PLAIN if properties is None else _place(properties)


def _place(properties: etree._Element) -> Place:
    said = named(properties)
    style, outline = said.get("pStyle"), said.get("outlineLvl")
    level = None if outline is None else integer(attribute(outline, "val"), _LEVELS)
    return Place(
        style="" if style is None else attribute(style, "val"),
        outline=None if level is None else max(0, min(_LEVELS, level)),
        item=_item(named(said.get("numPr"))),
        shaded="shd" in said,
    )


def _item(said: dict[str, etree._Element]) -> tuple[str, int] | None:
    if "numId" not in said:
        return None
    depth = integer(attribute(said["ilvl"], "val")) if "ilvl" in said else 0
    return attribute(said["numId"], "val"), max(0, min(_LEVELS - 1, depth))


def _style(element: etree._Element) -> _Style:
    said = named(element)
    paragraph = _place(said["pPr"]) if "pPr" in said else _PLAIN
    return _Style(
        name=attribute(said["name"], "val") if "name" in said else "",
        based_on=attribute(said["basedOn"], "val") if "basedOn" in said else "",
        outline=paragraph.outline,
        hidden=switched_on(named(said.get("rPr")).get("vanish")),
        numbering=paragraph.item,
    )


@dataclass(frozen=True, slots=True)
class _Level:
    format: str
    label: str
    start: int


class Numbering:
    """The lists of `numbering.xml`; counts as paragraphs come and gives each its label."""

    def __init__(self, root: etree._Element | None = None) -> None:
        abstract: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, tuple[str, dict[int, _Level]]] = {}
        for element in root if root is not None else ():
            if local(element) == "abstractNum":
                abstract[attribute(element, "abstractNumId")] = _levels(element)
            elif local(element) == "num":
                self._add_list(element, abstract)
        self._counts: dict[str, list[int | None]] = {}

    def label(self, list_id: str, level: int) -> str:
        """The next label at `level` of a list: "3.2 ", "- " for bullets, "" for none."""
        if list_id not in self._lists:
            return ""
        key, levels = self._lists[list_id]
        here = levels.get(level)
        if here is None or here.format == "none":
            return ""
        if here.format == "bullet":
            return "- "
        counts = self._counts.setdefault(key, [None] * _LEVELS)
        count = counts[level]
        counts[level] = here.start if count is None else count + 1
        counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        text = re.sub(r"%([1-9])", lambda found: _shown(levels, counts, int(found[1]) - 1), here.label)
        return f"{text.strip()} " if text.strip() else ""

    def _add_list(self, element: etree._Element, abstract: dict[str, dict[int, _Level]]) -> None:
        link = element.find("{*}abstractNumId")
        name = "" if link is None else attribute(link, "val")
        levels, key = abstract.get(name, {}), f"abstract {name}"
        overrides = element.findall("{*}lvlOverride")
        if overrides:  # an override starts the list anew, or changes its looks
            key, levels = f"list {attribute(element, 'numId')}", dict(levels)
        for override in overrides:
            _override(levels, override)
        self._lists[attribute(element, "numId")] = (key, levels)


def _override(levels: dict[int, _Level], override: etree._Element) -> None:
    depth = integer(attribute(override, "ilvl"))
    changed = _levels(override).get(depth, levels.get(depth))
    start = override.find("{*}startOverride")
    if changed is not None and start is not None:
        changed = _Level(changed.format, changed.label, integer(attribute(start, "val"), 1))
    if changed is not None:
        levels[depth] = changed


def _levels(element: etree._Element) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for level in element.iter("{*}lvl"):
        form, label, start = (level.find(f"{{*}}{name}") for name in ("numFmt", "lvlText", "start"))
        levels[integer(attribute(level, "ilvl"))] = _Level(
            "decimal" if form is None else attribute(form, "val"),
            "" if label is None else attribute(label, "val")[:60],
            1 if start is None else integer(attribute(start, "val"), 1),
        )
    return levels


def _shown(levels: dict[int, _Level], counts: list[int | None], depth: int) -> str:
    level = levels.get(depth)
    if level is None:
        return ""
    count = counts[depth]
    number = level.start if count is None else count
    if level.format in {"lowerLetter", "upperLetter"} and 1 <= number <= 780:
        letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letters if level.format == "lowerLetter" else letters.upper()
    if level.format in {"lowerRoman", "upperRoman"} and 1 <= number < 4000:
        return _roman(number) if level.format == "upperRoman" else _roman(number).lower()
    if level.format.startswith(("chinese", "ideograph", "japanese", "taiwanese")) and 1 <= number < 100:
        return _chinese(number)
    return str(number)


_ROMAN_VALUES = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)
_ROMAN_SIGNS = ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I")


def _roman(number: int) -> str:
    text = ""
    for value, sign in zip(_ROMAN_VALUES, _ROMAN_SIGNS, strict=True):
        times, number = divmod(number, value)
        text += sign * times
    return text


def _chinese(number: int) -> str:
    digits = "零一二三四五六七八九"
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{digits[tens]}十"
    return head + (digits[ones] if ones else "")
