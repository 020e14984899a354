"""Sentences of a passage that a question can be made from: whole, plain prose, with their tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from corpora.records import Passage, Span
from finetune.answer_first.lexicon import is_word
from finetune.answer_first.pronouns import antecedent
from finetune.answer_first.tagger import tag
from finetune.answer_first.tokens import Token, tokens
from index.evidence.sentences import sentences

SHORTEST, LONGEST = 30, 420  # characters; longer sentences are lists or damage
_REFERENCE_END = re.compile(
    r"[.!?][\"”’]?(?P<note>(?:\s?\[[^\]\n]{1,40}\]|:\d[\d–:,-]{0,20})+)\s*(?=[A-Z]|$)"
)
_LETTER_END = re.compile(  # "… reduced to X. Thus …": a letter that is no initial ends the sentence
    r"\b[A-Z]\.(?P<note>)\s+"
    r"(?=(?:The|This|These|Thus|However|In|It|Of course|A|An|If|For|When|Not|But|Since|Therefore)\s)"
)
_NOTE = re.compile(r"\s?\[[^\]\n]{1,40}\]|(?<=[.,])(?::\d[\d–:,-]{0,20})+")
_UNREADABLE = re.compile(
    r"[|<>{}\\=^~]|\]\(|https?://|\w  \w|\(\s*\)|\[\d|\t|"
    r"[\x00-\x08\x0b-\x1f\x7f\ufffd]|\w_\w|\n\s*\n|[?!]\s|\.\.\.|…"
)
_BULLET = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Source:
    """One sentence: `text == passage.text[start:start+len(text)]`. `cut` are its tokens, tagged, without what
    stands in brackets; their offsets count in the passage. `resolved`: the sentence began with a pronoun,
    which `cut` replaces by what it stands for, and `text` begins with the sentence that names it.
    """

    passage: Passage
    text: str
    start: int
    cut: tuple[Token, ...]
    resolved: bool = False


def sources(passage: Passage) -> list[Source]:
    """The usable sentences of a passage in order."""
    found: list[Source] = []
    for span in _spans(passage.text):
        text = passage.text[span.start : span.end]
        if not _usable(text):
            continue
        cut = first_word(without_brackets(tag(tokens(passage.text, span.start, span.end))))
        if len(cut) >= 5 and cut[0].text[:1].isupper() | cut[0].text[:1].isdigit():
            here = Source(passage, text, span.start, tuple(cut))
            found.append(resolve(found[-1], here) if found else here)
    return found


def first_word(cut: list[Token]) -> list[Token]:
    """An adjective that begins a sentence is not a name for its capital letter."""
    if len(cut) > 1 and cut[0].tag == "NNP" and cut[1].tag in ("JJ", "NN", "NNS") and cut[1].text.islower():
        name = "JJ" if is_word(cut[0].low, "ADJ") else "NN" if is_word(cut[0].low, "NOUN") else "NNP"
        return [replace(cut[0], tag=name), *cut[1:]]
    return cut


def resolve(before: Source, here: Source) -> Source:
    """`here` with its first pronoun replaced by the subject of the sentence before, where that is meant."""
    gap = here.passage.text[before.start + len(before.text) : here.start]
    if gap.strip() or "\n\n" in gap:
        return here
    meant = antecedent(before.cut, here.cut)
    if meant is None:
        return here
    text = here.passage.text[before.start : here.start + len(here.text)]
    if len(text) > LONGEST:
        return here
    return Source(here.passage, text, before.start, (*meant, *here.cut[1:]), resolved=True)


def _spans(text: str) -> Iterator[Span]:
    """Sentences without bullets, cut also behind a reference mark that follows the full stop."""
    for span in sentences(text):
        start = span.start
        bullet = _BULLET.match(text, start, span.end)
        start = bullet.end() if bullet else start
        ends = [*_REFERENCE_END.finditer(text, start, span.end), *_LETTER_END.finditer(text, start, span.end)]
        for found in sorted(ends, key=lambda end: end.start()):
            yield Span(start, found.start("note"))
            start = found.end()
        if start < span.end:
            yield Span(start, span.end)


def _usable(text: str) -> bool:
    plain = _NOTE.sub("", text)
    if not SHORTEST <= len(text) <= LONGEST or not plain.rstrip("\"”’' ").endswith("."):
        return False
    if (
        _UNREADABLE.search(plain)
        or text[0] in "#>-*"
        or plain.count('"') % 2
        or plain.count("(") != plain.count(")")
    ):
        return False
    letters = sum(char.isalpha() for char in plain)
    return letters > 0.7 * len(plain.replace(" ", ""))


def without_brackets(cut: list[Token]) -> list[Token]:
    """The tokens outside round and square brackets."""
    kept = []
    depth = 0
    for token in cut:
        if token.text in "([":
            depth += 1
        elif token.text in ")]":
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(token)
    return kept
