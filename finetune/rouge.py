"""ROUGE-L between short texts, and against a pool of thousands.

The F measure of the longest common subsequence of words, without stemming (Lin, "ROUGE", 2004), equal to
the package `rouge_score` 0.1.2 on what that package reads: runs of a-z and 0-9 in lower case. It drops all
other scripts; here each character of a script without spaces is a word, and so is a run of letters of any
other script that is not Latin.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_UNSPACED += "\U00020000-\U0003ffff"
_LATIN = "\x00-\u036f\u1e00-\u1eff\u2000-\u2bff\uff00-\uffef"
_WORD = re.compile(rf"[a-z0-9]+|[{_UNSPACED}]|[^\W{_LATIN}{_UNSPACED}]+")
_BLOCK = 1024  # texts compared before looking whether one is near enough
_UNKNOWN = "\0"  # a word that no text of a pool has
_SURROGATES = 0xD800, 0x800


def words(text: str) -> list[str]:
    """What is compared of `text`."""
    return _WORD.findall(text.lower())


def rouge_l(a: str, b: str) -> float:
    """F of ROUGE-L, in [0, 1]; symmetric, 0.0 where either text has no word."""
    left, right = words(a), words(b)
    if not left or not right:
        return 0.0
    common = LCSseq.similarity(left, right)
    precision, recall = common / len(left), common / len(right)
    # In the order of the reference, so that a score on the border falls on the same side of it.
    return 2 * precision * recall / (precision + recall) if common else 0.0


class RougePool:
    """Texts to compare others with. Words are numbered and texts kept as strings of these numbers."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._coded: list[str] = []
        self._codes: dict[str, str] = {}
        self._by_length: list[int] = []

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> None:
        """Compare with `text` too from now on."""
        coded = "".join(self._codes.setdefault(word, _code(len(self._codes))) for word in words(text))
        self._texts.append(text)
        self._coded.append(coded)
        self._by_length.append(len(coded))

    def nearest(self, text: str, n: int = 10) -> list[tuple[float, str]]:
        """The `n` texts of the highest score, best first; of equal scores the one added first."""
        scores = self._scores(self._read(text), self._coded, np.array(self._by_length, np.int64))
        order = np.argsort(-scores, kind="stable")[:n]
        return [(float(scores[at]), self._texts[at]) for at in order]

    def max(self, text: str) -> float:
        """The highest score; 0.0 of an empty pool."""
        best = self.nearest(text, 1)
        return best[0][0] if best else 0.0

    def exceeds(self, text: str, threshold: float) -> bool:
        """Whether a score is above `threshold`; looks no further than the first such text.

        A text can be skipped unread when its length alone keeps it below: F is at most 2 min / (m + n).
        """
        read = self._read(text)
        lengths = np.array(self._by_length, np.int64)
        most = 2 * np.minimum(lengths, len(read)) / np.maximum(lengths + len(read), 1)
        # The bound and the score round differently: a hair of room keeps the bound a bound.
        possible = np.flatnonzero(most + 1e-9 > threshold)
        for start in range(0, len(possible), _BLOCK):
            block = possible[start : start + _BLOCK]
            coded = [self._coded[at] for at in block]
            if (self._scores(read, coded, lengths[block]) > threshold).any():
                return True
        return False

    def _read(self, text: str) -> str:
        return "".join(self._codes.get(word, _UNKNOWN) for word in words(text))

    @staticmethod
    def _scores(read: str, coded: list[str], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        if not read or not coded:
            return np.zeros(len(coded))
        common = process.cdist([read], coded, scorer=LCSseq.similarity, dtype=np.int64)[0]
        precision = common / np.maximum(lengths, 1)
        recall = common / len(read)
        return np.where(common > 0, 2 * precision * recall / np.maximum(precision + recall, 1e-300), 0.0)


def _code(number: int) -> str:
    """A character of its own for each word; not the unknown one, and none of the surrogates."""
    first, skipped = _SURROGATES
    point = number + 1
    return chr(point if point < first else point + skipped)
