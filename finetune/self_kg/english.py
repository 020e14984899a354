"""Relations in English: from the name of a relation to grammatical questions.

A few common relations are listed; the others are read by their parts of speech ("interacts_with" is a verb
with a preposition, "location_of" a noun). A name that cannot be read for certain gives no question.
"""

from __future__ import annotations

from functools import lru_cache

from finetune.self_kg.asking import Asking, Ending, Phrases, relation_words
from finetune.self_kg.forms import inflected, lemma

_PREPOSITIONS = frozenset("in on at by with to from for of as into through under over during about".split())
_PERSONS = frozenset(
    "author founder creator inventor president chairman chair director ceo leader king queen mayor "
    "emperor governor wife husband spouse father mother son daughter brother sister child parent composer "
    "writer architect designer discoverer owner chancellor dean coach captain successor predecessor boss "
    "manager head teacher student advisor employee employer minister secretary".split()
)
_WHO = frozenset(  # verbs whose agent is a person or an organisation
    "found create form write invent discover direct design compose develop paint build establish publish "
    "produce author propose introduce commission lead own marry acquire name organize host coach".split()
)
_AGENTS = {
    "found": "founder",
    "create": "creator",
    "write": "author",
    "invent": "inventor",
    "discover": "discoverer",
    "direct": "director",
    "design": "designer",
    "compose": "composer",
    "develop": "developer",
    "publish": "publisher",
    "own": "owner",
    "lead": "leader",
}
_LASTING = frozenset(
    "locate situate base headquarter associate connect relate adjoin compose make own use".split()
)
_EITHER_WAY = frozenset(  # noun or verb, which is to say: from one end or from the other
    "cause treat affect use influence need support produce control regulate target contact".split()
)
_RELATIVES = frozenset("wife husband spouse father mother son daughter brother sister child parent".split())
_PARTICLES = frozenset("out up off down".split())
_NOUNS_IN_S = frozenset("drugs parents authors genres subjects spouses hosts guests languages awards".split())
_KIND = Phrases(
    Asking("What is {} a kind of?", "What are the broader categories of {}?", "the broader category of {}"),
    Asking("What is a kind of {}?", "What are the kinds of {}?"),
    "{s} is a kind of {o}.",
)
_PLACE = Asking("Where is {} located?", "", "the place where {} is located")
_BORN = Asking("Where was {} born?", "", "the place where {} was born")
_DIED = Asking("Where did {} die?", "", "the place where {} died")
_WORK = Phrases(
    Asking("Where does {} work?", "Where does {} work?", "the employer of {}"),
    Asking("Who works at {}?", "Who works at {}?"),
    "{s} works at {o}.",
)
_PART = Phrases(
    Asking("What is {} part of?", "What is {} part of?", "the whole that {} is part of"),
    Asking("What is part of {}?", "What are the parts of {}?"),
    "{s} is part of {o}.",
)
_LOCATED = "{s} is located in {o}."
_BORN_IN, _BORN_ON = "{s} was born in {o}.", "{s} was born on {o}."
_DIED_IN, _DIED_ON = "{s} died in {o}.", "{s} died on {o}."
_LISTED = {
    "isa": _KIND,
    "is a": _KIND,
    "instance of": _KIND,
    "subclass of": _KIND,
    "sub class of": _KIND,
    "type of": _KIND,
    "kind of": _KIND,
    "located in": Phrases(_PLACE, Asking("What is located in {}?", "What is located in {}?"), _LOCATED),
    "location": Phrases(_PLACE, says=_LOCATED),
    "born in": Phrases(_BORN, Asking("Who was born in {}?", "Who was born in {}?"), _BORN_IN),
    "birthplace": Phrases(_BORN, says=_BORN_IN),
    "birth place": Phrases(_BORN, says=_BORN_IN),
    "place of birth": Phrases(_BORN, says=_BORN_IN),
    "birth date": Phrases(Asking("When was {} born?"), says=_BORN_ON),
    "date of birth": Phrases(Asking("When was {} born?"), says=_BORN_ON),
    "born on": Phrases(Asking("When was {} born?"), says=_BORN_ON),
    "died in": Phrases(_DIED, Asking("Who died in {}?", "Who died in {}?"), _DIED_IN),
    "death place": Phrases(_DIED, says=_DIED_IN),
    "place of death": Phrases(_DIED, says=_DIED_IN),
    "death date": Phrases(Asking("When did {} die?"), says=_DIED_ON),
    "date of death": Phrases(Asking("When did {} die?"), says=_DIED_ON),
    "died on": Phrases(Asking("When did {} die?"), says=_DIED_ON),
    "age": Phrases(Asking("How old is {}?"), says="The age of {s} is {o}."),
    "employ of": _WORK,
    "employer": _WORK,
    "works for": _WORK,
    "works at": _WORK,
    "employed by": _WORK,
    "part of": _PART,
    "member of": Phrases(
        Asking("What is {} a member of?", "What is {} a member of?"),
        Asking("Who is a member of {}?", "Who are the members of {}?"),
        "{s} is a member of {o}.",
    ),
    "alias": Phrases(
        Asking("What is another name for {}?", "What are other names for {}?"),
        says="Another name for {s} is {o}.",
    ),
    "also known as": Phrases(
        Asking("What is {} also known as?", "What is {} also known as?"), says="{s} is also known as {o}."
    ),
    "stands for": Phrases(Asking("What does {} stand for?"), says="{s} stands for {o}."),
    "consists of": Phrases(
        Asking("What does {} consist of?", "What does {} consist of?"), says="{s} consists of {o}."
    ),
    "has part": Phrases(
        Asking("What is a part of {}?", "What are the parts of {}?"), says="{o} is a part of {s}."
    ),
    "capital": Phrases(
        Asking("What is the capital of {}?", "What are the capitals of {}?", "the capital of {}"),
        Asking("What is {} the capital of?"),
        "The capital of {s} is {o}.",
    ),
}


@lru_cache(maxsize=4096)
def english(relation: str, ending: Ending, subject_type: str = "", object_type: str = "") -> Phrases | None:
    """The questions of `relation`; None where its name cannot be read. `ending` is what its objects are.

    In "X_of" the subject is the X of the object, unless the object is of type X (then the other way round).
    """
    words = relation_words(relation)
    if not words or not all(word.replace("-", "").isalpha() for word in words):
        return None
    name = " ".join(words)
    if name in ("died in", "born in") and ending == "date":
        name = f"{words[0]} on"
    listed = _LISTED.get(name)
    if listed is not None:
        return listed
    if name in _EITHER_WAY:
        return None
    if words[0] in ("is", "was", "are", "has", "have") and len(words) > 1:
        return _noun(words[1:], ending) if words[0] in ("has", "have") else _behind_be(words[1:], ending)
    if words[-1] == "of" and object_type and " ".join(words[:-1]) == object_type.casefold():
        return _attribute(words[:-1], subject_type)
    verb = _third_person(words[0])
    if verb and (len(words) == 1 or words[-1] in _PREPOSITIONS | _PARTICLES):
        return _verb(verb, words, object_type)
    if words[-1] in _PREPOSITIONS and len(words) > 1:
        return _behind_be(words, ending)
    return _past(words[0]) if len(words) == 1 and _is_past(words[0]) else _noun(words, ending)


def _attribute(words: list[str], subject_type: str) -> Phrases:
    noun, nouns = " ".join(words), _plural(words)
    kind = subject_type.casefold() or "thing"
    return Phrases(
        Asking(f"What is the {noun} of {{}}?", f"What are the {nouns} of {{}}?", f"the {noun} of {{}}"),
        Asking(
            f"Which {kind} has {{}} as its {noun}?", f"Which {_plural([kind])} have {{}} as their {noun}?"
        ),
        f"The {noun} of {{s}} is {{o}}.",
    )


def _verb(verb: str, words: list[str], object_type: str) -> Phrases:
    """ "affects", "interacts with", "assesses effect of"."""
    rest = words[1:]
    if len(rest) > 1 and rest[-1] == "of" and rest[0] not in _PREPOSITIONS:
        rest = ["the", *rest]
    tail = "".join(f" {word}" for word in rest)
    ask = f"What does {{}} {verb}{tail}?"
    noun = f"the {object_type.casefold()} that {{}} {words[0]}{tail}" if object_type else ""
    back = f"What {words[0]}{tail} {{}}?"
    return Phrases(Asking(ask, ask, noun), Asking(back, back), f"{{s}} {words[0]}{tail} {{o}}.")


def _past(word: str) -> Phrases | None:
    verb = lemma(word, "VERB")
    ask = f"What did {{}} {verb}?"
    back = f"Who {word} {{}}?"
    who = Asking(back, back, f"the {_AGENTS[verb]} of {{}}" if verb in _AGENTS else "")
    return Phrases(Asking(ask, ask), who if verb in _WHO else None, f"{{s}} {word} {{o}}.")


def _behind_be(words: list[str], ending: Ending) -> Phrases | None:
    """ "associated with", "founded by", "adjacent to", "location of", "issue in": what stands behind "is"."""
    if words[-1] not in _PREPOSITIONS or len(words) < 2:
        return None
    verb = lemma(words[0], "VERB") if _is_participle(words[0]) else ""
    phrase = " ".join(words)
    if verb and words[-1] == "by" and verb in _WHO:
        past = inflected(verb, "VBD") or words[0]
        who = Asking(f"Who {past} {{}}?", f"Who {past} {{}}?")
        if verb in _AGENTS:
            who = Asking(who.one, who.many, f"the {_AGENTS[verb]} of {{}}")
        did = f"What did {{}} {verb}?"
        return Phrases(who, Asking(did, did), f"{{s}} was {phrase} {{o}}.")
    if verb:
        be = "is" if verb in _LASTING or words[-1] not in ("in", "on", "at") else "was"
        if words[-1] in ("in", "on", "at") and len(words) == 2:
            ask = "When" if ending == "date" else "Where"
            asked = f"{ask} {be} {{}} {words[0]}?"
        else:
            asked = f"What {be} {{}} {phrase}?"
        back = f"What {be} {phrase} {{}}?"
        return Phrases(
            Asking(asked, asked),
            None if ending != "name" else Asking(back, back),
            f"{{s}} {be} {phrase} {{o}}.",
        )
    if lemma(words[-2], "NOUN") and words[-2] != "related":
        return _noun_of(words)
    if lemma(words[-2], "ADJ") or words[-2].endswith("ed"):
        asked, back = f"What is {{}} {phrase}?", f"What is {phrase} {{}}?"
        return Phrases(Asking(asked, asked), Asking(back, back), f"{{s}} is {phrase} {{o}}.")
    return None


def _noun_of(words: list[str]) -> Phrases:
    """The subject is the N of the object."""
    noun, preposition = " ".join(words[:-1]), words[-1]
    article = "an" if noun[0] in "aeiou" else "a"
    who = "Who" if words[-2] in _PERSONS else "What"
    back = Asking(
        f"{who} is the {noun} {preposition} {{}}?",
        f"{who} are the {_plural(words[:-1])} {preposition} {{}}?",
        f"the {noun} {preposition} {{}}",
    )
    if preposition != "of":
        back = Asking(
            f"What is {article} {noun} {preposition} {{}}?", f"What is {article} {noun} {preposition} {{}}?"
        )
    return Phrases(
        Asking(
            f"What is {{}} {article} {noun} {preposition}?",
            f"What is {{}} {article} {noun} {preposition}?",
        ),
        back,
        f"{{s}} is {article} {noun} {preposition} {{o}}.",
    )


def _noun(words: list[str], ending: Ending) -> Phrases | None:
    """The object is the N of the subject."""
    if not lemma(words[-1], "NOUN") or (lemma(words[-1], "VERB") and words[-1] in _AGENTS):
        return None
    if _is_plural(words[-1]):
        words = [*words[:-1], lemma(words[-1], "NOUN")]
    noun = " ".join(words)
    who = "Who" if words[-1] in _PERSONS else "What"
    says = f"The {noun} of {{s}} is {{o}}."
    if who == "What" and (words[-1] == "date" or ending == "date"):
        return Phrases(Asking(f"What is the {noun} of {{}}?"), says=says)
    forward = Asking(
        f"{who} is the {noun} of {{}}?", f"{who} are the {_plural(words)} of {{}}?", f"the {noun} of {{}}"
    )
    backward = (
        Asking(f"What is {{}} the {noun} of?", f"What is {{}} the {noun} of?") if who == "Who" else None
    )
    return Phrases(forward, backward, says)


def _third_person(word: str) -> str:
    """The verb that `word` is the third person of, "" for none; "co-occurs" counts as "occurs"."""
    head, _, stem = word.rpartition("-")
    if not stem.endswith("s") or stem in _NOUNS_IN_S:
        return ""
    base = lemma(stem, "VERB")
    if not base or inflected(base, "VBZ") != stem:
        return ""
    return f"{head}-{base}" if head else base


def _is_past(word: str) -> bool:
    base = lemma(word, "VERB")
    return bool(base) and word != base and inflected(base, "VBD") == word


def _is_participle(word: str) -> bool:
    base = lemma(word, "VERB")
    return bool(base) and word != base and inflected(base, "VBN") == word


def _is_plural(word: str) -> bool:
    base = lemma(word, "NOUN")
    return bool(base) and base != word


def _plural(words: list[str]) -> str:
    return " ".join([*words[:-1], inflected(words[-1], "NNS") or f"{words[-1]}s"])
