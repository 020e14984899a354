"""Which embedded encoder suits a text: the English one, or the multilingual one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

ENGLISH = "all-minilm-l6-v2"
MULTILINGUAL = "multilingual-e5-small"

_NON_LATIN_SHARE = 0.05
_LETTERS = 200_000  # of a sample; more does not change the answer
_ENOUGH = 500  # letters in which an English text has one of its frequent words
# Frequent words that are English alone, and frequent ones of other languages in Latin script that no English
# text has often: German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Swedish, Indonesian.
_ENGLISH_WORDS = frozenset(
    "the of and to is that for with are this be from by as it was or not have which".split()
)
_OTHER_WORDS = frozenset(
    "der die und das ist nicht ein eine mit den von zu auf le la les des et est que une dans pour sur du pas "
    "el los las de en por con para del como um uma não il che di per sono non della het een van niet voor "
    "zijn na się nie z jest ve bir bu için och att det som är yang dan dengan untuk tidak".split()
)


def choose_encoder(sample: Iterable[str]) -> str:
    """The embedded encoder for texts like `sample`: the English one only where the text is surely English.

    The multilingual one is taken from 5 % of non-Latin letters on, for texts in other languages of Latin
    script (told by their frequent words), and where there is nothing to tell by.
    """
    letters = other = english_words = other_words = 0
    for text in sample:
        for letter in text:
            if letter.isalpha():
                letters += 1
                other += not _is_latin(letter)
        words = text.lower().split()
        english_words += sum(word in _ENGLISH_WORDS for word in words)
        other_words += sum(word in _OTHER_WORDS for word in words)
        if letters >= _LETTERS:
            break
    foreign = other >= _NON_LATIN_SHARE * letters or other_words > english_words
    doubt = not letters or (letters >= _ENOUGH and not english_words)
    return MULTILINGUAL if foreign or doubt else ENGLISH


def _is_latin(letter: str) -> bool:
    # U+0250 ends the Latin letters of European languages; what is beyond is looked up by its name.
    return letter < "\u0250" or unicodedata.name(letter, "").startswith(("LATIN", "FULLWIDTH LATIN"))
