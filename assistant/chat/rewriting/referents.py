"""What a pronoun of a follow-up most likely means: a phrase of the questions and answers before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from assistant.chat.rewriting.history import Said
from assistant.chat.rewriting.phrases import Phrase, cut, phrases

_LONGEST = 12  # words of a phrase that is put into a question
_NO_THINGS = frozenset(
    "year month day date time century decade way reason extent percentage part kind type".split()
)
_WHO = re.compile(r"^(?:\w+ )?(?:who|whom|whose)\b", re.IGNORECASE)
_WHICH = re.compile(r"^(?:\w+ ){0,2}(?:which|what)\b", re.IGNORECASE)
_IS_WHO = re.compile(r"^who (?:is|was) (the .+?)\s*\?*$", re.IGNORECASE)
_DID_WHO = re.compile(r"^who ((?!is\b|was\b|were\b|did\b|does\b)\w+ .+?)\s*\?*$", re.IGNORECASE)
_DOING = re.compile(r"\b(?:do|does|did)\b", re.IGNORECASE)
_WHERE = re.compile(r"^(?:\w+ )?(?:where|which|what)\b", re.IGNORECASE)


def person_meant(said: Sequence[Said]) -> str | None:
    """Who "he" or "she" is."""
    for one in reversed(said):
        if _WHO.match(one.question):
            return _answerer(one)
        people = _people(_told(one))
        if people:
            return max(people, key=lambda name: " " in name)
        answered = _people(phrases(one.short_answer, begins_named=True))
        if answered:
            return answered[0]
    return None


def _answerer(one: Said) -> str | None:
    """The person that a who-question asks for: by the name in its answer, else by what it says of them."""
    asked = one.question.casefold()
    new = [name for name in _people(phrases(one.answer, begins_named=True)) if name.casefold() not in asked]
    if new:
        return new[0]
    described = _IS_WHO.match(one.question)
    if described:
        return described[1]
    did = _DID_WHO.match(one.question)
    if did and len(did[1].split()) <= _LONGEST + 4:
        return f"the person who {did[1]}"
    people = _people(_told(one))
    return people[0] if people else None


def thing_meant(said: Sequence[Said]) -> str | None:
    """What "it" or "that" is."""
    for one in reversed(said):
        told = _told(one)
        asked = _asked_thing(one, told)
        if asked is not None:
            return asked
        things = [phrase for phrase in told if not phrase.plural]
        names = [phrase for phrase in things if phrase.named and not phrase.person]
        best = (
            [phrase for phrase in names if not phrase.place]
            or names
            or [phrase for phrase in things if not phrase.named and phrase.definite]
            or [phrase for phrase in things if not phrase.named]
        )
        if best:
            return _with_name(best[0], told)
        if things:  # names that might be people's: what they did something to comes last
            return _text(things[-1] if _DOING.search(one.question) else things[0])
        if told:
            return _text(told[0])
    return None


def _asked_thing(one: Said, told: Sequence[Phrase]) -> str | None:
    """ "the calendar (the Shoushi Li)": what "Which calendar ...?" asks for, with its answer or a name."""
    found = next((phrase for phrase in phrases(one.question) if phrase.asked and not phrase.plural), None)
    if found is None or not _WHICH.match(one.question) or found.role or found.head in _NO_THINGS:
        return None
    answer = one.short_answer.rstrip(" .!?")
    named = any(phrase.named for phrase in phrases(answer, begins_named=True))
    if not named and not re.match(r"(?:\w+ )?which\b", one.question, re.IGNORECASE):
        return None
    name = answer or next((_text(phrase) for phrase in told if phrase.named), "")
    return f"the {found.text} ({name})" if name else None


def several_meant(said: Sequence[Said]) -> str | None:
    """Who or what "they" are."""
    for one in reversed(said):
        told = _told(one)
        many = [phrase for phrase in told if phrase.plural]
        if many:
            return _with_name(many[0], told)
        asked = [phrase for phrase in phrases(one.question) if phrase.asked and phrase.plural]
        if asked and one.short_answer[:1].isupper():
            return one.short_answer.rstrip(" .!?")
        if asked and told:
            return f"the {re.sub(r'^(?:many|much) ', '', asked[0].text)} ({_text((_named(told) or told)[0])})"
    return thing_meant(said)


def kind_meant(said: Sequence[Said]) -> str | None:
    """What "one" of "a new one" is: a phrase without its article and first adjective."""
    for one in reversed(said):
        for phrase in _told(one):
            words = cut(phrase.text)
            while words and words[0].tag in ("DT", "JJ", "PRP$") and len(words) > 1:
                words = words[1:]
            if words and not phrase.person:
                return phrase.text[words[0].start :]
    return None


def place_meant(said: Sequence[Said]) -> str | None:
    """Where "there" is."""
    for one in reversed(said):
        if _WHERE.match(one.question):
            answered = _named(phrases(one.short_answer, begins_named=True))
            if answered:
                return _text(answered[0])
        told = _told(one)
        best = [phrase for phrase in told if phrase.place and phrase.named] or _named(told)
        if best:
            return _text(best[0])
    return None


def topic(said: Sequence[Said]) -> str | None:
    """What the talk is about: the first named phrase of the latest question that has one, else its first."""
    for one in reversed(said):
        told = _told(one)
        if told:
            return _text((_named(told) or told)[0])
    return None


def _told(one: Said) -> list[Phrase]:
    """The phrases of a question that are not what it asks for."""
    return [
        phrase
        for phrase in phrases(one.question)
        if not phrase.asked and len(phrase.text.split()) <= _LONGEST
    ]


def _people(found: Sequence[Phrase]) -> list[str]:
    """The names of people among phrases; "the engineer Anna Kerr" holds one."""
    names = (re.sub(r"^(?:[Tt]he )?(?:[a-z][\w-]* )+(?=[A-Z])", "", _text(phrase)) for phrase in found)
    return [name for name, phrase in zip(names, found, strict=True) if replace(phrase, text=name).person]


def _named(found: Iterable[Phrase]) -> list[Phrase]:
    return [phrase for phrase in found if phrase.named and len(phrase.text.split()) <= _LONGEST]


def _with_name(phrase: Phrase, told: Sequence[Phrase]) -> str:
    """A phrase without a name beside the first name of its question: "the embargo (OPEC)"."""
    name = next((other for other in told if other.named), None)
    return _text(phrase) if phrase.named or name is None else f"{_text(phrase)} ({_text(name)})"


def _text(phrase: Phrase) -> str:
    """Its words; "the" in small letters."""
    return re.sub(r"^The\b", "the", phrase.text)
