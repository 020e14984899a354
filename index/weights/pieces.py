"""A SentencePiece unigram vocabulary as sorted, mapped arrays: tokens of one text without reading all of it.

The Rust tokenizer of a 250,000-piece vocabulary takes over a second to load; a single question needs a few
hundred look-ups. Pieces are found by a 64-bit hash (no two pieces share one: checked when they are written),
the best path by Viterbi (Kudo 2018, arXiv:1804.10959), as `tokenizers` does it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from corpora.errors import Conflict

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers.normalizers import Normalizer

PIECES = "pieces.safetensors"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_FIRST, _LAST, _UNKNOWN = 0, 2, 3
_UNKNOWN_PENALTY = 10.0
_SPACE = "▁"


class UnigramReader:
    """Token ids of single texts, as tokenizer.json gives them for texts without special tokens in them."""

    def __init__(self, folder: Path) -> None:
        from index.weights.mapped import mapped_tensors

        tensors = mapped_tensors(folder / PIECES)
        self._hashes: NDArray[np.int64] = tensors["hashes"]
        self._numbers: NDArray[np.int64] = tensors["numbers"]
        self._scores: NDArray[np.float32] = tensors["scores"]
        self._longest, lowest = (float(value) for value in tensors["limits"])
        self._unknown_score = lowest - _UNKNOWN_PENALTY
        self._normalizer = normalizer()

    def ids(self, text: str) -> list[int]:
        """Token ids of `text`, special tokens at both ends included."""
        words = [_SPACE + word for word in self._normalizer.normalize_str(text).split()]
        known = self._known({part for word in words for _, _, part in self._parts(word)})
        return [_FIRST, *(number for word in words for number in self._best_path(word, known)), _LAST]

    def _parts(self, word: str) -> Iterable[tuple[int, int, str]]:
        longest = int(self._longest)
        for start in range(len(word)):
            for end in range(start + 1, min(start + longest, len(word)) + 1):
                yield start, end, word[start:end]

    def _known(self, parts: Iterable[str]) -> dict[str, tuple[int, float]]:
        """Those of `parts` that are pieces, with their ids and scores."""
        asked = list(parts)
        hashes = hashes_of(asked)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        found = self._hashes[places] == hashes
        numbers, scores = self._numbers[places].tolist(), self._scores[places].tolist()
        return {asked[n]: (numbers[n], scores[n]) for n in np.flatnonzero(found)}

    def _best_path(self, word: str, known: dict[str, tuple[int, float]]) -> list[int]:
        best: list[tuple[float, int, int] | None] = [None] * (len(word) + 1)  # score, where from, id
        best[0] = (0.0, 0, _FIRST)
        at = -1
        for start, end, part in self._parts(word):
            piece = known.get(part)
            if start != at:  # a new start: a character that is no piece is an unknown one
                at, before = start, best[start]
            if piece is None and end == start + 1:
                piece = (_UNKNOWN, self._unknown_score)
            if piece is None or before is None:
                continue
            score, standing = before[0] + piece[1], best[end]
            if standing is None or score > standing[0]:
                best[end] = (score, start, piece[0])
        return _walked_back(best)


def _walked_back(best: Sequence[tuple[float, int, int] | None]) -> list[int]:
    """Ids along the best path; unknown characters in a row are one unknown token."""
    numbers: list[int] = []
    end = len(best) - 1
    while end > 0:
        step = best[end]
        if step is None:
            raise ValueError("a word that no path leads through")
        if not (step[2] == _UNKNOWN and numbers and numbers[-1] == _UNKNOWN):
            numbers.append(step[2])
        end = step[1]
    return numbers[::-1]


def normalizer() -> Normalizer:
    """XLM-R's nmt_nfkc: NMT's rules and NFKC, but that the wide tilde is kept; runs of spaces are one."""
    from tokenizers import Regex
    from tokenizers.normalizers import NFKC, Nmt, Replace, Sequence

    aside = "\U0010fffd"  # private use: stands for the wide tilde while NFKC is applied
    steps = [Replace("～", aside), Nmt(), NFKC(), Replace(aside, "～"), Replace(Regex(" {2,}"), " ")]
    return Sequence(steps)


def hashes_of(pieces: Sequence[str]) -> NDArray[np.int64]:
    """64-bit hashes of the UTF-8 of each piece."""
    digests = b"".join(hashlib.blake2b(piece.encode(), digest_size=8).digest() for piece in pieces)
    return np.frombuffer(digests, "<i8")


def write_pieces(pieces: Sequence[tuple[str, float]], target: Path) -> None:
    """Store `pieces`, in the order of their ids, as `UnigramReader` wants them."""
    from safetensors.numpy import save_file

    hashes = hashes_of([piece for piece, _ in pieces])
    if len(np.unique(hashes)) != len(pieces):
        raise Conflict("Two pieces of the vocabulary share a hash.", code="wrong_format")
    order = np.argsort(hashes)
    scores = np.array([score for _, score in pieces], np.float32)
    longest = max(len(piece) for piece, _ in pieces)
    save_file(
        {
            "hashes": hashes[order],
            "numbers": order.astype(np.int64),
            "scores": scores[order],
            "limits": np.array([longest, scores.min()], np.float32),
        },
        target,
    )
