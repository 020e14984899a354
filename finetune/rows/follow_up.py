"""The second question of a conversation: its subject, named in the first, becomes a pronoun or goes.

Only forms that are right whatever the words mean: the pronoun is the one by which the passage itself goes on
("Kerr built it. She ..."), and "And B?" repeats a question that differs in nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from corpora.prompt import Language
from finetune.rows.names import is_whole
from index.evidence.sentences import sentences

_NAME = re.compile(r"\b[A-Z][\w’'-]*[\w](?:(?: (?:of|the|de|von|van|and))? [A-Z][\w-]*\w)*")
_POSSESSIVE = re.compile(r"['’]s\b")
_AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might)$", re.IGNORECASE
)
_DID = re.compile(r"\b(?:do|does|did)$", re.IGNORECASE)
_LAST_WORD = re.compile(r" [a-z]+\??")
_PREPOSITION = re.compile(r"\b(?:by|for|with|to|from|about|against|on|behind|after|before)$", re.IGNORECASE)
_GOES_ON = re.compile(r"(He|She|It|They|His|Her|Its|Their)\b")
_FORMS = {  # subject, object, possessive
    "he": ("he", "him", "his"),
    "she": ("she", "her", "her"),
    "it": ("it", "it", "its"),
    "they": ("they", "them", "their"),
}
_PRONOUN = {form: name for name, forms in _FORMS.items() for form in forms}
_ZH_LINK = re.compile(r"的|是|有|在|位于")
_FEWEST_SHARED_WORDS = 3


def elided(first: str, second: str, texts: Sequence[str], language: Language) -> str | None:
    """`second` as it would be asked right after `first`, None where no rule makes it surely right.

    `texts` are the passages of the document.
    """
    if first == second:
        return None
    if language == "zh":
        return _zh_other(first, second) or _zh_dropped(first, second)
    return _other(first, second) or _pronoun(first, second, texts)


def _other(first: str, second: str) -> str | None:
    """ "When was A built?", "When was B built?": "And B?"."""
    one, two = first.rstrip("? ").split(), second.rstrip("? ").split()
    head = 0
    while head < min(len(one), len(two)) and one[head] == two[head]:
        head += 1
    tail = 0
    while tail < min(len(one), len(two)) - head and one[-1 - tail] == two[-1 - tail]:
        tail += 1
    while head > 2 and two[head - 1][0].isupper():  # not half of a name
        head -= 1
    while tail and two[-tail][0].isupper() and not _POSSESSIVE.search(two[-tail - 1]):
        tail -= 1
    there, here = one[head : len(one) - tail], two[head : len(two) - tail]
    if head < 2 or head + tail < _FEWEST_SHARED_WORDS or not (_is_name(there) and _is_name(here)):
        return None
    before = two[head - 1]
    if before == "the":
        here, before = ["the", *here], two[head - 2]
    lead = f"{before} " if _PREPOSITION.fullmatch(before) or before in ("in", "at", "of") else ""
    return f"And {lead}{' '.join(here)}?"


def _is_name(part: Sequence[str]) -> bool:
    """Up to five words, each with a capital in front or a number, but for those that join names."""
    fine = all(word[0].isupper() or word.isdigit() or word in ("of", "the") for word in part)
    return fine and 1 <= len(part) <= 5 and not part[0].islower()


def _pronoun(first: str, second: str, texts: Sequence[str]) -> str | None:
    shared = {match[0] for match in _NAME.finditer(first)}
    for match in sorted(_NAME.finditer(second), key=lambda found: -len(found[0])):
        name = _POSSESSIVE.sub("", match[0])
        if match.start() == 0 or second.count(name) > 1:
            continue
        if not any(_POSSESSIVE.sub("", one) == name for one in shared):
            continue
        pronoun = _goes_on_with(name, texts)
        if pronoun is None:
            return None
        start, end = match.start(), match.start() + len(name)
        return _put(second, start, end, _FORMS[pronoun])
    return None


def _put(question: str, start: int, end: int, forms: tuple[str, str, str]) -> str | None:
    """The question with a form of the pronoun for [start, end); None where the case is in doubt."""
    before, behind = question[:start].rstrip(), question[end:]
    if before.endswith(" the"):
        before = before.removesuffix(" the").rstrip()
    possessive = _POSSESSIVE.match(behind)
    if possessive:
        return f"{before} {forms[2]}{behind[possessive.end() :]}"
    verb = _DID.search(before) and _LAST_WORD.fullmatch(behind)  # "did X die?": whatever it looks like
    if behind.startswith((" and ", " or ", ",")) or not (verb or is_whole(question, end)):
        return None
    if _AUXILIARY.search(before):
        return f"{before} {forms[0]}{behind}"
    if _PREPOSITION.search(before) and (behind[:1] in ("?", "") or behind.startswith(" in ")):
        return f"{before} {forms[1]}{behind}"
    return None


def _goes_on_with(name: str, texts: Sequence[str]) -> str | None:
    """The pronoun with which a sentence goes on right after one about `name`: four times of five the same."""
    found: Counter[str] = Counter()
    about = re.compile(rf"(?:The )?{re.escape(name)}(?! and )\b(?!['’ ][A-Z])")
    for text in texts:
        if name not in text:
            continue
        for span, following in pairwise(sentences(text)):
            pronoun = _GOES_ON.match(text[following.start : following.end])
            if pronoun and about.match(text[span.start : span.end]):
                found[_PRONOUN[pronoun[1].lower()]] += 1
    best = max(sorted(found), key=lambda one: found[one], default=None)
    return best if best is not None and found[best] >= 0.8 * found.total() else None


def _zh_other(first: str, second: str) -> str | None:
    """ "甲的人口是多少？"，"乙的人口是多少？": "那乙呢？"."""
    one, two = _zh_parts(first), _zh_parts(second)
    if one is None or two is None or one[1] != two[1] or one[0] == two[0]:
        return None
    return f"那{two[0]}呢？"


def _zh_dropped(first: str, second: str) -> str | None:
    """ "甲的面积多大？"，"甲的人口是多少？": "那人口是多少？"."""
    one, two = _zh_parts(first), _zh_parts(second)
    if one is None or two is None or one[0] != two[0]:
        return None
    if not (one[1].startswith("的") and two[1].startswith("的")) or len(two[1]) < 5:
        return None
    return f"那{two[1][1:]}"


def _zh_parts(question: str) -> tuple[str, str] | None:
    """The subject (2 to 20 characters) that a question begins with, and the rest from its link on."""
    link = _ZH_LINK.search(question)
    if link is None or not 2 <= link.start() <= 20 or re.search(r"[，,？?哪谁什]", question[: link.start()]):
        return None
    return question[: link.start()], question[link.start() :]
