"""Questions changed so that their passage no longer answers them, in the ways in which people do it.

SQuAD 2's writers of unanswerable questions swapped names and numbers, took antonyms, negated, or asked about
another thing (Rajpurkar et al. 2018, arXiv 1806.03822, table 2). A changed question beside the one that it
comes from is a minimal pair: only the detail tells them apart.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_PAIRS = """
first last|before after|increase decrease|increased decreased|increases decreases|increasing decreasing
largest smallest|larger smaller|large small|more less|most least|highest lowest|higher lower|high low
early late|earlier later|earliest latest|north south|northern southern|east west|eastern western
oldest newest|older younger|oldest youngest|old new|begin end|began ended|begins ends|beginning end
start stop|started stopped|starts stops|allow prevent|allowed prevented|allows prevents|cause prevent
caused prevented|causes prevents|include exclude|included excluded|includes excludes|positive negative
majority minority|inside outside|internal external|win lose|won lost|best worst|good bad|strong weak
stronger weaker|strongest weakest|rich poor|public private|above below|open closed|opened closed
always never|support oppose|supported opposed|supports opposes|accept reject|accepted rejected
accepts rejects|create destroy|created destroyed|creates destroys|build destroy|built destroyed|rise fall
rose fell|maximum minimum|ancient modern|major minor|possible impossible|known unknown|common rare
commonly rarely|often rarely|usually seldom|easy difficult|fast slow|faster slower|male female|king queen
men women|man woman|father mother|son daughter|day night|summer winter|left right|import export
imported exported|attack defend|attacked defended|love hate|friend enemy|allies enemies|victory defeat
defeated joined|enter leave|entered left|join leave|joined left|buy sell|bought sold|hot cold|warm cold
hard soft|legal illegal|true false|similar different|same different|direct indirect|directly indirectly
natural artificial|simple complex|upper lower|top bottom|front back|arrive leave|arrived left|gain lose
gained lost|innate adaptive|conservative liberal|attract repel|attracted repelled|active inactive
formal informal|permanent temporary|finite infinite|deterministic random|successful unsuccessful
present absent|presence absence|gave took|give take|teach learn|push pull|advantage disadvantage
advantages disadvantages|richer poorer|inner outer|urban rural|domestic foreign|local national
senior junior|founded abolished|established abolished|found lost|discovered lost|released imprisoned
agree disagree|agreed refused|agreed disagreed|expand shrink|expanded shrank|reduce increase
reduced raised|raise lower|raised lowered|added removed|add remove|protect harm|protects harms
help hinder|helped hindered|helps hinders|appointed dismissed|praised criticized|praise criticize
encouraged discouraged|encourage discourage|solvable unsolvable|constant variable|heavy light|long short
longer shorter|longest shortest|wide narrow|deep shallow|alive dead|born dead|lived died
"""
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*\b")
_NUMBER = re.compile(r"(?<![\w.,/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w/-]|[.,]\d)")
_WORD = re.compile(r"\b[a-z]{4,}\b")
_VERB = re.compile(r"\b(is|are|was|were|did|does|do|can|could|will|would|has|have|had|may|should)\b")
_SUBJECT = re.compile(r" (?:the |a |an )?[\w'-]+(?: [A-Z][\w'-]+)*")
_PLAIN = frozenset(
    "what which whom when where does have been were that this with from name type kind many much would could "
    "should about into their there they them these those than then also being used called known term other "
    "some such over under between during while after before because through".split()
)
_STEPS = (-20, -10, -7, -3, -2, -1, 1, 2, 3, 10, 20, 100)


def _opposites() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in _PAIRS.replace("\n", "|").split("|"):
        if pair:
            one, other = pair.split()
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return found


_OPPOSITES = _opposites()


class Alterer:
    """Changes questions about the passages of one article."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._names = sorted({name for text in texts for name in _NAME.findall(text)})
        self._words = sorted({word for text in texts for word in _content(text)})

    def alter(self, question: str, text: str, rng: random.Random) -> str | None:
        """`question`, which `text` answers, with one detail changed; None where nothing can be."""
        ways = [
            (0.0, self._opposite),
            (0.0, self._number),
            (0.25, self._name),
            (0.5, self._other),
            (0.9, self._negated),
        ]
        ways = [(rng.random() + late, way) for late, way in ways]  # the likelier, the more natural
        for _, way in sorted(ways, key=lambda one: one[0]):
            altered = way(question, text, rng)
            if altered is not None:
                return altered
        return None

    def _opposite(self, question: str, text: str, rng: random.Random) -> str | None:
        found = [one for one in _WORD.finditer(question) if one[0] in _OPPOSITES]
        if not found:
            return None
        one = rng.choice(found)
        other = rng.choice(_OPPOSITES[one[0]])
        return None if re.search(rf"\b{other}\b", text) else _put(question, one, other)

    def _number(self, question: str, text: str, rng: random.Random) -> str | None:
        found = [one for one in _NUMBER.finditer(question) if one[0] in text]
        if not found:
            return None
        one = rng.choice(found)
        if not one[0].isdecimal():
            other = one[0][:-1] + str((int(one[0][-1]) + rng.randint(1, 9)) % 10)
        elif int(one[0]) > 120:
            other = str(int(one[0]) + rng.choice(_STEPS))
        else:
            other = str(int(one[0]) + rng.choice((1, 2, 3, 5, 10)))
        return None if other in text else _put(question, one, other)

    def _name(self, question: str, text: str, rng: random.Random) -> str | None:
        found = [one for one in _NAME.finditer(question) if one[0] in text]
        here = set(text.split())
        away = [name for name in self._names if name not in question and not set(name.split()) & here]
        if not found or not away:
            return None
        one = rng.choice(found)
        alike = [name for name in away if len(name.split()) == len(one[0].split())]
        return _put(question, one, rng.choice(alike or away))

    def _other(self, question: str, text: str, rng: random.Random) -> str | None:
        here = _content(text)
        found = [one for one in _WORD.finditer(question) if one[0] in here]
        if not found:
            return None
        one = rng.choice(found)
        word = one[0]
        away = [
            other
            for other in self._words
            if other[-2:] == word[-2:] and abs(len(other) - len(word)) < 5 and other[:4] != word[:4]
            if other not in here and other not in question
        ]
        return _put(question, one, rng.choice(away)) if away else None

    def _negated(self, question: str, text: str, rng: random.Random) -> str | None:
        found = list(_VERB.finditer(question, 1))
        if not found or " not " in question or "n't" in question:
            return None
        end = found[-1].end()
        if found[-1][1] in ("did", "does", "do"):
            subject = _SUBJECT.match(question, end)
            end = subject.end() if subject else end
        return f"{question[:end]} not{question[end:]}"


def _content(text: str) -> set[str]:
    return {word for word in _WORD.findall(text) if word not in _PLAIN}


def _put(question: str, old: re.Match[str], new: str) -> str:
    return question[: old.start()] + new + question[old.end() :]
