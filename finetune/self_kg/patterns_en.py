"""Facts that English sentences say in so many words: patterns with names at both ends.

A subject stands at the start of its sentence, as a proper name or as the title of the passage; never as a
pronoun or as "the Committee". What follows an object must show that it is whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune.self_kg.asking import DATE_EN
from finetune.self_kg.forms import lemma
from index.stopwords import ENGLISH

Fact = tuple[str, str, str]  # subject, relation, object

_CAP = r"[A-Z][\w'’&-]*\w|[A-Z]\.(?= [A-Z])|[IVX]+\b"
_LINK = r"(?:(?:of|the|de|la|le|von|van|der|den|al|du|di|da|bin|ibn|y) ){1,2}"
_NAME = rf"(?:[Tt]he )?(?:{_CAP})(?: (?:{_LINK})?(?:{_CAP}|\d{{1,4}}\b))*"
_NAMES = rf"{_NAME}(?:, {_NAME}(?=,))*(?:,? and {_NAME})?"
_PLACE = rf"{_NAME}(?:, {_NAME})*"
_ASIDE = re.compile(r" \([^()]{1,120}\)| \[[^\]]{1,40}\]")
_HEAD = re.compile(_NAME)
_GOES_ON = r"and|but|who|which|when|where|a|an|the|in|on|at|as|with"
_ABBREVIATED = r"(?<! St)(?<! Mr)(?<! Dr)(?<! Gen)(?<! Lt)(?<! Col)(?<! Mt)(?<! Ft)(?<! [A-Z])"
_LAST = rf"{_ABBREVIATED}(?=[.;!?)]|$|, (?:{_GOES_ON}) )"
_END = (
    rf"{_ABBREVIATED}(?=[.;:!?)]|,(?! [A-Z])|$|, (?:{_GOES_ON}) "
    r"| (?:in|on|at|from|until|since|for|as|to|during|after|before|who|which|when|where|with) )"
)
_DATE = rf"(?P<o>{DATE_EN})(?![\w–-])"
_MONTHLY = r"[\w ,]{0,8}[A-Z][a-z]{2,8}[\w ,]{4,12}"  # a date with its month: years alone may be a reign
_PIECE = re.compile(
    r"(?:Version|Chapter|Section|Phase|Stage|Part|Step|Figure|Table|Volume|Article|Type) [\dIVX]"
)
_ADVERB = r"(?:first |originally |officially |formally |later |also |initially |jointly )?"
_MADE = (
    "founded created established invented discovered written designed built developed introduced published "
    "directed composed painted proposed commissioned produced formed coined conquered acquired"
)
_SINCE = (
    "founded created established invented discovered written built opened published formed completed "
    "released launched abolished dissolved"
)
_DID = "founded invented discovered wrote designed composed directed painted established conquered"
_ROLES = (
    "capital|founder|president|prime minister|king|queen|emperor|chairman|director|mayor|governor|"
    "author|leader|inventor|composer|architect|successor|predecessor|wife|husband|father|mother|"
    "official language|national animal|national anthem|birthplace|headquarters|commander|designer|"
    "patron saint|currency"
)
_ORDINAL = r"(?:(?:first|second|third|fourth|fifth|sixth|last|only|current|\w+est) )?"
# What may stand between "is a" and "directed by" without the latter belonging to something else.
_THING = r"(?:(?!of |on |by |that |which |and |from |about |for |in )[\w'’-]+ ){1,8}?"


def _any(words: str) -> str:
    return "|".join(words.split())


# Behind the subject. "<" puts the object first: the capital of the object is the subject.
_BEHIND = tuple(
    (relation, re.compile(pattern))
    for relation, pattern in (
        ("{v} by", rf" (?:was|were|is) {_ADVERB}(?P<v>{_any(_MADE)}) by (?P<o>{_NAMES}){_END}"),
        ("{v} by", rf" (?:is|was) an? {_THING}(?P<v>{_any(_MADE)}) by (?P<o>{_NAMES}){_END}"),
        ("{v} in", rf" (?:was|were) {_ADVERB}(?P<v>{_any(_SINCE)}) (?:by {_NAMES} )?(?:in|on) {_DATE}"),
        ("{v}", rf" {_ADVERB}(?P<v>{_any(_DID)}) (?P<o>{_NAMES}){_END}"),
        ("born in", rf" was born (?:on [\w ,]{{4,20}} )?in (?P<o>{_NAME}(?:, {_NAME})?){_LAST}"),
        ("born on", rf" was born (?:in|on) {_DATE}"),
        ("died in", rf" died (?:on [\w ,]{{4,20}} )?in (?P<o>{_NAME}(?:, {_NAME})?){_LAST}"),
        ("died on", rf" died (?:in|on) {_DATE}"),
        ("born on", rf" \((?:born |b\. ){_DATE}(?:\)| ?[–-])"),
        ("born on", rf" \({_DATE} ?[–-] ?{_MONTHLY}\)"),
        ("died on", rf" \((?:born )?{_MONTHLY} ?[–-] ?{_DATE}\)"),
        (
            "located in",
            rf" (?:is|are|was) (?:an? {_THING})?(?:located|situated|headquartered|based) in "
            rf"(?P<o>{_PLACE}){_LAST}",
        ),
        ("part of", rf" (?:is|was) (?:a )?part of (?P<o>{_NAME}){_LAST}"),
        ("member of", rf" (?:is|was) a (?:founding )?member of (?P<o>{_NAME}){_LAST}"),
        ("<{r}", rf" (?:is|was|became) the (?P<r>{_ORDINAL}(?:{_ROLES})) of (?P<o>{_NAME}){_END}"),
        ("<{r}", rf" is the (?P<r>[a-z]{{3,}}est [a-z]+(?: [a-z]+)?) (?:in|of) (?P<o>{_NAME}){_LAST}"),
        (
            "also known as",
            rf"(?:,| is| was) (?:also|sometimes|formerly) (?:known as|called) "
            rf"(?:the )?[\"“]?(?P<o>{_NAME})[\"”]?{_LAST}",
        ),
    )
)
_CAPITAL = re.compile(
    rf"(?<!, )(?<!\w)(?P<s>{_NAME}), the (?:national )?capital(?: city)? of (?P<o>{_NAME}){_END}"
)
_ACRONYM = re.compile(r"(?P<o>(?:[\w-]+ ){1,8}[A-Z][\w-]+) \((?P<s>[A-Z]{2,8})\)")


def facts(sentence: str, title: str) -> Iterator[Fact]:
    """The facts of one sentence. `title` is what its passage is about, "" where unknown."""
    for found in _ACRONYM.finditer(sentence):
        full = _spelled_out(found["o"], found["s"])
        if full:
            yield found["s"], "stands for", full
    for found in _CAPITAL.finditer(sentence):
        yield found["o"], "capital", found["s"]
    title = re.sub(r" \([^()]*\)$", "", title)
    subject = _subject(sentence, title)
    if not subject:
        return
    ends = {len(subject)}
    aside = _ASIDE.match(sentence, len(subject))
    if aside:
        ends.add(aside.end())
    for relation, pattern in _BEHIND:
        for end in sorted(ends):
            fact = pattern.match(sentence, end)
            if fact is not None:
                yield from _read(relation, fact, _whole(subject, title))


def _subject(sentence: str, title: str) -> str:
    """The name that the sentence begins with, "" for none."""
    for opening in ("", "The "):
        named = f"{opening}{title}"
        if title and sentence[: len(named)].casefold() == named.casefold():
            return sentence[: len(named)] if not sentence[len(named) : len(named) + 1].isalnum() else ""
    found = _HEAD.match(sentence)
    return found[0] if found is not None and _is_name(found[0], opens=True) else ""


def _whole(subject: str, title: str) -> str:
    """The title for a part of it: "Craft" says who in a passage about Charles Craft only."""
    bare = re.sub(r"^[Tt]he ", "", subject)
    words = title.split()
    if len(words) > 1 and bare in (words[0], words[-1]) and title[0].isupper():
        return title
    return f"the {bare}" if bare != subject else subject


def _read(relation: str, found: re.Match[str], subject: str) -> Iterator[Fact]:
    object_ = found["o"].strip()
    if not _is_name(object_, opens=False):
        return
    groups = found.groupdict()
    name = relation.lstrip("<").format(v=groups.get("v"), r=groups.get("r"))
    if relation.startswith("<"):
        yield object_, name, subject
        return
    several = re.split(r", and |, | and ", object_) if relation in ("{v} by", "{v}") else [object_]
    for one in several:
        yield subject, name, one


def _is_name(name: str, *, opens: bool) -> bool:
    """Whether it names something: no pronoun, no "The Committee", no adverb that opens a sentence."""
    bare = re.sub(r"^[Tt]he ", "", name)
    words = bare.split()
    if not words or len(name) > 80 or (opens and words[0].casefold() in ENGLISH):
        return False
    if _PIECE.match(bare):
        return False
    if len(words) == 1 and bare != name and bare[0].isupper():
        return not _is_common(bare.casefold())
    return not (opens and len(words) == 1 and words[0].endswith("ly"))


def _is_common(word: str) -> bool:
    return bool(lemma(word, "NOUN"))


def _spelled_out(words: str, acronym: str) -> str:
    """The shortest end of `words` whose capitals are the acronym and which begins with one of them."""
    pieces = words.split()
    for at in range(len(pieces) - 1, -1, -1):
        name = " ".join(pieces[at:])
        if pieces[at][0] == acronym[0] and "".join(filter(str.isupper, name)) == acronym:
            return name
    return ""
