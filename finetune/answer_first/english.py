"""English questions by rule: from a sentence to questions that can be understood without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from finetune.answer_first import selfcontained
from finetune.answer_first.asked import Asked
from finetune.answer_first.asking_numbers import about_numbers
from finetune.answer_first.asking_objects import about_objects
from finetune.answer_first.asking_reasons import about_reasons
from finetune.answer_first.asking_subjects import about_subjects
from finetune.answer_first.asking_time import about_time
from finetune.answer_first.clauses import CONDITIONS, Clause, clauses
from finetune.answer_first.lexicon import TAKES_INFINITIVE, base
from finetune.answer_first.phrases import FINITE, NOUNS, WH
from finetune.answer_first.selfcontained import vague_time
from finetune.answer_first.sources import Source
from finetune.answer_first.tagger import tag
from finetune.answer_first.tokens import Token, tokens
from finetune.answer_first.topic import Topic, topic_of

_SHORTEST, _LONGEST = 5, 32  # words of a question
_ANSWER_WORDS = 30
_SHORTENED = frozenset(
    ("when", "how many", "percentage", "subject", "agent", "where")
)  # the answer stays whole
_ADJUNCTS = frozenset(
    "in on at from with for by during after before when while because as through under until since within "
    "without over following using throughout if".split()
)
_FULL_STOP = re.compile(r"\.\?$")  # of a name or abbreviation that ended the sentence
_BAD = re.compile(
    r"\s[,;:]|,\s*\?|,\s*,|\b(\w+) \1\b|\(|\)|;"
    r"|\b(?:an?|the|of|and|or|by|at|that|which|who|in order|such|as|with|for|from|its|their) ?\?$"
)
_QUANTITY = re.compile(  # an answer that says how many, or others, where it should say what
    r"(?i)(?:various|several|many|some|few|all|both|most|other|another|any|each|every|no|certain|numerous|"
    r"(?:all )?(?:the )?(?:two|three|four|five|six|seven|eight|nine|ten)|"
    r"a (?:number|variety|few|lot|series)|more|less)\b"
)
_HELPERS = frozenset(
    """
    did does do who whom what which when where why how many much is was has
    """.split()
)
_LETTERS = re.compile(r"[^\W_]+")


def questions(source: Source) -> list[Asked]:
    """The questions that the rules make of one sentence, best first."""
    topic = topic_of(source.passage)
    kept: dict[tuple[int, int, str], Asked] = {}
    for found in clauses(source.cut):
        for short, one in _made(found):
            place = (one.start, one.end, one.pattern)
            good = _checked(one, source, topic) if place not in kept else None
            if good:
                kept[place] = replace(good, weight=round(good.weight - 0.05 * short, 3))
    return sorted(kept.values(), key=lambda one: (-one.weight, one.start, one.question))


def made_clear(one: Asked, source: Source) -> Asked | None:
    """A question that somebody else worded, its topic named in full; None where it is not clear alone."""
    return _checked(one, source, topic_of(source.passage))


def _made(found: Clause) -> Iterator[tuple[int, Asked]]:
    """What the rules make of a clause, and of its beginnings where the whole may say too much."""
    yield from ((0, one) for one in _all(found))
    cuts = [place for place in range(len(found.tail) - 1, 1, -1) if _may_end(found, place)]
    for short, place in enumerate(cuts[:4], 1):
        shorter = replace(found, tail=found.tail[:place], broken=False)
        yield from ((short, one) for one in _all(shorter) if one.pattern in _SHORTENED)
    if found.lead and found.lead[0].low not in CONDITIONS:
        yield from ((4, one) for one in _all(replace(found, lead=())) if one.pattern in _SHORTENED)


def _all(found: Clause) -> Iterator[Asked]:
    for rule in (about_time, about_numbers, about_subjects, about_objects, about_reasons):
        yield from rule(found)


def _may_end(found: Clause, place: int) -> bool:
    """Whether the tail may stop before `place`: an adjunct begins there."""
    here, before = found.tail[place], found.tail[place - 1]
    if before.tag not in (*NOUNS, "CD"):
        return False
    if any(token.tag in WH or token.low == "that" for token in found.tail[:place]):
        return False
    if here.tag == "TO" and (
        before.low == "order" or any(t.low in TAKES_INFINITIVE for t in found.tail[:place])
    ):
        return False
    infinitive = here.tag == "TO" and place + 1 < len(found.tail) and found.tail[place + 1].tag == "VB"
    return infinitive or here.low in _ADJUNCTS


def _checked(one: Asked, source: Source, topic: Topic | None) -> Asked | None:
    """The question when it reads well alone, with the topic named in full."""
    answer = source.passage.text[one.start : one.end]
    question = one.question
    if _QUANTITY.match(answer) and one.pattern in ("subject", "object", "agent", "preposition"):
        return None
    if len(answer.split()) > _ANSWER_WORDS or "\n\n" in answer or not _balanced(answer):
        return None
    cut = _tagged(question, source)
    reading = selfcontained.read(cut)
    told = selfcontained.read([token for token in source.cut if one.start <= token.start < one.end])
    if reading.vague and topic:
        question = topic.named_in(question, reading.vague)
        cut = _tagged(question, source)
        reading = selfcontained.read(cut)
    if not reading.clear or not told.clear or reading.vague or vague_time(cut):
        return None
    if [word for word in told.vague if not topic or word.casefold() != topic.noun] or _only(answer, topic):
        return None
    count = len(question.split())
    least = 3 if one.pattern == "definition" else _SHORTEST
    if not least <= count <= _LONGEST or _BAD.search(question) or not _balanced(question):
        return None
    if _said(answer) in _said(question):
        return None
    return replace(one, question=_FULL_STOP.sub("?", question))


def _tagged(question: str, source: Source) -> list[Token]:
    """The tokens of a question with the tags that they have in its sentence."""
    known = {base(token.text, token.tag): "VB" for token in source.cut if token.tag in FINITE}
    known |= {token.low: token.tag for token in reversed(source.cut)}
    return [
        token if token.low in _HELPERS else replace(token, tag=known.get(token.low, token.tag))
        for token in tag(tokens(question[:-1]))
    ]


def _only(answer: str, topic: Topic | None) -> bool:
    """Whether the answer is no more than "the <noun of the topic>"."""
    return topic is not None and answer.casefold().removeprefix("the ") == topic.noun


def _balanced(line: str) -> bool:
    return (
        line.count('"') % 2 == 0 and line.count("“") == line.count("”") and line.count("(") == line.count(")")
    )


def _said(text: str) -> str:
    return f" {' '.join(_LETTERS.findall(text.casefold()))} "
