"""How a relation is put into words: the questions that it can be asked by, in either direction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_YEAR = r"(?:1[0-9]|20)\d\d"
_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
DATE_EN = (
    rf"(?:(?:the )?(?:(?:early|mid|late)[ -])?(?:(?:\d{{1,2}} )?{_MONTH}(?: \d{{1,2}}(?:st|nd|rd|th)?)?,? )?"
    rf"{_YEAR}s?(?: (?:BC|AD|BCE|CE))?|\d{{1,4}} (?:BC|AD|BCE|CE)|(?:the )?\d{{1,2}}(?:st|nd|rd|th) century"
    rf"(?: BC)?|{_MONTH} \d{{1,2}}(?:, {_YEAR})?)"
)
DATE_ZH = r"(?:(?:公元)?前?\d{1,4}年(?:\d{1,2}月)?(?:\d{1,2}日)?|\d{1,2}月\d{1,2}日|\d{1,2}世纪(?:\d0年代)?)"
_DYNASTY = "[东西南北早晚初]?[夏商周秦汉晋隋唐宋辽金元明清](?:朝|代)?(?:[初末]年?|中叶|时期|.{2}年间)?"
_DATE = re.compile(rf"{DATE_EN}|\d{{4}}[-/.]\d{{1,2}}(?:[-/.]\d{{1,2}})?|{DATE_ZH}|{_DYNASTY}", re.IGNORECASE)


Ending = Literal["name", "value", "date"]  # what an edge leads to


@dataclass(frozen=True, slots=True)
class Asking:
    """One direction of a relation; `{}` stands for the node that is asked about.

    `one` asks for the only target, `many` for all of several ("" where that cannot be asked); `noun` names
    the target without saying it, for a second hop ("" where no phrase reads well).
    """

    one: str
    many: str = ""
    noun: str = ""


@dataclass(frozen=True, slots=True)
class Phrases:
    """`forward` asks for the object, `backward` for the subject; None where that would not read well.

    `says` states the fact, with `{s}` and `{o}` for its ends.
    """

    forward: Asking | None = None
    backward: Asking | None = None
    says: str = ""


def is_date(text: str) -> bool:
    """Whether `text` is a date, a year or a century and nothing else."""
    return _DATE.fullmatch(text.strip()) is not None


def ending(text: str) -> Ending:
    """What the object of an edge is."""
    return "date" if is_date(text) else "value" if is_value(text) else "name"


def is_value(text: str) -> bool:
    """Whether `text` is a number or a date rather than a name: nothing is asked about it."""
    return is_date(text) or not any(letter.isalpha() for letter in text)


def relation_words(relation: str) -> list[str]:
    """The words of a relation's name in lower case: snake_case, camelCase, kebab-case, the end of a URI."""
    name = re.sub(r"^(?:https?://\S*[/#]|[\w.-]{1,12}:(?=\w)|/.*/)", "", relation.strip())
    words = re.split(r"[\s_/.]+", _CAMEL.sub(" ", name).strip())
    return [word.casefold() for word in words if word]
