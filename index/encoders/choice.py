"""Which embedded encoder suits a text: the English one, or the multilingual one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import islice

ENGLISH = "all-minilm-l6-v2"
MULTILINGUAL = "multilingual-e5-small"

_NON_LATIN_SHARE = 0.05
_LETTERS = 200_000  # of a sample; more does not change the answer


def choose_encoder(sample: Iterable[str]) -> str:
    """The embedded encoder for texts like `sample`: the multilingual one from 5 % of non-Latin letters on."""
    letters = islice((letter for text in sample for letter in text if letter.isalpha()), _LETTERS)
    seen = other = 0
    for letter in letters:
        seen += 1
        other += not _is_latin(letter)
    return MULTILINGUAL if seen and other >= _NON_LATIN_SHARE * seen else ENGLISH


def _is_latin(letter: str) -> bool:
    # U+0250 ends the Latin letters of European languages; what is beyond is looked up by its name.
    return letter < "\u0250" or unicodedata.name(letter, "").startswith(("LATIN", "FULLWIDTH LATIN"))
