"""Self-QA by a teacher that follows instructions: questions from a passage, then answers from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from corpora.prompt import language_of
from corpora.records import Message, Passage
from finetune.candidates import Candidate, Claimed
from finetune.estimate import Workload
from finetune.self_qa.evidence import claimed, find_spaced
from finetune.self_qa.parse import Item, bare_phrase, read_answered, read_item, read_questions
from finetune.self_qa.prompts import PROMPT_VERSION, answer_question, ask_questions
from finetune.teacher import Ask, Reply, Teacher
from index.evidence.sentences import sentences

_QUESTION_TOKENS, _ANSWER_TOKENS = 64, 256  # room; a long Chinese sentence takes 200
_TYPICAL_QUESTION, _TYPICAL_ANSWER = 30, 60  # tokens, for the estimate
_RAW = 500  # characters kept of a reply that could not be read


@dataclass(frozen=True, slots=True)
class SelfQA:
    """`finetune.candidates.Writer`: at most `per_passage` questions a passage, fewer for short ones."""

    teacher: Teacher
    per_passage: int = 3
    name: str = "self-qa"

    def write(self, passages: Sequence[Passage]) -> list[list[Candidate]]:
        """The candidates of each passage, in the order of their questions; two rounds of calls for them all.

        What went wrong is a candidate too, with `rejected` set: "no_reply" for a call without one, "parse"
        for one that could not be read, "no_answer" where the teacher says that there is none.
        """
        asks = [
            Ask(ask_questions(passage, self._wanted(passage), language_of(passage.text)), self._room(passage))
            for passage in passages
        ]
        written = [
            self._questions(passage, reply)
            for passage, reply in zip(passages, self.teacher.ask(asks), strict=True)
        ]
        open_ones = [
            (n, place)
            for n, candidates in enumerate(written)
            for place, candidate in enumerate(candidates)
            if candidate.rejected is None and candidate.answer is None
        ]
        asks = [
            Ask(
                answer_question(passages[n], written[n][place].question, written[n][place].language),
                _ANSWER_TOKENS,
            )
            for n, place in open_ones
        ]
        for (n, place), reply in zip(open_ones, self.teacher.ask(asks), strict=True):
            written[n][place] = _answered(written[n][place], passages[n], reply)
        return written

    def workload(
        self, passages: Sequence[Passage], count_tokens: Callable[[Sequence[Message]], int]
    ) -> Workload:
        """What `write` is expected to ask of the teacher."""
        total = Workload()
        for passage in passages:
            n, language = self._wanted(passage), language_of(passage.text)
            asked = count_tokens(ask_questions(passage, n, language))
            answered = count_tokens(answer_question(passage, "?" * 60, language))
            total += Workload(1 + n, asked + n * answered, n * (_TYPICAL_QUESTION + _TYPICAL_ANSWER))
        return total

    def _wanted(self, passage: Passage) -> int:
        return max(1, min(self.per_passage, len(sentences(passage.text))))

    def _room(self, passage: Passage) -> int:
        return _QUESTION_TOKENS * self._wanted(passage)

    def _questions(self, passage: Passage, reply: Reply) -> list[Candidate]:
        """A candidate for each question, still without an answer, or one that says what went wrong."""
        if reply.text is None:
            return [self._candidate(passage, reply.error or "", rejected="no_reply")]
        questions = read_questions(reply.text)[: self._wanted(passage)]
        if not questions:
            return [self._candidate(passage, reply.text.strip()[:_RAW], rejected="parse")]
        asked = [self._candidate(passage, text, order=1 / (1 + n)) for n, text in enumerate(questions)]
        answered = read_answered(reply.text)  # a teacher that runs ahead saves its second call
        return [
            _with_item(one, passage, answered[one.question]) if one.question in answered else one
            for one in asked
        ]

    def _candidate(
        self, passage: Passage, question: str, *, order: float = 0.0, rejected: str | None = None
    ) -> Candidate:
        return Candidate(
            method="self-qa",
            kind="span",
            language=language_of(passage.text),
            question=question,
            answer=None,
            claimed=(Claimed(passage, ""),),  # so that a reject too goes with its document
            teacher=self.teacher.name,
            prompt_version=PROMPT_VERSION,
            rejected=rejected,
            order=order,
        )


def _answered(candidate: Candidate, passage: Passage, reply: Reply) -> Candidate:
    if reply.text is None:
        return replace(candidate, rejected="no_reply")
    item = read_item(reply.text, "answer")
    if item is None:
        phrase = bare_phrase(reply.text)
        if phrase is None or find_spaced(passage.text, phrase) is None:
            raw = f"{candidate.question}\n{reply.text.strip()[:_RAW]}"
            return replace(candidate, question=raw, rejected="parse")
        item = {"answer": phrase}
    return _with_item(candidate, passage, item)


def _with_item(candidate: Candidate, passage: Passage, item: Item) -> Candidate:
    answer = item["answer"]
    if answer is None:
        return replace(candidate, rejected="no_answer")
    return replace(candidate, answer=answer, claimed=claimed(passage, item.get("quote"), answer))
