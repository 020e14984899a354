"""The main clause of an English sentence: what stands before it, its subject, its verbs and the rest.

A sentence that does not fit one of the few shapes known here has no clause: nothing is asked of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from finetune.answer_first.cleaning import prepared
from finetune.answer_first.lexicon import JOINERS, base, is_word
from finetune.answer_first.phrases import FINITE, NOUNS, WH, base_end, date_end, is_list, is_phrase
from finetune.answer_first.tails import BE, breaks_list, rest_of_clause, verb_group
from finetune.answer_first.tokens import Token

_MOST = 3  # clauses of one sentence
_DENIALS = frozenset("not n't never hardly rarely neither".split())
CONDITIONS = frozenset("when if unless where after before once".split())
# A clause with one of these says something against another one, and is not needed to ask.
_CONTRASTS = frozenset("although though while whereas whilst despite unlike rather besides like".split())
_SUBORDINATES = frozenset("when after before if since once because as until where wherever unless".split())


Subject = tuple[list[Token], list[Token], list[Token], int]  # words, apposition, adverbs, place of the verb


@dataclass(frozen=True, slots=True)
class Clause:
    """`lead` is a phrase in front, without its comma; `between` are adverbs between subject and verbs.

    `verbs` begins with the finite verb and holds the adverbs among its parts; `aside` is an apposition to
    the subject that was left out.
    """

    lead: tuple[Token, ...]
    subject: tuple[Token, ...]
    between: tuple[Token, ...]
    verbs: tuple[Token, ...]
    tail: tuple[Token, ...]
    aside: tuple[Token, ...] = ()
    broken: bool = False  # the tail stops at a comma that may be in the middle of a list

    @property
    def finite(self) -> Token:
        return self.verbs[0]

    @property
    def main(self) -> Token:
        return [token for token in self.verbs if token.tag != "RB"][-1]

    @property
    def copula(self) -> bool:
        return self.main.low in BE

    @property
    def passive(self) -> bool:
        return self.main.tag == "VBN" and any(token.low in BE for token in self.verbs)

    @property
    def helped(self) -> bool:
        """Whether the finite verb is an auxiliary (or be), so that it can go before the subject."""
        parts = [token for token in self.verbs if token.tag != "RB"]
        return self.finite.tag == "MD" or self.finite.low in BE or len(parts) > 1

    @property
    def base(self) -> str:
        """The base form of the main verb."""
        return base(self.main.text, self.main.tag)


def clauses(sentence: Sequence[Token]) -> list[Clause]:
    """The clauses of a tagged sentence, joined by "and", "but" or a semicolon, as far as they are sure."""
    cut = prepared(sentence)
    found: list[Clause] = []
    at = 0
    while at < len(cut) and len(found) < _MOST:
        parsed = _first(cut, at, found[-1] if found else None)
        if parsed is None:
            break
        one, end = parsed
        found.append(one)
        at = _next_clause(cut, end)
    return found


def _first(cut: Sequence[Token], at: int, before: Clause | None) -> tuple[Clause, int] | None:
    if before and cut[at].tag in FINITE:  # "… and lasted until 1368": the same subject
        return _with_verbs(cut, at, replace(before, lead=_condition(before.lead), between=(), aside=()))
    for start in [0] if before else _starts(cut[at:]):
        parsed = _from(cut[at:], start)
        if parsed:
            return parsed[0], at + parsed[1]
    return None


def _condition(lead: tuple[Token, ...]) -> tuple[Token, ...]:
    """A front clause that the next verb needs, too: "When …, X does this and may do that"."""
    return lead if lead and lead[0].low in CONDITIONS else ()


def _next_clause(cut: Sequence[Token], end: int) -> int:
    """Where the clause behind `end` begins; the length where none does."""
    place = end
    if place < len(cut) and cut[place].text in (",", ";"):
        place += 1
    joined = place < len(cut) and cut[place].tag == "CC" and cut[place].low in ("and", "but")
    if joined:
        place += 1
    elif not (end < len(cut) and cut[end].text == ";"):
        return len(cut)
    while place < len(cut) and cut[place].tag == "RB" and cut[place].low in JOINERS:
        place += 1
    return place + (place < len(cut) and cut[place].text == ",")


def _starts(cut: Sequence[Token]) -> list[int]:
    """Where the main clause may begin, likeliest first."""
    if not cut:
        return []
    if cut[0].tag in ("IN", "TO", "VBG", "VBN", "RB", "WRB") or cut[0].low in _SUBORDINATES:
        commas = [
            place + 1 for place, token in enumerate(cut) if token.text == "," and not _in_date(cut, place)
        ]
        dated = date_end(cut, 1)
        phrase = _phrase_in_front(cut)
        return (
            ([dated] if dated > 1 else [])
            + commas[:4]
            + ([phrase] if phrase else [0] if cut[0].tag == "RB" else [])
        )
    return [0]


def _phrase_in_front(cut: Sequence[Token]) -> int:
    """The end of "In connectionless mode" where the subject follows without a comma; 0 where it does not."""
    if cut[0].low not in ("in", "on", "at", "under", "during", "within", "for"):
        return 0
    end = base_end(cut, 1)
    if end < len(cut) and cut[end].low == "of":
        end = base_end(cut, end + 1)
    return end if 1 < end < len(cut) and cut[end].tag in ("DT", "PRP", "EX", "NNS", "NNP") else 0


def _in_date(cut: Sequence[Token], comma: int) -> bool:
    return any(date_end(cut, start) > comma + 1 for start in range(max(0, comma - 2), comma))


def _from(cut: Sequence[Token], start: int) -> tuple[Clause, int] | None:
    lead = list(cut[:start])
    while lead and lead[-1].text == ",":
        lead.pop()
    if start < len(cut) and cut[start].text == ",":
        start += 1
    if lead and not _leads(lead):
        return None
    if lead and (lead[0].low in _CONTRASTS or len(lead) == 1):
        lead = []
    found = _subject(cut, start)
    if not found:
        return None
    subject, aside, between, at = found
    if _misread(subject):
        return None
    bare = Clause(tuple(lead), tuple(subject), tuple(between), (), (), tuple(aside))
    return _with_verbs(cut, at, bare)


def _with_verbs(cut: Sequence[Token], at: int, bare: Clause) -> tuple[Clause, int] | None:
    """`bare` with the verbs at `at` and their tail, and where that ends."""
    verbs, after = verb_group(cut, at)
    if any(token.low in _DENIALS for token in verbs):
        return None
    tail = rest_of_clause(cut, after)
    if tail is None:
        return None
    end = after + len(tail)
    return replace(bare, verbs=tuple(verbs), tail=tuple(tail), broken=breaks_list(cut, end)), end


def _misread(subject: Sequence[Token]) -> bool:
    """Whether the dictionary knows the last noun of the subject only as a verb."""
    last = subject[-1]
    return last.tag in ("NN", "NNS") and is_word(last.low, "VERB") and not is_word(last.low, "NOUN")


def _leads(lead: Sequence[Token]) -> bool:
    """Whether the tokens are a phrase or a subordinate clause that can stand in front."""
    finite = sum(token.tag in FINITE for token in lead)
    if any(token.text in ";:—–" for token in lead) or len(lead) > 18:
        return False
    dated = date_end(lead, 1) == len(lead)
    if lead[-1].tag in ("IN", "DT", "CC", "JJ") or (len(lead) > 3 and lead[-2].text == "," and not dated):
        return False
    if lead[0].low in _SUBORDINATES or lead[0].low in _CONTRASTS:
        return finite <= 2
    return finite == 0


def _subject(cut: Sequence[Token], start: int) -> Subject | None:
    """The subject that begins at `start`, its apposition, adverbs behind it, and where the verbs begin."""
    at = _finite(cut, start)
    if at is None or at == start:
        return None
    words = list(cut[start:at])
    aside: list[Token] = []
    for place, token in enumerate(words):
        if token.tag in WH or (token.low == "that" and token.tag == "IN"):
            if place and words[place - 1].text == ",":
                return _aside_clause(cut, start, start + place - 1)
            return _relative(cut, start, at) if place else None
    if any(token.text == "," for token in words[:-1]) and words[-1].text != "," and not is_list(words):
        return None
    if words[-1].text == ",":
        comma = next(place for place, token in enumerate(words) if token.text == ",")
        aside = words[comma + 1 : -1]
        words = words[:comma]
        if not aside or not (is_phrase(aside) or aside[0].tag in ("VBN", "VBG", "IN", "RB")):
            return None
        if aside[0].tag in NOUNS and is_list(aside) and aside[-2:][0].tag == "CC":
            return None
    words, between = _adverbs(words)
    if not words or not (is_phrase(words) or [token.tag for token in words] in (["PRP"], ["EX"])):
        return None
    return words, aside, between, at


def _finite(cut: Sequence[Token], start: int) -> int | None:
    return next((place for place in range(start, len(cut)) if cut[place].tag in FINITE), None)


def _adverbs(words: list[Token]) -> tuple[list[Token], list[Token]]:
    end = len(words)
    while end and words[end - 1].tag == "RB":
        end -= 1
    return words[:end], words[end:]


def _aside_clause(cut: Sequence[Token], start: int, comma: int) -> Subject | None:
    """A subject with a remark between commas: "X, which …, was"."""
    for place in range(comma + 2, len(cut) - 1):
        if cut[place].text == "," and (cut[place + 1].tag in FINITE or cut[place + 1].tag == "RB"):
            at = _finite(cut, place + 1)
            if at is None or at > place + 3:
                return None
            words = list(cut[start:comma])
            if not is_phrase(words):
                return None
            return words, [], list(cut[place + 1 : at]), at
    return None


def _relative(cut: Sequence[Token], start: int, first: int) -> Subject | None:
    """A subject with a relative clause: "algorithms that use random bits are"."""
    _, after = verb_group(cut, first)
    second = _finite(cut, after)
    if second is None or second <= after:
        return None
    if any(token.text in ",;:" or token.tag in WH or token.tag == "PRP" for token in cut[after:second]):
        return None
    words, between = _adverbs(list(cut[start:second]))
    relative = next(place for place, token in enumerate(words) if token.tag in WH or token.low == "that")
    if not words or not is_phrase(words[:relative]):
        return None
    if words[-1].tag not in NOUNS and words[-1].tag not in ("JJ", "VBN", "CD"):
        return None
    return words, [], between, second
