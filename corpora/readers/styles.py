"""Whether an element's attributes hide its text from a person who looks at the page."""

from __future__ import annotations

import re
from collections.abc import Mapping

_DECLARATION = re.compile(r"([a-z-]{2,40})\s*:\s*([^;]{1,200})")
_ZERO = re.compile(r"0*\.?0+(?:px|pt|em|rem|ex|ch|vh|vw|%)?")
_FAR_OFF = re.compile(r"-\d{3,}(?:\.\d+)?(?:px|pt|em|rem|%)?")
_WHITE = {"white", "#fff", "#ffffff", "#ffff", "#ffffffff", "snow", "#fefefe", "transparent"}
_WHITE_RGB = re.compile(
    r"rgba?\(\s*25[345]\s*,?\s*25[345]\s*,?\s*25[345]\b.*\)|(?:rgb|hsl)a\(.*[,/]\s*0?\.?0+%?\s*\)"
)


def declarations(attributes: Mapping[str, str]) -> dict[str, str]:
    """The inline style, property to value, lower case and without `!important`."""
    style = attributes.get("style", "")[:4000].lower()
    return {name: value.replace("!important", "").strip() for name, value in _DECLARATION.findall(style)}


def is_hidden(attributes: Mapping[str, str], ground: str | None) -> bool:
    """Whether text in an element with `attributes`, on the background `ground`, is not to be seen."""
    if "hidden" in attributes and attributes["hidden"].lower() != "false":
        return True
    if "style" not in attributes and "color" not in attributes:
        return False
    style = declarations(attributes)
    if style.get("display") == "none" or style.get("visibility") in {"hidden", "collapse"}:
        return True
    if any(_ZERO.fullmatch(style.get(name, "1")) for name in ("font-size", "opacity")):
        return True
    folded = any(_ZERO.fullmatch(style.get(name, "1")) for name in ("width", "height"))
    if folded and style.get("overflow") == "hidden":
        return True
    if any(_FAR_OFF.fullmatch(style.get(name, "")) for name in ("text-indent", "left", "top", "margin-left")):
        return True
    return _same_colour(attributes, style, ground)


def background(attributes: Mapping[str, str]) -> str | None:
    """The background that an element sets itself, None if it sets none."""
    style = declarations(attributes) if "style" in attributes else {}
    named = style.get("background-color") or style.get("background") or attributes.get("bgcolor", "")
    named = named.lower().strip()
    return named if named not in {"", "transparent", "none", "inherit", "initial", "unset"} else None


def _same_colour(attributes: Mapping[str, str], style: Mapping[str, str], ground: str | None) -> bool:
    colour = style.get("color") or attributes.get("color", "").lower().strip()
    if not colour:
        return False
    if ground is not None:
        return colour == ground or (_white(colour) and _white(ground)) or colour == "transparent"
    # With a class or an id a style sheet may well have made the ground dark: benefit of the doubt.
    return _white(colour) and not ("class" in attributes or "id" in attributes)


def _white(colour: str) -> bool:
    return colour in _WHITE or bool(_WHITE_RGB.fullmatch(colour))
