"""Questions that need two passages: pairs of passages linked by a name, and bridges that rules can build.

A link is a name that both passages hold and few others do, or the title of one in the text of the other.
Rules only cross it where a fact of one passage leads to a fact of the other ("X was born in Y", "Z is the
capital of Y"); a model may do more with a pair.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from corpora.prompt import language_of
from corpora.records import Passage
from finetune.candidates import Candidate
from finetune.self_kg.extract import by_rule
from finetune.self_kg.forms import lemma
from finetune.self_kg.graph import Graph
from finetune.self_kg.names import NameIndex
from finetune.self_kg.questions import two_hop
from finetune.self_kg.records import Edge, distinct, node_key
from index.stopwords import ENGLISH

VERSION = "multi-hop-1"
_MOST_OF_A_NAME = 6  # passages; what more of them hold links nothing
_PAIRS_OF_A_PASSAGE = 2
_ENGLISH = re.compile(
    r"(?<![\w.])[A-Z][\w'’&-]*\w(?: (?:(?:of|the|de|von|van|al) ){0,2}(?:[A-Z][\w'’&-]*\w|[IVX]+\b))*"
)
# Names in Chinese carry no capitals: what stands in title marks, or a name in Latin letters or with a dot.
_CHINESE = re.compile(
    r"《(?P<title>[^》]{3,20})》|(?P<foreign>[\u3400-\u9fff]{1,6}(?:[·・][\u3400-\u9fff]{1,8})+)"
    r"|(?P<latin>[A-Z][A-Za-z]*[A-Z0-9][A-Za-z0-9]*|[A-Z][a-z]+(?: [A-Z][a-z]+)+)"
)
_NO_LINK = re.compile(  # days and months, peoples and other adjectives, labels of references
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|January|February|March|April|May|June|July|August|September|"
    r"October|November|December|\w+(?:ian|ean|ish|ese|ic|ism|ists?)|ISBN|ISSN|PDF|HTTPS?|Arabs?|Muslims?"
)


def linked_pairs(
    passages: Sequence[Passage], per_passage: int = _PAIRS_OF_A_PASSAGE
) -> list[tuple[Passage, Passage, str]]:
    """Pairs of passages that share a rare name, with the name; the rarest names first.

    A passage is in at most `per_passage` pairs, a pair comes once, neighbours of one document are left out
    (they may overlap), and the order depends on the passages alone.
    """
    ranked = [
        (-math.log(len(passages) / len(there)) - 0.5 * (len(name) > 8), one, two, name)
        for name, there in _holders(passages).items()
        if 2 <= len(there) <= _MOST_OF_A_NAME
        for place, one in enumerate(there)
        for two in there[place + 1 :]
        if _apart(passages[one], passages[two])
    ]
    taken: Counter[int] = Counter()
    seen: set[tuple[int, int]] = set()
    pairs: list[tuple[Passage, Passage, str]] = []
    for _, one, two, name in sorted(ranked):
        if (one, two) not in seen and max(taken[one], taken[two]) < per_passage:
            seen.add((one, two))
            taken.update((one, two))
            pairs.append((passages[one], passages[two], name))
    return pairs


def bridges(passages: Sequence[Passage]) -> list[Candidate]:
    """Questions through two passages by rule; each quote holds one of the two facts.

    Both facts must come from different passages, and no other fact may say something else about the first.
    """
    edges: list[Edge] = distinct(edge for passage in passages for edge in by_rule(passage))
    found: list[Candidate] = []
    for candidate in two_hop(Graph(edges, closed=False), "rules"):
        if len({claimed.passage.id for claimed in candidate.claimed}) == 2:
            found.append(
                Candidate(
                    "self-qa",
                    "multi-hop",
                    candidate.language,
                    candidate.question,
                    candidate.answer,
                    candidate.claimed,
                    "rules",
                    VERSION,
                    order=1.0,
                )
            )
    return found


def _apart(one: Passage, two: Passage) -> bool:
    return one.document_id != two.document_id or abs(one.ordinal - two.ordinal) > 1


def _holders(passages: Sequence[Passage]) -> dict[str, list[int]]:
    """Names to the passages that hold them, by position; a document's first passage holds its title."""
    titles: dict[str, tuple[str, int]] = {}
    for at, passage in enumerate(passages):
        title = _title(passage)
        if passage.ordinal == 0 and len(title) > 2 and not _common(title):
            titles.setdefault(node_key(title), (title, at))
    index = NameIndex(titles)
    holders: dict[str, list[int]] = {}
    for at, passage in enumerate(passages):
        for name in _names(passage):
            holders.setdefault(name, []).append(at)
        for key in index.found(passage.text):
            title, home = titles[key]
            if passages[home].document_id != passage.document_id:
                holders.setdefault(title, []).extend((home, at))
    return {name: sorted(set(there)) for name, there in holders.items()}


def _title(passage: Passage) -> str:
    return re.sub(r" \([^()]*\)$", "", (passage.heading or "").split(" > ")[0].strip())


def _names(passage: Passage) -> Iterator[str]:
    """The names in a passage that are not what its whole document is about, each once."""
    about = f"{passage.heading or ''} {passage.path}".replace("_", " ").casefold()
    chinese = language_of(passage.text) == "zh"
    seen: set[str] = set()
    for found in (_CHINESE if chinese else _ENGLISH).finditer(passage.text):
        name = next(filter(None, found.groups()), found[0]) if chinese else _english_name(passage.text, found)
        if (
            len(name) > 3
            and name not in seen
            and name.casefold() not in about
            and not _NO_LINK.fullmatch(name)
        ):
            seen.add(name)
            yield name


def _english_name(text: str, found: re.Match[str]) -> str:
    """The name without the word that only opens the sentence and without a genitive; "" for none."""
    words = re.sub(r"['’]s?$", "", found[0]).split()
    before = text[: found.start()].rstrip(" \"“'(")
    opens = not before or before[-1] in ".!?:#-*\n"
    while words and words[0].casefold() in ENGLISH:
        words = words[1:]
    if not words or (len(words) == 1 and (opens or _common(words[0]))):
        return ""
    return " ".join(words)


def _common(word: str) -> bool:
    """Whether an English word with a capital is one of the language rather than a name."""
    return word.isascii() and bool(lemma(word.casefold()))
