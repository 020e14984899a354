"""Measures of answers and of judges: exact match, token F1, area under the ROC curve.

Exact match and F1 are SQuAD's (Rajpurkar et al. 2016): lower case, no punctuation, no articles. Texts with
Han characters are compared character by character, their words of other scripts whole, as CMRC 2018 does
(Cui et al. 2019).
"""

from __future__ import annotations

import re
import string
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_HAN = re.compile(r"([\u3400-\u9fff\uf900-\ufaff])")
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # full-width ASCII
_PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))
_HAN_PUNCTUATION = dict.fromkeys(map(ord, "，。、；：？！“”‘’《》〈〉（）「」『』【】〔〕…—～·｡"))


def answer_tokens(text: str) -> list[str]:
    """What is compared of an answer: its words, or its characters where it is written in Han."""
    low = text.translate(_WIDE).lower().translate(_PUNCTUATION)
    if _HAN.search(low):
        low = _HAN.sub(r" \1 ", low.translate(_HAN_PUNCTUATION))
    return _ARTICLES.sub(" ", low).split()


def em(given: str, gold: str) -> float:
    """1.0 where both say the same, else 0.0."""
    return float(answer_tokens(given) == answer_tokens(gold))


def f1(given: str, gold: str) -> float:
    """The harmonic mean of token precision and recall, in [0, 1]; two empty answers agree."""
    ours, theirs = answer_tokens(given), answer_tokens(gold)
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs))


def best(measure: Callable[[str, str], float], given: str, golds: Sequence[str]) -> float:
    """`measure` against the gold answer that it is kindest to; 0.0 without one."""
    return max((measure(given, gold) for gold in golds), default=0.0)


def area_under_roc(good: Sequence[float], bad: Sequence[float]) -> float:
    """How often a good one scores above a bad one, ties counted half (Mann-Whitney); 0.5 without either."""
    if not good or not bad:
        return 0.5
    ordered = sorted(bad)
    wins = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in good)
    return wins / (2 * len(good) * len(bad))


def best_threshold(good: Sequence[float], bad: Sequence[float]) -> float:
    """The lowest score to accept that makes (good accepted - bad accepted) largest (Youden 1950)."""

    def gain(threshold: float) -> float:
        kept = sum(score >= threshold for score in good) / max(len(good), 1)
        return kept - sum(score >= threshold for score in bad) / max(len(bad), 1)

    return max(sorted({*good, *bad}), key=gain, default=0.0)
