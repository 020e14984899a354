"""Words as evidence is compared: without case, width, endings and stop words; numbers and negations apart.

Scripts without spaces between words (Chinese, Japanese, Thai, ...) are compared by overlapping pairs of
characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from index.stopwords import CUTS, ENGLISH, SINGLE

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff"
)
_TOKEN = re.compile(rf"(\d+(?:[.,:/]\d+)*)|([{_UNSPACED}]+)|((?:(?![{_UNSPACED}])\w)+)")
_APOSTROPHE = re.compile("['’](?:s|re|ve|ll|d|m)?\\b")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|unable|fails?|failed)\b|n['’]t\b"
    r"|不(?!仅|僅|但|断|斷|同|过|過|久|少|到|只|论|論)|[没沒](?!收)|[未无無](?!来|來|论|論|锡|錫)|并非|並非",
    re.IGNORECASE,
)
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {
    **{word: str(number) for number, word in enumerate(_UNITS.split())},
    **{word: str(10 * number) for number, word in enumerate(_TENS.split(), 2)},
}
# Words of a question that no answer sentence repeats.
_ASKING = frozenset(
    "many much name called kind type does did long often old tell explain describe list".split()
)


@dataclass(frozen=True, slots=True)
class Words:
    """What is compared of a text. `terms` are stemmed content words (or pairs); `names` are those written
    with a capital inside a sentence; `numbers` are digits without thousands commas, number words included.
    """

    terms: frozenset[str]
    names: frozenset[str]
    numbers: frozenset[str]


def words(text: str) -> Words:
    """The content of `text`; stop words and question words are left out."""
    plain = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", text))
    terms: set[str] = set()
    names: set[str] = set()
    numbers: set[str] = set()
    opening = True
    for found in _TOKEN.finditer(plain):
        number, run, word = found.groups()
        if number:
            numbers.add(_number(number))
        elif run:
            terms |= _pairs(run)
        else:
            low = word.casefold()
            if low in _NUMBER_WORDS:
                if low != "one":  # more often a pronoun
                    numbers.add(_NUMBER_WORDS[low])
            elif low not in ENGLISH:
                digits = re.match(r"\d+", low)  # 21st, 1990s, 10km
                if digits:
                    numbers.add(_number(digits[0]))
                else:
                    terms.add(stem(low))
                    if not opening and word[0].isupper():
                        names.add(stem(low))
        opening = plain[found.end() : found.end() + 2].strip() in (".", "!", "?", ":")
    return Words(frozenset(terms), frozenset(names), frozenset(numbers))


def question_words(question: str) -> Words:
    """As `words`, less what only asks."""
    found = words(CUTS.sub(" ", question))
    return Words(found.terms - _ASKING, found.names, found.numbers)


def negated(text: str) -> bool:
    """Whether `text` denies something."""
    return len(_NEGATION.findall(text)) % 2 == 1


def stem(word: str) -> str:
    """A word in lower case without its commonest English endings, so that forms of it meet."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    for ending in ("ations", "ation", "ings", "ing", "edly", "ers", "ed", "es", "er", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    else:
        if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
            word = word[:-1]
    word = word.removesuffix("e") if len(word) > 4 else word
    return word[:-1] if len(word) > 4 and word[-1] == word[-2] else word


def share(wanted: Iterable[str], there: frozenset[str]) -> float:
    """The share of `wanted` that is in `there`; 1.0 when nothing is wanted."""
    wanted = list(wanted)
    return sum(word in there for word in wanted) / len(wanted) if wanted else 1.0


def _number(digits: str) -> str:
    digits = re.sub(r",(?=\d{3}(?:\D|$))", "", digits)
    return digits.lstrip("0") or "0"


def _pairs(run: str) -> set[str]:
    if len(run) == 1:
        return set() if run in SINGLE else {run}
    return {run[i : i + 2] for i in range(len(run) - 1)}
