"""Noun phrases, dates and numbers in tagged tokens. All ends are exclusive positions in the token list."""

from __future__ import annotations

import re
from collections.abc import Sequence

from finetune.answer_first.lexicon import ABOUT, MONTHS, NUMBER_WORDS, SCALES
from finetune.answer_first.tokens import Token

NOUNS = frozenset({"NN", "NNS", "NNP"})
FINITE = frozenset({"VBD", "VBZ", "VBP", "MD"})
MONEY = frozenset({"$", "US$", "€", "£", "¥", "A$", "C$", "HK$"})
WH = frozenset({"WDT", "WP", "WRB"})
_OPENERS = frozenset({"DT", "PRP$"})
_YEAR = re.compile(r"(?:1\d{3}|20\d\d)(?:[–-]\d{2,4})?$")
_DECADE = re.compile(r"(?:1\d|20)\d0s$")
_DAY = re.compile(r"(?:[12]?\d|3[01])(?:st|nd|rd|th)?$")
_CENTURY = re.compile(
    r"(?:\d{1,2}(?:st|nd|rd|th)|first|second|third|(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|thirteen|"
    r"fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twentie)th|twenty-first)$",
    re.IGNORECASE,
)
_PARTS = frozenset(("early", "late", "mid", "middle", "beginning"))
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*(?:[–-]\d+(?:[.,]\d+)*)?$")


def base_end(cut: Sequence[Token], at: int) -> int:
    """Where the base noun phrase at `at` ends: determiner, modifiers, head; `at` where there is none."""
    last = place = at
    while place < len(cut) and cut[place].tag in _OPENERS and place - at < 2:
        place += 1
    noun = False
    while place < len(cut):
        token = cut[place]
        following = cut[place + 1].tag if place + 1 < len(cut) else ""
        if token.tag in NOUNS:
            noun = True
            place += 1
            last = place
        elif token.tag == "CD" or token.text in ("$", "%") or token.tag == "$":
            numbered = cut[place - 1].text[:1].isupper() and token.text.isdigit() and following not in NOUNS
            if noun and not numbered and cut[place - 1].tag not in ("NNP", "POS", "CD", "$"):
                break
            place += 1
            last = place
        elif token.tag == "POS" and last == place and noun:
            noun = False
            place += 1
        elif (
            (token.tag in ("JJ", "VBN", "VBG") and not noun)
            or (token.tag == "RB" and not noun and following in ("JJ", "VBN", "CD"))
            or (_joins_adjectives(cut, place) and not noun)
        ):
            place += 1
        elif token.text in ('"', "“", "”", "'", "‘", "’") and token.tag != "POS":
            place += 1
            if noun and last == place - 1:
                last = place
        else:
            break
    if last > at and cut[last - 1].tag == "POS":
        last -= 1
    return last


def _joins_adjectives(cut: Sequence[Token], place: int) -> bool:
    if not 0 < place < len(cut) - 1:
        return False
    joins = cut[place].text == "," or cut[place].low in ("and", "or")
    return joins and cut[place - 1].tag in ("JJ", "VBN") and cut[place + 1].tag in ("JJ", "VBN", "RB")


def head(cut: Sequence[Token]) -> Token | None:
    """The head noun of a phrase: the last noun of its first base noun phrase."""
    end = base_end(cut, 0)
    if (
        end
        and end + 1 < len(cut)
        and cut[0].low in ("one", "two", "some", "many", "most", "all")
        and cut[end].low == "of"
    ):
        return head(cut[end + 1 :])
    for token in reversed(cut[:end]):
        if token.tag in NOUNS or token.tag == "CD":
            return token
    return None


def is_phrase(cut: Sequence[Token]) -> bool:
    """Whether the tokens are one whole noun phrase: base phrases joined by prepositions, commas and "and"."""
    place = base_end(cut, 0)
    if place == 0:
        return False
    while place < len(cut):
        end = _next_part(cut, place)
        if end <= place:
            return False
        place = end
    return True


def _next_part(cut: Sequence[Token], place: int) -> int:
    token = cut[place]
    if place + 1 >= len(cut):
        return place
    if token.low in ("such", "including"):
        after = place + 1 + (cut[place + 1].low == "as")
        end = base_end(cut, after)
        return end if end > after else place
    if token.tag in ("IN", "TO") and token.low not in (
        "that",
        "because",
        "if",
        "while",
        "although",
        "than",
        "as",
    ):
        after = place + 1
        if cut[after].tag == "VBG":
            after += 1
            if after >= len(cut) or cut[after].tag in ("IN", "CC", "TO"):
                return after
        end = base_end(cut, after)
        return end if end > after else place
    if token.text == ",":
        after = place + 1 + (cut[place + 1].tag == "CC")
        end = base_end(cut, after) if after < len(cut) else after
        return end if end > after else place
    if token.tag == "CC":
        end = base_end(cut, place + 1)
        return end if end > place + 1 else place
    if token.low in ("called", "named", "termed", "dubbed"):
        end = base_end(cut, place + 1)
        return end if end > place + 1 else place
    if token.tag == "VBN" and cut[place + 1].tag in ("IN", "TO", "RB"):
        return place + 1
    return place


def is_list(cut: Sequence[Token]) -> bool:
    """Whether a noun phrase joins several with "and"."""
    return any(token.tag == "CC" and token.low == "and" for token in cut)


def date_end(cut: Sequence[Token], at: int) -> int:
    """Where the date at `at` ends ("October 16, 1973", "the 1970s", "1636"); `at` where there is none."""
    if at >= len(cut):
        return at
    first = cut[at].low
    low = [*(token.low for token in cut[at : at + 6]), "", "", "", "", ""]
    if first == "the":
        return at + _long_time(low)
    if first.rstrip(".") in MONTHS and cut[at].text[:1].isupper():
        return at + _month_first(low)
    if _DAY.match(first) and low[1].rstrip(".") in MONTHS:
        return at + (3 if _YEAR.match(low[2]) else 2)
    if first in _PARTS and _YEAR.match(low[1]):
        return at + 2
    return at + _alone(cut, at)


def _long_time(low: Sequence[str]) -> int:
    """The length of "the late 1950s", "the mid-1970s", "the 18th century"."""
    if low[1].startswith(("mid-", "early-", "late-")):
        return 2
    number = 1 + (low[1] in _PARTS)
    if _DECADE.match(low[number]):
        return number + 1
    return number + 2 if _CENTURY.match(low[number]) and low[number + 1] in ("century", "centuries") else 0


def _month_first(low: Sequence[str]) -> int:
    """The length of "October 16, 1973", "October 16", "October 1973"."""
    if _DAY.match(low[1]):
        if low[2] == "," and _YEAR.match(low[3]):
            return 4
        return 3 if _YEAR.match(low[2]) else 2
    if low[1] == "," and _YEAR.match(low[2]):
        return 3
    return 2 if _YEAR.match(low[1]) else 0


def _alone(cut: Sequence[Token], at: int) -> int:
    """1 for a year or decade that counts nothing ("1500 cases", "1200 million")."""
    here = cut[at]
    if not (_YEAR.match(here.text) or _DECADE.match(here.text)):
        return 0
    following = cut[at + 1] if at + 1 < len(cut) else None
    if following is None:
        return 1
    counts = following.tag in (*NOUNS, "JJ", "CD") and following.start - here.end <= 1
    return int(not counts and following.text not in ("%", "°") and following.low not in SCALES)


def number_end(cut: Sequence[Token], at: int) -> int:
    """Where the number at `at` ends, with "about", "$" and "million"; `at` where there is none."""
    place = at
    low = [token.low for token in cut[at : at + 3]] + [""] * 3
    if low[0] in ABOUT:
        place += 1
    elif (
        (low[0] in ("more", "less", "fewer") and low[1] == "than")
        or (low[0] == "at" and low[1] in ("least", "most"))
        or (low[0] == "up" and low[1] == "to")
    ):
        place += 2
    start = place
    if place < len(cut) and cut[place].text in MONEY:
        place += 1
    digits = place
    while place < len(cut) and (
        _DIGITS.match(cut[place].text) or cut[place].low in NUMBER_WORDS or cut[place].low in SCALES
    ):
        place += 1
    if place == digits or start == len(cut):
        return at
    if place < len(cut) and cut[place].text == "%":
        place += 1
    return place


def has_inner_verb(cut: Sequence[Token]) -> bool:
    """Whether a verb stands among the tokens; a participle before its noun ("posted price") is none."""
    return any(
        token.tag in ("VB", "VBD", "VBG")
        or (token.tag == "VBN" and not (place + 1 < len(cut) and cut[place + 1].tag in (*NOUNS, "JJ")))
        for place, token in enumerate(cut)
    )


def is_year(token: Token) -> bool:
    return bool(_YEAR.match(token.text))
