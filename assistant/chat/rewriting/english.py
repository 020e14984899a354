"""English follow-ups resolved by rules: pronouns, "the war", "And in 1912?", "Who won?".

A rule puts in words of earlier turns only where something is surely missing. Which of several phrases is
meant is a guess: a person for "he", a thing for "it", the latest turn first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.chat.rewriting.history import Said
from assistant.chat.rewriting.phrases import Phrase, cut, phrases
from assistant.chat.rewriting.referents import (
    kind_meant,
    person_meant,
    place_meant,
    several_meant,
    thing_meant,
    topic,
)
from assistant.chat.rewriting.repeating import bare_question, repeated
from finetune.answer_first.tokens import Token

_PERSONAL = {
    "he": "person", "him": "person", "his": "person", "she": "person", "her": "person", "hers": "person",
    "it": "thing", "its": "thing", "they": "several", "them": "several", "their": "several",
    "theirs": "several",
}  # fmt: skip
_POINTING = frozenset({"this", "that", "these", "those"})
_MEANT = {"person": person_meant, "thing": thing_meant, "several": several_meant}
# "How long does it take to ...": this "it" means nothing.
_EMPTY_IT = re.compile(
    r"\bit (?:take|takes|took|cost|rain|rains|snow|snows|matter)\b"
    r"|\b(?:(?:is|was|be|becomes?) it|it (?:is|was|be)) (?:\w+ )?"
    r"(?:possible|true|necessary|likely|important|legal|illegal|safe|that|to)\b"
    r"|\b(?:is|was|be)(?:n['’]t)? it (?:\w+ ){1,2}to\b|\bwhat time is it\b|\bit seems?\b",
    re.IGNORECASE,
)
# Nouns of which there is only one, or which every question may have: "the" in front of them points nowhere.
_UNIQUE = frozenset(
    "sun moon earth world sky universe internet web heart brain body past future weather environment answer "
    "difference point same name example bible economy government law public people rest way".split()
)
# Adjectives that make nothing of a kind of its own.
_ANY_KIND = frozenset(
    "main first second last current exact final total official original biggest largest smallest highest "
    "most important average annual".split()
)
# Content words of questions that say nothing of what they are about.
_GENERAL = frozenset(
    "people person men women children members happen happened happens begin began start started end "
    "ended finish finished win won lose lost die died kill killed survive survived live lived cost "
    "built build made make founded found born leave left invented discovered wrote written involved "
    "responsible next after afterwards later before first last else more many much long far old big "
    "large tall high deep heavy fast often year years time times day days date place places month age "
    "reason reasons result results name names called did do does been take took taken participate "
    "participated attend opened open closed close replaced succeeded leader leaders examples example "
    "other others exactly again finally eventually".split()
)
_SHORT = re.compile(r"(?:\w+ )?(?:who|what|which|when|where|why|how)\S*(?: \S+){1,6}$", re.IGNORECASE)
_WORD = re.compile(r"[\w'’-]+")
_LINKING = frozenset(
    "who whom whose what which when where why how is are was were be am do does did has have had can "
    "could will would should may might must the a an of in on at to for from by with and or but so then "
    "about as into there any some all not no i you we me us my your our it also too than if because "
    "tell give show explain describe please ok okay well now".split()
)
_OPENING = re.compile(r"(?:and|but|so|ok|okay|then|also|well|now)\b[,\s]+(?=\w)", re.IGNORECASE)
_DEPENDENT = re.compile(
    r"\b(?:he|him|his|she|hers?|it|its|they|them|theirs?|this|that|these|those|there|then|ones?|former|latter|"
    r"same|such|other|others|else)\b|^(?:and|but|so|what about|how about|also)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Change:
    """Put `text` in place of question[start:end]."""

    start: int
    end: int
    text: str


def surely_alone(question: str) -> bool:
    """Whether nothing in the question can point to an earlier one."""
    named = any(word[0].isupper() for word in _WORD.findall(question)[1:])
    return named and len(question.split()) >= 5 and not _DEPENDENT.search(question)


def resolved(question: str, said: Sequence[Said]) -> str:
    """The question as it stands alone; itself where no rule finds something missing."""
    plain = " ".join(question.split())
    again = repeated(plain, said[-1]) or bare_question(plain, said[-1])
    if again is not None:
        return again
    words = cut(plain)
    own = phrases(plain, words)
    changes = _pronouns(plain, words, own, said) or _definite(plain, words, own, said)
    if changes:
        for change in reversed(changes):
            plain = plain[: change.start] + change.text + plain[change.end :]
        return _begun(plain)
    if _general(plain, own):
        about = topic(said)
        bare = plain.rstrip(" ?.!")
        return question if about is None else _begun(f"{bare} ({about}){plain[len(bare) :].strip() or '?'}")
    return question


def _begun(question: str) -> str:
    """Without "And", with a capital."""
    rest = _OPENING.sub("", question, count=1) if _OPENING.match(question) else question
    return rest[:1].upper() + rest[1:]


def _pronouns(
    question: str, words: Sequence[Token], own: Sequence[Phrase], said: Sequence[Said]
) -> list[_Change]:
    """For the first pronoun of each kind that means something from before."""
    changes: dict[str, _Change] = {}
    for place, token in enumerate(words):
        kind = _PERSONAL.get(token.low) or token.low
        change = None
        if kind in changes:
            continue
        if kind in _MEANT:
            change = _personal(question, token, kind, own, said)
        elif token.low in _POINTING:
            change = _pointing(words, place, own, said)
        elif token.low == "there" and token.tag != "EX" and not _existential(words, place):
            meant = place_meant(said)
            change = None if meant is None else _Change(token.start, token.end, f"in {meant}")
        elif token.low == "one" and place and words[place - 1].tag == "JJ":
            meant = kind_meant(said)
            change = None if meant is None else _Change(token.start, token.end, meant)
        if change:
            changes[kind] = change
    return sorted(changes.values(), key=lambda change: change.start)


def _personal(
    question: str, token: Token, kind: str, own: Sequence[Phrase], said: Sequence[Said]
) -> _Change | None:
    possessive = token.tag == "PRP$" or token.low in ("its", "their", "his")
    if token.low == "it" and _EMPTY_IT.search(question):
        return None
    if _bound(question, token, kind, possessive, own):
        return None
    meant = _MEANT[kind](said)
    if meant is None:
        return None
    return _Change(token.start, token.end, _possessive(meant) if possessive else meant)


def _existential(words: Sequence[Token], place: int) -> bool:
    """ "Are there ...", "How many are there"."""
    be = ("is", "are", "was", "were", "be", "been")
    beside = words[max(0, place - 1) : place + 2]
    last = place + 1 >= len(words) or not words[place + 1].text[0].isalnum()
    return any(token.low in be for token in beside) and not last


def _bound(question: str, token: Token, kind: str, possessive: bool, own: Sequence[Phrase]) -> bool:
    """Whether the question itself says what the pronoun means: only a possessive, or one behind a comma or a
    conjunction, can mean a phrase of its own clause.
    """
    before = [phrase for phrase in own if phrase.end <= token.start]
    fitting = [phrase for phrase in before if _fits(phrase, kind)]
    if not fitting:
        return False
    between = question[fitting[-1].end : token.start]
    clause = re.search(
        r"[,;:.?!]|\b(?:when|after|before|because|while|if|that|and|but|since|where|who)\b", between
    )
    return possessive or clause is not None


def _fits(phrase: Phrase, kind: str) -> bool:
    if kind == "person":
        return phrase.person or (phrase.role and not phrase.asked)
    if kind == "several":
        return phrase.plural
    return not phrase.plural and not phrase.asked


def _pointing(
    words: Sequence[Token], place: int, own: Sequence[Phrase], said: Sequence[Said]
) -> _Change | None:
    """ "that", "this treaty", "these cells"."""
    token = words[place]
    here = next((phrase for phrase in own if phrase.start == token.start), None)
    if here is not None:  # with its noun
        if any(phrase.head == here.head for phrase in own if phrase.end <= here.start):
            return None
        named = _same_head(here.head, said)
        if named is not None:
            return _Change(here.start, here.end, named)
        about = topic(said)
        return None if about is None else _Change(here.end, here.end, f" ({about})")
    if place == 0:  # "That means ...": what was said, not a thing
        return None
    after = words[place + 1 :]
    alone = not after or not after[0].text[0].isalnum()
    alone = alone or after[0].tag.startswith("RB") or after[0].low in ("more", "again", "in")
    if not alone and (token.tag not in ("DT", "PDT") or after[0].tag.startswith(("NN", "JJ", "PRP"))):
        return None
    meant = several_meant(said) if token.low in ("these", "those") else thing_meant(said)
    return None if meant is None else _Change(token.start, token.end, meant)


def _definite(
    question: str, words: Sequence[Token], own: Sequence[Phrase], said: Sequence[Said]
) -> list[_Change]:
    """ "the war" of an earlier "Franco-Prussian War"; "the population" of what was spoken of."""
    for phrase in own:
        if not phrase.definite or phrase.named or " of " in phrase.text:
            continue
        named = _same_head(phrase.head, said)
        short = len(phrase.text.split()) <= 3
        if named is not None and short and named.casefold() != phrase.text.casefold():
            return [_Change(phrase.start, phrase.end, named)]
    if any(phrase.named for phrase in own) or re.search(r"\d", question) or not _SHORT.match(question):
        return []
    for phrase in own:
        sole = [other for other in own if other is not phrase and other.head not in _GENERAL]
        if (
            phrase.definite
            and _bare(phrase)
            and not sole
            and phrase.head not in _UNIQUE
            and not _complement(words, phrase)
        ):
            about = topic(said)
            return [] if about is None else [_Change(phrase.end, phrase.end, f" of {about}")]
    return []


def _bare(phrase: Phrase) -> bool:
    """ "the population", "the main causes": no more than that."""
    _the, *between, _noun = phrase.text.casefold().split()
    return len(between) <= 2 and all(word in _ANY_KIND for word in between)


def _complement(words: Sequence[Token], phrase: Phrase) -> bool:
    """Whether what follows the phrase says of what it is."""
    after = next((token for token in words if token.start >= phrase.end), None)
    return after is not None and after.low in (
        "of",
        "for",
        "to",
        "that",
        "which",
        "who",
        "in",
        "between",
        "from",
    )


def _same_head(head: str, said: Sequence[Said]) -> str | None:
    """A fuller phrase of an earlier turn that ends in this noun."""
    for one in reversed(said):
        for phrase in phrases(one.question) + phrases(one.short_answer):
            fuller = len(phrase.text.split()) > 1 and phrase.text.casefold() != f"the {head}"
            if (
                phrase.head == head
                and not phrase.asked
                and fuller
                and (phrase.named or " of " in phrase.text)
            ):
                return phrase.text
    return None


def _general(question: str, own: Sequence[Phrase]) -> bool:
    """Whether every content word of the question could be asked of anything."""
    if any(phrase.named for phrase in own) or re.search(r"\d", question):
        return False
    content = [word.casefold() for word in _WORD.findall(question)]
    asked = [word for word in content if word not in _LINKING]
    return bool(asked) and all(word in _GENERAL for word in asked)


def _possessive(phrase: str) -> str:
    name = re.sub(r"^the \S+ \((.+)\)$", r"\1", phrase)  # "the university (Yale)"
    return f"{name}’" if name.endswith("s") else f"{name}’s"
