"""Putting tokens back into words, and a clause into the order of a question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from finetune.answer_first.asked import Asked, asked
from finetune.answer_first.clauses import Clause
from finetune.answer_first.lexicon import base, inflect, is_word, lemma
from finetune.answer_first.phrases import head
from finetune.answer_first.tokens import Token

Piece = Token | str
_PLAIN_BE = {"was": "VBD", "were": "VBD", "is": "VBZ", "are": "VBZ"}
_TIGHT_AFTER = re.compile(r"\s+([,.;:?!%)\]’”])")
_BEFORE_CLITIC = re.compile(r"\s+(['’](?:s|re|ve|ll|d|m)\b)")
_EMPHASIS = re.compile(r"(?<!\w)_([^_\s][^_]*)_(?!\w)")


def say(pieces: Sequence[Piece]) -> str:
    """The pieces as one line; neighbours in the source keep the gap that they had there."""
    line = ""
    last: Piece = ""
    for piece in pieces:
        word = piece if isinstance(piece, str) else piece.text
        if not word:
            continue
        tight = isinstance(piece, Token) and isinstance(last, Token) and last.end == piece.start
        if line and not tight:
            line += " "
        line += word
        last = piece
    line = _EMPHASIS.sub(r"\1", line.replace("*", ""))
    return " ".join(_BEFORE_CLITIC.sub(r"\1", _TIGHT_AFTER.sub(r"\1", line)).split())


def lowered(words: Sequence[Token]) -> list[Piece]:
    """The words with a first letter that is large only because the sentence began there made small."""
    if not words:
        return []
    first = words[0]
    if len(words) > 1 and words[1].tag == "NNP" and first.tag not in ("DT", "IN", "PRP$", "CD", "RB", "JJ"):
        return list(words)
    if (first.text[:1].isupper() and first.tag not in ("NNP", "PRP")) or _common(words):
        known = is_word(first.low) or first.tag in ("DT", "IN", "PRP$")
        known = known or (first.tag in ("JJ", "NNS", "RB") and len(words) > 1 and words[1].text[:1].islower())
        plain = not first.text[1:].isupper() and known
        if (plain and first.text != "I" and len(first.text) > 1) or first.low == "a":
            return [Token(first.low, first.start, first.end, first.tag), *words[1:]]
    return list(words)


def _common(words: Sequence[Token]) -> bool:
    """Whether a capitalised first word tagged as a name is an ordinary one before another ordinary one."""
    if len(words) == 1 and words[0].tag == "NNP":
        return words[0].low.endswith("s") and lemma(words[0].low, "NOUN") != words[0].low
    follower = words[1].text[:1] if len(words) > 1 else ""
    return words[0].tag == "NNP" and follower.islower() and is_word(words[0].low) and len(words[0].text) > 3


def capital(line: str) -> str:
    return line[:1].upper() + line[1:]


def inverted(found: Clause, tail: Sequence[Piece], subject: Sequence[Piece] | None = None) -> list[Piece]:
    """ "did the Parliament first meet …": auxiliary, subject, adverbs, verbs, rest."""
    who = list(subject) if subject is not None else lowered(found.subject)
    rest = list(found.verbs[1:])
    if found.helped:
        return [found.finite.low, *who, *found.between, *rest, *tail]
    helper = {"VBD": "did", "VBZ": "does"}.get(found.finite.tag, "do")
    return [helper, *who, *found.between, base(found.finite.text, found.finite.tag), *rest, *tail]


def straight(found: Clause, tail: Sequence[Piece]) -> list[Piece]:
    """The verbs as they follow "who" or "what", in the singular, then the rest."""
    finite = found.finite
    top = head(found.tail) if found.copula else None
    if top is not None and top.tag == "NNS" and finite.low in ("are", "were"):
        return [*found.between, *found.verbs, *tail]  # "What are the building blocks of …"
    singular = {"are": "is", "were": "was", "have": "has", "do": "does"}.get(finite.low)
    if singular is None and finite.tag == "VBP":
        singular = inflect(base(finite.text, "VBP"), "VBZ")
    return [*found.between, singular or finite, *found.verbs[1:], *tail]


def active(found: Clause, tail: Sequence[Piece]) -> list[Piece] | None:
    """A passive clause turned round behind "who": "was first described" → "first described"."""
    words = [token for token in found.verbs if token.tag != "RB"]
    adverbs = [token for token in found.verbs if token.tag == "RB"]
    if len(words) != 2 or words[0].low not in _PLAIN_BE:
        return None
    form = _PLAIN_BE[words[0].low]
    verb = inflect(base(words[-1].text, "VBN"), form)
    return [*found.between, *adverbs, verb, *lowered(found.subject), *tail] if verb else None


def front(found: Clause) -> list[Piece]:
    """The phrase in front of a clause with its comma."""
    return [*lowered(found.lead), ","] if found.lead else []


def shaped(
    found: Clause, wh: str, pieces: Sequence[Piece], answer: Sequence[Token], pattern: str, weight: float
) -> Asked:
    """The question of a clause: its front phrase, the question word, the rest."""
    return asked(capital(say([*front(found), wh, *pieces])) + "?", answer, pattern, weight)
