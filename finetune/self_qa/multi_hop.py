"""Questions that need two passages, by a teacher: one call for each pair that an entity links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from corpora.prompt import language_of
from corpora.records import Passage
from finetune.candidates import Candidate, Claimed
from finetune.self_qa.evidence import claimed
from finetune.self_qa.parse import read_item, tidy_question
from finetune.self_qa.prompts import PROMPT_VERSION, ask_hop
from finetune.teacher import Ask, Reply, Teacher

_TOKENS = 400
_RAW = 500  # characters kept of a reply that could not be read

Pair = tuple[Passage, Passage, str]


@dataclass(frozen=True, slots=True)
class MultiHopQA:
    """Candidates of kind "multi-hop", each claiming one quote of either passage."""

    teacher: Teacher
    name: str = "self-qa-multi-hop"

    def write(self, pairs: Sequence[Pair]) -> list[Candidate]:
        """A candidate for each pair, in order; `rejected` as in `SelfQA`, or "no_question"."""
        asks = [
            Ask(ask_hop(first, second, entity, language_of(first.text)), _TOKENS)
            for first, second, entity in pairs
        ]
        replies = self.teacher.ask(asks)
        return [self._candidate(pair, reply) for pair, reply in zip(pairs, replies, strict=True)]

    def _candidate(self, pair: Pair, reply: Reply) -> Candidate:
        first, second, _ = pair
        blank = Candidate(
            method="self-qa",
            kind="multi-hop",
            language=language_of(first.text),
            question=(reply.text or reply.error or "").strip()[:_RAW],
            answer=None,
            claimed=(Claimed(first, ""), Claimed(second, "")),  # a reject too goes with its documents
            teacher=self.teacher.name,
            prompt_version=PROMPT_VERSION,
        )
        if reply.text is None:
            return replace(blank, rejected="no_reply")
        item = read_item(reply.text, "question")
        if item is None:
            return replace(blank, rejected="parse")
        question, answer = item["question"], item.get("answer")
        quotes = _quotes(first, second, item.get("quote_1"), item.get("quote_2"))
        if question is None:
            return replace(blank, rejected="no_question")
        if answer is None or quotes is None:
            return replace(blank, rejected="parse")
        return replace(blank, question=tidy_question(question), answer=answer, claimed=quotes)


def _quotes(first: Passage, second: Passage, one: str | None, two: str | None) -> tuple[Claimed, ...] | None:
    """Each quote with its passage, also where the teacher gave them the other way round."""
    if one is None or two is None:
        return None
    straight = [*claimed(first, one, None), *claimed(second, two, None)]
    crossed = [*claimed(first, two, None), *claimed(second, one, None)]
    found = [sum(claim.start is not None for claim in claims) for claims in (straight, crossed)]
    return tuple(crossed if found[1] > found[0] else straight)
