"""All checks in order, over a window of candidates.

    checks = Checks(retriever, hashes=..., k=6, gates=[gate])
    seen = checks.seen(accepted examples)
    for checked in checks.examine(candidates):
        checked = seen.admit(checked, split)

Cheap checks come first and the first no decides. A model is asked last, and only about what is left.
Which check looks at what:

    all kinds                   what the method itself rejected (parse, ...), length, secret, personal_data,
                                leakage, conflict, duplicate (exact)
    questions                   + not_a_question, demonstrative, duplicate (ROUGE-L), near_duplicate
      with an answer            + unsupported, not_retrieved, not_answered, judge
    span, multi-hop             + quote_not_found (there must be a quote), answer_in_question
    table, grounded-instruction + quote_not_found
    atomic, aggregate, two-hop  those with quotes as other questions; a graph of the user's own has none

A refusal (answer None) needs no evidence: it is about what the passages do not say. A quote that is claimed
must be found, whatever the kind. The answer of a table's row or of a graph's edge may stand in its question
(an entity is often part of another's name).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from corpora.examples import Example, Quote, Split
from corpora.records import Passage, ScoredPassage
from finetune.candidates import Candidate
from finetune.checks.locating import locate
from finetune.checks.privacy import check_privacy
from finetune.checks.reading import Gate, Pair
from finetune.checks.records import QUESTIONS, QUOTED, Checked, Fault
from finetune.checks.seen import QuestionEncoder, Seen
from finetune.checks.support import check_support
from finetune.checks.wording import check_demonstrative, check_form, check_giveaway, check_length

K = 6  # as many passages as an answer is written from


class PassageSource(Protocol):
    """The part of the retriever that is needed here, as it serves questions."""

    def search(self, query: str, k: int = 8) -> list[ScoredPassage]:
        """The best `k` passages, rank 1 first."""


class Checks:
    """The checks of one library.

    `hashes` and `splits` give the sha256 and the split of each document, by id, as they are now.
    """

    def __init__(
        self,
        retriever: PassageSource,
        encoder: QuestionEncoder | None,
        *,
        hashes: Callable[[], Mapping[str, str]],
        splits: Callable[[], Mapping[str, Split]],
        k: int = K,
        gates: Sequence[Gate] = (),
    ) -> None:
        self._retriever, self._encoder = retriever, encoder
        self._hashes, self._splits, self._k, self._gates = hashes, splits, k, gates
        self._seen = Seen(encoder)

    def seen(self, examples: Iterable[Example]) -> Seen:
        """What the accepted examples so far leave for others. `examine` asks no model about repeats."""
        self._seen = Seen.of(examples, self._encoder)
        return self._seen

    def examine(self, candidates: Sequence[Candidate]) -> list[Checked]:
        """The verdict on each candidate alone; `Seen.admit` adds how it stands beside the others."""
        hashes, splits = self._hashes(), self._splits()
        checked = [self._retrieved(_read(candidate, hashes, splits)) for candidate in candidates]
        for gate in self._gates:
            checked = self._asked(gate, checked)
        return checked

    def _retrieved(self, checked: Checked) -> Checked:
        """With its rank, which is taken of rejects too so that what the checks do can be measured."""
        candidate, quotes = checked.candidate, checked.quotes
        unread = candidate.rejected is not None or checked.reason == "length"
        if unread or candidate.kind not in QUESTIONS or candidate.answer is None or not quotes:
            return checked
        rank = self._rank(candidate.question, {quote.passage_id for quote in quotes})
        scores = {**checked.scores, "retrieval": 0.0 if rank is None else 1 / rank}
        if checked.reason is None and rank is None:
            fault = Fault("not_retrieved", f"not all of its passages are among the first {self._k}")
            return replace(checked, scores=scores, reason=fault.reason, detail=fault.detail)
        return replace(checked, scores=scores)

    def _rank(self, question: str, wanted: set[str]) -> int | None:
        """The rank at which the last of the passages comes back, None where one does not."""
        ranks = {hit.passage.id: hit.rank for hit in self._retriever.search(question, self._k)}
        return max(ranks[name] for name in wanted) if wanted <= ranks.keys() else None

    def _asked(self, gate: Gate, checked: Sequence[Checked]) -> list[Checked]:
        """With the scores of a model, for those that are neither rejected nor sure to be."""
        pairs: dict[int, Pair] = {}
        for at, one in enumerate(checked):
            pair = _pair(one) if one.candidate.language in gate.measured else None
            if pair is not None and not self._seen.repeats(one.candidate):
                pairs[at] = pair
        scores = dict(zip(pairs, gate.scorer.scores(list(pairs.values())), strict=True)) if pairs else {}
        return [_scored(one, gate, scores[at]) if at in scores else one for at, one in enumerate(checked)]


def _pair(checked: Checked) -> Pair | None:
    """What a model is asked about; None where there is nothing to ask."""
    candidate = checked.candidate
    if checked.reason is not None or candidate.kind not in QUESTIONS or candidate.answer is None:
        return None
    passages: dict[str, Passage] = {claimed.passage.id: claimed.passage for claimed in candidate.claimed}
    return Pair(candidate.question, candidate.answer, tuple(passages.values())) if passages else None


def _scored(checked: Checked, gate: Gate, score: float | None) -> Checked:
    scores = checked.scores if score is None else {**checked.scores, gate.scorer.score: score}
    fault = gate.fault(score, checked.candidate.language)
    if fault is None:
        return replace(checked, scores=scores)
    return replace(checked, scores=scores, reason=fault.reason, detail=fault.detail)


def _read(candidate: Candidate, hashes: Mapping[str, str], splits: Mapping[str, Split]) -> Checked:
    """The checks that need only the candidate and its passages. Quotes are located for rejects too."""
    located = [locate(claimed, hashes) for claimed in candidate.claimed]
    quotes = tuple(quote for quote in located if quote is not None)
    if len(quotes) < len(located):
        quotes = ()
    if candidate.rejected is not None:
        return Checked(candidate, quotes, dict(candidate.scores), candidate.rejected, "by the method")
    fault = (
        _worded(candidate)
        or _grounded(candidate, quotes)
        or check_privacy(candidate, [quote.text for quote in quotes])
        or _split_apart(quotes, splits)
    )
    if fault is None:
        return Checked(candidate, quotes, dict(candidate.scores))
    return Checked(candidate, quotes, dict(candidate.scores), fault.reason, fault.detail)


def _worded(candidate: Candidate) -> Fault | None:
    fault = check_length(candidate) or check_form(candidate) or check_demonstrative(candidate)
    gives_away = fault is None and candidate.kind in ("span", "multi-hop")
    return check_giveaway(candidate) if gives_away else fault


def _grounded(candidate: Candidate, quotes: tuple[Quote, ...]) -> Fault | None:
    if candidate.claimed and not quotes:
        text = next((claimed.text for claimed in candidate.claimed), "")
        return Fault("quote_not_found", " ".join(text.split())[:80])
    if candidate.kind in QUOTED and candidate.answer is not None and not quotes:
        return Fault("quote_not_found", "no quote was given")
    return check_support(candidate, quotes)


def _split_apart(quotes: Sequence[Quote], splits: Mapping[str, Split]) -> Fault | None:
    found = sorted({splits.get(quote.document_id, "train") for quote in quotes})
    return Fault("leakage", f"documents of {' and '.join(found)}") if len(found) > 1 else None
