"""The verbs of an English clause, and where what follows them ends."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.answer_first.lexicon import PLACES
from finetune.answer_first.phrases import FINITE, NOUNS, WH, base_end, date_end, is_phrase
from finetune.answer_first.tokens import Token

_STOPS = frozenset((";", ":", "—", "–", "--", "-"))
BE = frozenset({"be", "is", "are", "was", "were", "been", "being", "am"})
_HAVE = frozenset({"have", "has", "had", "having"})
_OPENS_CLAUSE = frozenset(
    "that which who whom whose where when if because whether how what why until".split()
)
# Behind these the clause may end: what follows adds a remark.
_REMARKS = frozenset("because although though while whereas whilst since unless so but yet".split())


def verb_group(cut: Sequence[Token], at: int) -> tuple[list[Token], int]:
    """The verb group at `at` and where it ends; adverbs behind the last verb belong to the rest."""
    group = [cut[at]]
    end = at + 1
    place = at + 1
    last = cut[at]
    while place < len(cut):
        token = cut[place]
        if token.tag == "RB":
            place += 1
            continue
        takes = (
            (last.tag == "MD" and token.tag == "VB")
            or (last.low in BE and token.tag in ("VBN", "VBG"))
            or (last.low in _HAVE and token.tag == "VBN")
            or (last.low in ("do", "does", "did") and token.tag == "VB")
        )
        if not takes:
            break
        group = list(cut[at : place + 1])
        last = token
        place += 1
        end = place
    return group, end


def rest_of_clause(cut: Sequence[Token], start: int) -> list[Token] | None:
    """What follows the verbs up to the end of the clause; None where another verb makes its end unsure."""
    end = _tail_end(cut, start)
    if end is None:
        return None
    tail = list(cut[start:end])
    opened = 0
    for place, token in enumerate(tail):
        if token.low in _OPENS_CLAUSE and (token.tag in WH or token.tag == "IN" or token.low == "that"):
            opened += 1
        elif token.tag in FINITE:
            helper = place and tail[place - 1].tag in FINITE
            if not opened and not helper:
                return None
            opened -= not helper
    return tail


def _tail_end(cut: Sequence[Token], start: int) -> int | None:
    """Where the tail that begins at `start` ends; None where a list runs into the next clause."""
    listed = opened = False
    for place in range(start, len(cut)):
        token = cut[place]
        if token.low == "that" and token.tag != "DT":
            opened = True  # until its verb comes, "and" joins two subjects
        elif token.tag in FINITE:
            opened = False
        if opened and token.tag == "CC":
            continue
        comma = cut[place - 1].text == ","
        if (token.text in _STOPS and (token.text != ":" or _gap(cut, place))) or (
            place > start + 3 and _remark(cut, place)
        ):
            return place - comma
        if token.tag == "CC" and token.low in ("and", "but", "or", "yet") and _new_clause(cut, place + 1):
            own = cut[place + 1].tag not in FINITE
            return None if own and (listed or not _ends_well(cut, start, place)) else place - comma
        if token.text == ",":
            if not _goes_on(cut, place):
                return place
            listed = listed or date_end(cut, place - 1) <= place + 1
    return len(cut)


def _gap(cut: Sequence[Token], place: int) -> bool:
    return place + 1 >= len(cut) or cut[place + 1].start > cut[place].end


def _ends_well(cut: Sequence[Token], start: int, conjunction: int) -> bool:
    """Whether the "and" before a new subject cannot join it to the noun before: a comma or a verb says so."""
    return cut[conjunction - 1].text == "," or not any(token.tag == "CC" for token in cut[start:conjunction])


def _place_name(cut: Sequence[Token], at: int) -> bool:
    """Whether a name behind a comma is the larger place of the one before it: "Cambridge, Massachusetts"."""
    end = at
    while end < len(cut) and cut[end].tag == "NNP":
        end += 1
    name = cut[at:end]
    return len(name) <= 3 and (
        any(token.low in PLACES for token in name) or name[0].text in ("CA", "NY", "US", "UK")
    )


def _remark(cut: Sequence[Token], place: int) -> bool:
    token = cut[place]
    return (
        token.low in _REMARKS
        and token.tag in ("IN", "CC", "RB")
        and not (token.low in ("so", "since", "yet") and cut[place - 1].text != ",")
    )


def _new_clause(cut: Sequence[Token], place: int) -> bool:
    """Whether a clause, or another verb of the same subject, begins at `place`."""
    while place < len(cut) and cut[place].tag == "RB":
        place += 1
    if place >= len(cut):
        return False
    if cut[place].tag in FINITE or cut[place].tag in ("PRP", "EX", "WRB"):
        return True
    if cut[place].tag in ("IN", "TO"):
        return any(token.text == "," for token in cut[place : place + 8]) and any(
            token.tag in FINITE for token in cut[place:]
        )
    end = base_end(cut, place)
    while end > place and end + 1 < len(cut) and cut[end].tag == "IN" and cut[end].low not in ("that", "if"):
        further = base_end(cut, end + 1)
        if further == end + 1:
            break
        end = further
    while end < len(cut) and cut[end].tag == "RB":
        end += 1
    return place < end < len(cut) and cut[end].tag in FINITE


def _goes_on(cut: Sequence[Token], place: int) -> bool:
    """Whether the clause goes on behind the comma at `place`: a date, a place, a list."""
    if place + 1 >= len(cut):
        return False
    before, after = cut[place - 1], cut[place + 1]
    if date_end(cut, place - 1) > place + 1 or date_end(cut, place - 2) > place + 1:
        return True
    if after.text[:4].isdigit() and before.tag in ("CD", "NNP"):
        return True
    if (
        before.tag in ("JJ", "VBN")
        and after.tag in ("JJ", "VBN", "VBG")
        and base_end(cut, place + 1) > place + 1
    ):
        return True
    if before.tag == "NNP" and after.tag == "NNP" and _place_name(cut, place + 1):
        return True
    if (
        after.tag in WH
        or after.tag in ("IN", "TO", "VBG", "VBN", "RB", "PRP")
        or after.low in ("but", "such")
    ):
        return False
    if after.tag == "CC":
        return base_end(cut, place + 2) > place + 2 and not _new_clause(cut, place + 2)
    end = base_end(cut, place + 1)
    if end == place + 1:
        return False
    rest = cut[end : end + 25]
    stop = next((at for at, token in enumerate(rest) if token.text in ";:" or token.tag in FINITE), len(rest))
    joined = any(token.tag == "CC" and token.low in ("and", "or") for token in rest[:stop])
    return joined and before.tag in (*NOUNS, "CD") and is_phrase(cut[place + 1 : end])


def breaks_list(cut: Sequence[Token], end: int) -> bool:
    """Whether the comma at `end` may stand between two items."""
    if 0 < end < len(cut) and cut[end].tag == "CC" and cut[end - 1].tag in FINITE:
        return True  # "attacked and destroyed the capital": the first verb lacks what it is about
    if end + 1 < len(cut) and cut[end].tag == "CC" and cut[end + 1].tag not in FINITE:
        return any(token.low == "that" for token in cut[:end])
    if end + 1 >= len(cut) or cut[end].text != ",":
        return False
    before, after = cut[end - 1], cut[end + 1]
    if after.tag in WH or after.tag in ("IN", "TO", "PRP", "CC"):
        return after.tag == "IN" and "-" in after.text
    if after.tag == "RB":
        return False
    return after.tag != "VBG" or before.low.endswith("ing")
